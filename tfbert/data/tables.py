"""Rows of delimited tables: TSV, CSV and the like."""

import csv
import itertools
import re

from tfbert.core.errors import InputError
from tfbert.data.lines import LONGEST, lines_of, open_text, tell_format
from tfbert.data.values import missing_column

_SEPARATORS = ",;\t|"
# How a tab may be written on a command line.
_TAB = ("tab", "\\t")


def read_table(path, columns, separator, quoting, header=None, delimiter=None, encoding=None):
    """Yields (line, row) of a table: the number of the row's first line, and the requested columns.

    Blank lines are skipped, except in a table of one column, where each is an empty text. Python's csv module parses
    the rows in strict mode: RFC 4180 if fields may be quoted.

    Args:
        path: str.
        columns: dict, role -> name of a column; all but the id must exist.
        separator: str. What usually separates fields. Another of comma, semicolon, tab and bar is used, and printed,
            if only that one yields the columns, or if the file begins with Excel's `sep=;`.
        quoting: "auto", "on" or "off". Auto: fields may be quoted unless tabs separate them.
        header: list of str or None. The names of the columns if the file has no header line.
        delimiter: str or None. Overrides what separates fields: a character, "tab" or "\\t"; None: `separator`, or
            what is detected.
        encoding: str or None. As for `open_text`.

    Raises:
        InputError: the file cannot be read, lacks a column or has it twice, or a row is damaged (its line is named).
    """
    with open_text(path, encoding=encoding) as text:
        lines = lines_of(path, text)
        first, skipped = _next_filled(lines, 0)
        if named := re.fullmatch(r"sep=(.)\s*", first):
            first, skipped = _next_filled(lines, skipped + 1)
        found = named[1] if named else separator if header else _separator(first, columns, separator)
        found = ("\t" if delimiter in _TAB else delimiter) or found
        told = None if delimiter or found == separator else found
        tell_format(path, None if encoding else text.encoding, told)
        quoted = quoting == "on" or (quoting == "auto" and (separator, found) != ("\t", "\t"))
        rows = _rows(path, _reader(itertools.chain([first], lines), found, quoted), skipped)
        line, names = (0, header) if header else next(rows, (0, []))
        if not names:
            raise InputError(f"{path} is empty; a header line and at least one row are needed.")
        places = _places(columns, names, (path, line + 1))
        for line, row in rows:
            if row:
                _check(path, line, row, names, found, quoted, header)
                yield line, {name: row[place] for name, place in places}
            elif len(names) == 1:
                yield line, dict.fromkeys(names, "")


def _next_filled(lines, skipped):
    """Returns (next line that is not blank, number of lines before it); the line is "" at the end."""
    for line in lines:
        if line.strip("\r\n"):
            return line, skipped
        skipped += 1
    return "", skipped


def _reader(lines, separator, quoted):
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=separator, quoting=quoting, strict=True)


def _rows(path, reader, skipped):
    """Yields (first line, fields) of each row."""
    line = skipped + 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + skipped + 1
    except csv.Error as error:
        raise InputError(
            f"{path}, line {line}: the quotes of this row are wrong ({error}); quote a field that contains a quote, "
            "and double that quote, or set --quoting=off if quotes are plain characters."
        ) from None


def _separator(line, columns, usual):
    """Returns what separates the names in a header: the usual separator, or the one that yields the columns."""
    needed = {name for role, name in columns.items() if role != "id"}
    names = {separator: _fields(line, separator) for separator in dict.fromkeys((usual, *_SEPARATORS))}
    fitting = [separator for separator, found in names.items() if needed <= set(found)]
    if fitting or len(names[usual]) > 1:
        return (fitting or [usual])[0]
    return max(names, key=lambda separator: len(names[separator]))


def _fields(line, separator):
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _places(columns, names, where):
    """Returns (name, place) of the requested columns that exist."""
    for role, name in columns.items():
        if name not in names and role != "id":
            raise missing_column(where, role, name, names)
        if names.count(name) > 1:
            raise InputError(f"{where[0]}: {names.count(name)} columns are called {name!r}; rename all but one.")
    return [(name, names.index(name)) for name in dict.fromkeys(columns.values()) if name in names]


def _check(path, line, row, names, separator, quoted, header):
    """Raises InputError if a row has more or fewer fields than the header, or repeats the header."""
    if len(row) != len(names):
        fewer = "few" if len(row) < len(names) else "many"
        hint = "" if quoted else " If its fields are in double quotes, set --quoting=on."
        raise InputError(
            f"{path}, line {line}: too {fewer} fields, {len(row)} where the header has {len(names)}: "
            f"{separator.join(row)[:80]!r}.{hint}"
        )
    if len(row) > 1 and not header and row[-1] in names:
        again = [row[0].lstrip("\ufeff").strip('"'), *row[1:]]
        if again == names:
            raise InputError(f"{path}, line {line}: the header is repeated here; delete this line.")
        if sorted(again) == sorted(names):
            raise InputError(
                f"{path}, line {line}: the header is repeated here with its columns in another order; reorder the "
                "columns that follow, or move them to a file of their own."
            )
