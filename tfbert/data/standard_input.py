"""Rows of standard input: one text or one JSON object per line."""

import io
import itertools
import json
import sys

from tfbert.core.errors import InputError
from tfbert.data.json_rows import json_objects
from tfbert.data.lines import lines_of

NAME = "standard input"


def read_standard_input(columns, encoding=None):
    """Yields (line, row) of standard input: JSON objects if its first line is one, else texts; prints which.

    Args:
        columns: dict, role -> name of a column.
        encoding: str or None. None: UTF-8.

    Raises:
        InputError: a line is not in the encoding, or is not an object although the first is one.
    """
    file = open(sys.stdin.fileno(), "rb", closefd=False)
    text = io.TextIOWrapper(file, encoding or "utf-8-sig", newline="")
    read = 0

    def numbered():
        nonlocal read
        for read, line in enumerate(lines_of(NAME, text), 1):
            yield read, line

    try:
        lines = numbered()
        first = next(lines, None)
        if first is None:
            return
        lines = itertools.chain([first], lines)
        objects = _is_object(first[1])
        print(f"{NAME.capitalize()} is read as one {'JSON object' if objects else 'text'} per line.", flush=True)
        if objects:
            yield from json_objects(NAME, lines, set(columns.values()))
        else:
            yield from ((number, {columns["text"]: line.rstrip("\r\n")}) for number, line in lines)
    except UnicodeError as error:
        raise InputError(
            f"{NAME}, after line {read}: not {encoding or 'UTF-8'} text ({error.reason}); name its encoding, such as "
            "--encoding=cp1252."
        ) from None


def _is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
