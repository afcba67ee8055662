"""Rows of JSON: one object per line, or one array of objects."""

import json
import re

from tfbert.core.errors import InputError
from tfbert.data.lines import LONGEST, numbered_lines, open_text, tell_format

_BLOCK = 2**16
_WHITE = re.compile(r"\s*")


def read_json(path, columns, encoding=None):
    """Yields (line, row) of a file with one object per line, or with an array of objects.

    Args:
        path: str.
        columns: dict, role -> name of a column; none may appear twice in an object.
        encoding: str or None. As for `open_text`.

    Raises:
        InputError: the file cannot be read, is not JSON, or a row is not an object (its line is named).
    """
    names = set(columns.values())
    with open_text(path, encoding=encoding) as text:
        while (start := text.read(_BLOCK)).isspace():
            pass
    if start.lstrip().startswith("["):
        return _array(path, _row_maker(names), encoding)
    return json_objects(path, numbered_lines(path, encoding), names)


def json_objects(path, lines, names):
    """Yields (line, row) of lines with one object each; blank lines are skipped.

    Args:
        path: str. The file of the lines, for messages.
        lines: iterable of (number, str).
        names: set of str. The columns; none may appear twice in an object.
    """
    hook = _row_maker(names)
    for number, line in lines:
        if line.isspace():
            continue
        try:
            row = json.loads(line, object_pairs_hook=hook)
        except (ValueError, RecursionError) as error:
            raise _not_json(path, number, error) from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: expected an object {{...}}, received a {type(row).__name__}.")
        yield number, row


def _array(path, hook, encoding):
    """Yields the objects of an array, with little more than one in memory at a time."""
    with open_text(path, None, encoding) as text:
        tell_format(path, None if encoding else text.encoding)
        source = _Source(text, json.JSONDecoder(object_pairs_hook=hook))
        mark = source.mark()
        source.move(1)
        closed = source.mark() == "]"
        source.move(closed)
        while not closed:
            source.mark()
            line = source.line
            try:
                row = source.value()
            except (ValueError, RecursionError) as error:
                raise _not_json(path, line, error) from None
            if not isinstance(row, dict):
                raise InputError(
                    f"{path}, line {line}: expected an object {{...}} or a list of objects, received a list with a "
                    f"{type(row).__name__}."
                )
            yield line, row
            mark = source.mark()
            closed = mark == "]"
            if mark not in (",", "]"):
                raise _not_json(path, source.line, "a comma or the end of the array is missing")
            source.move(1)
        if source.mark():
            raise _not_json(path, source.line, "text follows the array")


class _Source:
    """A text stream that is read when needed, and keeps only what has not been parsed yet.

    Attributes:
        line: int. The number of the current line.
    """

    def __init__(self, text, decoder):
        self._text, self._decode = text, decoder.raw_decode
        self._held, self._place, self.line = "", 0, 1

    def mark(self):
        """Skips white space; returns the next character, "" at the end."""
        while True:
            self.move(_WHITE.match(self._held, self._place).end() - self._place)
            if self._place < len(self._held) or not self._more(_BLOCK):
                return self._held[self._place : self._place + 1]

    def move(self, count):
        """Skips some characters."""
        self.line += self._held.count("\n", self._place, self._place + count)
        self._place += count

    def value(self):
        """Parses a value and returns it; ValueError or RecursionError if there is none."""
        size = _BLOCK
        while True:
            try:
                value, end = self._decode(self._held, self._place)
                break
            except json.JSONDecodeError:  # perhaps because the rest has not been read yet
                if len(self._held) - self._place > LONGEST or not self._more(size):
                    raise
            size *= 2
        self.move(end - self._place)
        return value

    def _more(self, size):
        read = self._text.read(size)
        self._held, self._place = self._held[self._place :] + read, 0
        return bool(read)


def _row_maker(names):
    """Returns an `object_pairs_hook` that refuses objects in which a column appears twice."""

    def row(pairs):
        made = dict(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            for key in names.intersection(keys):
                if keys.count(key) > 1:
                    raise ValueError(f"the key {key!r} appears twice in an object")
        return made

    return row


def _not_json(path, line, error):
    reason = "objects are nested too deep" if isinstance(error, RecursionError) else error
    return InputError(
        f"{path}, line {line}: not JSON ({reason}); one object per line, or an array of objects, is needed."
    )
