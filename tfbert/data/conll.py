"""Files in CoNLL's format: a word and its tag on each line, a blank line after each sentence."""

import re

from tfbert.core.errors import InputError
from tfbert.data.lines import numbered_lines

# A word, perhaps two columns between, and the tag.
_MOST_COLUMNS = 4
# Lines by which a file without an ending of its own is recognised.
_LOOKED_AT = 8
_TAG = re.compile(r"O|[BIESLUM]([-_].+)?")


def looks_like_conll(path, encoding=None):
    """Returns whether the first lines of a text file are words with tags: two to four columns, the last a tag."""
    seen = []
    for _, line in numbered_lines(path, encoding):
        fields = _fields(line.rstrip("\r\n"))
        if line.strip() and fields[0] != "-DOCSTART-" and not line.startswith("#"):
            seen.append(2 <= len(fields) <= _MOST_COLUMNS and bool(_TAG.fullmatch(fields[-1])))
        if len(seen) == _LOOKED_AT:
            break
    return bool(seen) and all(seen)


def read_conll(path, columns, encoding=None):
    """Yields (line, row) of a CoNLL file: its first column as a list of words, its last as a list of tags.

    Columns are separated by tabs or, on lines without a tab, by blanks. Lines that begin with -DOCSTART- are skipped,
    and so are comments: lines that begin with # and have not the columns of a word.

    Args:
        path: str.
        columns: dict, role -> name; the words are found as `text`, and the tags as `label` if that is asked for.
        encoding: str or None. As for `open_text`.

    Raises:
        InputError: it cannot be read, or a line has more than four columns, other columns than the first, or no tag
            although tags are asked for; the line is named.
    """
    words, tags, first, width = [], [], 0, None

    def row():
        return first, {columns["text"]: words} | ({columns["label"]: tags} if "label" in columns else {})

    for number, line in numbered_lines(path, encoding):
        line = line.rstrip("\r\n")
        fields = _fields(line)
        if not line.strip(" \t") or fields[0] == "-DOCSTART-":
            if words:
                yield row()
                words, tags = [], []
            continue
        if line.startswith("#") and _is_comment(fields, width):
            continue
        width = width or len(fields)
        _check(path, number, fields, width, "label" in columns)
        first = first if words else number
        words.append(fields[0])
        tags.append(fields[-1])
    if words:
        yield row()


def _fields(line):
    """Returns the columns of a line; only ASCII blanks separate them, as others, such as U+3000, may be words."""
    return line.split("\t") if "\t" in line else [field for field in line.split(" ") if field] or [""]


def _is_comment(fields, width):
    """Returns whether a line that begins with # is a comment: it has not the columns of a word and its tag."""
    if width == 1 or len(fields) == 1:
        return len(fields) != (width or 1)
    return len(fields) != (width or len(fields)) or not _TAG.fullmatch(fields[-1])


def _check(path, number, fields, width, labelled):
    place = f"{path}, line {number}"
    if labelled and (len(fields) == 1 or not fields[-1]):
        raise InputError(f"{place}: the word {fields[0]!r:.60} has no tag; a tag is needed in the last column.")
    if len(fields) > _MOST_COLUMNS:
        raise InputError(
            f"{place}: {len(fields)} columns, but CoNLL files have 1 to {_MOST_COLUMNS}: the word first, its tag last, "
            "separated by tabs or blanks."
        )
    if len(fields) != width:
        raise InputError(
            f"{place}: {len(fields)} columns, {' '.join(fields)!r:.60}, but the first line has {width}; separate words "
            "and tags by tabs if words contain blanks."
        )
