"""Rows of tables whose fields are separated by a character: TSV, CSV and their kin."""

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
    """Yields (line, row) of a table, the line being the first of the row's; only the columns asked for.

    Blank lines are passed over, but in a table of one column, where each is an empty text. Rows and fields are those
    of Python's csv module, in its strict mode: RFC 4180 where fields may stand in quotes.

    Args:
        path: str.
        columns: dict, role -> name of a column; all must be there but the id.
        separator: str. What separates fields. Where the header lacks the columns with it and has them with another of
            comma, semicolon, tab and bar, or begins with Excel's `sep=;`, it is that, which is told.
        quoting: "auto", "on" or "off". Auto: fields may stand in quotes unless tabs separate them.
        header: list of str or None. The names of the columns where the file has no line of them.
        delimiter: str or None. What separates fields, for certain: a character, "tab" or "\\t"; None: `separator`, or
            what is found.
        encoding: str or None. As for `open_text`.

    Raises:
        InputError: the file cannot be read, lacks a column or has it twice, or a row is damaged; its line is named.
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
    """Returns (line, how many there were before it), of the next that is not blank; "" at the end."""
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
            f"{path}, line {line}: the quotes of this row are wrong ({error}); a field that holds a quote stands in "
            "quotes, and the quote is written twice. Where quotes are plain characters, say --quoting=off."
        ) from None


def _separator(line, columns, usual):
    """Returns what separates the names in a header: the usual one, or the one with which the columns are there."""
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
    """Returns (name, place) of the columns asked for that there are."""
    for role, name in columns.items():
        if name not in names and role != "id":
            raise missing_column(where, role, name, names)
        if names.count(name) > 1:
            raise InputError(f"{where[0]}: {names.count(name)} columns are called {name!r}; rename all but one.")
    return [(name, names.index(name)) for name in dict.fromkeys(columns.values()) if name in names]


def _check(path, line, row, names, separator, quoted, header):
    """Raises InputError if a row has not as many fields as the header, or is the header once more."""
    if len(row) != len(names):
        fewer = "few" if len(row) < len(names) else "many"
        hint = "" if quoted else " If its fields stand in double quotes, say --quoting=on."
        raise InputError(
            f"{path}, line {line}: too {fewer} fields, {len(row)} where the header has {len(names)}: "
            f"{separator.join(row)[:80]!r}.{hint}"
        )
    if len(row) > 1 and not header and row[-1] in names:
        again = [row[0].lstrip("\ufeff").strip('"'), *row[1:]]
        if again == names:
            raise InputError(f"{path}, line {line}: the header stands here once more; take this line out.")
        if sorted(again) == sorted(names):
            raise InputError(
                f"{path}, line {line}: the header stands here once more, its columns in another order; what follows "
                "must be in the order of the first, or in a file of its own."
            )
