"""Examples from files: TSV, CSV, JSON, Parquet, CoNLL, plain text, TFRecord, raw GLUE folders, TensorFlow Datasets.

Everything streams: of a file that is larger, a few blocks or the longest row are in memory at a time.
"""

import glob
import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.network import check_storage
from tfbert.data.answers import answers_of
from tfbert.data.binary import read_parquet, read_tfrecord
from tfbert.data.conll import looks_like_conll, read_conll
from tfbert.data.glue import GLUE, glue_file
from tfbert.data.json_rows import read_json
from tfbert.data.lines import is_packed, numbered_lines, spreadsheet
from tfbert.data.squad import read_questions
from tfbert.data.tables import read_table
from tfbert.data.tfds_rows import read_tfds
from tfbert.data.values import decoded, describe, id_of, missing_column, text_of
from tfbert.data.words import tags_of, with_words


def read_examples(
    location,
    text_column="text",
    text_pair_column=None,
    label_column=None,
    id_column=None,
    quoting="auto",
    split="train",
    limit=None,
    delimiter=None,
    encoding=None,
    reads="texts",
):
    """Yields the examples of a data location, in order, one dict per row.

    Args:
        location: str. A path or glob, local or with a scheme that `tf.io.gfile` knows; the format follows the ending
            (.tsv, .csv, .jsonl, .json, .parquet, .tfrecord, .txt, .conll, and each with .gz but Parquet). Or a raw GLUE
            folder, named after its task, as `glue_data/MRPC` or `glue_data/MRPC:dev`, whose columns are known. Or
            `tfds:NAME[/CONFIG]:SPLIT`, looked for where TFDS looks ($TFDS_DATA_DIR). Or `-`: standard input, once.
        text_column, text_pair_column, label_column, id_column: str or None. Names of the columns. A label and a text
            pair must be there if named; an id is taken where it is. The lines of .txt are texts whatever the name.
        quoting: "auto", "on" or "off". Whether a field of TSV and CSV may stand in double quotes; auto is on for CSV
            (RFC 4180) and off for TSV (GLUE's files hold stray quotes).
        split: str. The part of a GLUE folder to read, where the location names none.
        limit: int or None. Stop after so many rows.
        delimiter: str or None. What separates the fields of TSV and CSV: a character, or "tab"; None: what their first
            line shows, which is told where it is not usual.
        encoding: str or None. That of text files, by its name in Python; None: UTF-8, or what a byte order mark or the
            first rows show, which is told.
        reads: what the columns hold. "texts"; "words": a text may be a list of words, whose label is then a list with a
            tag for each, and CoNLL files are read (`read_conll`), also from .txt if it has tags; "questions":
            pairs of question and context, whose label are answers (`answers_of`), and SQuAD's JSON is read.

    Yields:
        dict with `text` (str), `text_pair` (str), `label` (str, int, float or list), `id` (as `id_of` makes it), and
        `where` (file, line): the row's first line as an editor counts, of binary files its number. Words are also
        `words` (list of str), where they are listed or have tags; the label of a question is a list of (text, place).

    Raises:
        InputError: a file or column is missing or empty, a row is damaged or its text is no text (its line is named).
    """
    check_storage(location)
    columns = {"text": text_column, "text_pair": text_pair_column, "label": label_column, "id": id_column}
    columns = {role: name for role, name in columns.items() if name}
    try:
        columns, files = _sources(location, columns, (quoting, delimiter, encoding), split, reads)
    except tf.errors.OpError as error:
        raise InputError(f"{location} cannot be reached: {' '.join(error.message.split())}.") from None
    count = 0
    for path, rows in files:
        for line, row in rows:
            if count == limit:
                return
            yield _example(row, columns, (path, line), reads)
            count += 1
    if count == 0:
        raise InputError(f"{location} holds no rows; at least one is needed.")


def _sources(location, columns, form, split, reads):
    """Returns (columns, list of (path, rows)): by role, a GLUE folder's being its own; the rows of each file."""
    if location == "-":
        from tfbert.data.standard_input import NAME, read_standard_input

        return columns, [(NAME, read_standard_input(columns, form[2]))]
    if location.startswith("tfds:"):
        return columns, [(location, read_tfds(location, columns))]
    if glue := glue_file(location, split):
        path, own, header = glue
        columns = {role: name for role, name in own.items() if role in ("text", "text_pair", *columns)}
        return columns, [(path, read_table(path, columns, "\t", "off", header))]
    return columns, [(path, _reader(path, columns, *form, reads)) for path in _files_of(location)]


def _example(row, columns, where, reads):
    example = {"where": where}
    for role, name in columns.items():
        if name in row:
            example[role] = _READ_AS[reads][role](row[name], name, where)
        elif role != "id":
            raise missing_column(where, role, name, row)
    return with_words(example, columns["text"]) if reads == "words" else example


def _label(value, name, where):
    if value is None:
        raise InputError(f"{describe(where)}: column {name!r} is null; every row needs a label.")
    return decoded(value, name, where)


def _files_of(location):
    """Returns the files of a data location, in the order of their names: list of str, one at least."""
    found = [location] if tf.io.gfile.exists(location) else _matching(location)
    paths = [path for path in found if not tf.io.gfile.isdir(path)]
    if not found:
        raise InputError(
            f"{location}: no such file. A data location is a path, a glob, a GLUE folder or tfds:NAME:SPLIT."
        )
    if not paths:
        raise InputError(
            f"{location} is a folder, and not one of GLUE's ({', '.join(GLUE)}); name the file, or a glob such as "
            f"{os.path.join(location, '*.jsonl')}."
        )
    return paths


def _matching(pattern):
    """Returns the files that a glob matches, sorted; a folder that there is may have brackets in its name."""
    folder, name = os.path.split(pattern)
    folder = glob.escape(folder) if tf.io.gfile.exists(folder) else folder
    return sorted(tf.io.gfile.glob(os.path.join(folder, name)))


def _reader(path, columns, quoting, delimiter, encoding, reads):
    """Returns the rows of one file, (line, dict), by the reader that its ending asks for."""
    ending = os.path.splitext(path[: -len(".gz")] if is_packed(path) else path)[1].lower()
    if ending in _SPREADSHEETS:
        raise spreadsheet(path)
    if reads == "questions" and ending == ".json":
        return read_questions(path, columns, encoding, read_json)
    if reads == "words" and (ending in _CONLL or (ending == ".txt" and _has_tags(path, columns, encoding))):
        return read_conll(path, columns, encoding)
    if ending in _CONLL:
        raise InputError(f"{path} holds a tag for each word, which --task=tagging reads; other tasks read texts.")
    if ending not in _READERS:
        raise InputError(f"{path}: the ending {ending!r} is not known. The known ones: {', '.join(_READERS)}.")
    return _READERS[ending](path, columns, quoting, delimiter, encoding)


def _has_tags(path, columns, encoding):
    """Returns whether a .txt is in CoNLL's format: it is if tags are asked for, or if it looks like that."""
    return "label" in columns or looks_like_conll(path, encoding)


def _read_text(path, columns, encoding):
    """Yields (line, row) of plain text, one text per line, as the text column whatever its name."""
    for number, line in numbered_lines(path, encoding):
        yield number, {columns["text"]: line.rstrip("\r\n")}


def _table(separator):
    """Returns the reader of tables whose fields are usually separated by a character."""
    return lambda path, columns, quoting, *form: read_table(path, columns, separator, quoting, None, *form)


_TEXTS = {"text": text_of, "text_pair": text_of, "label": _label, "id": lambda value, name, where: id_of(value)}
# What columns hold -> role -> how a value is read: callable (value, name of the column, where).
_READ_AS = {
    "texts": _TEXTS,
    "words": _TEXTS | {"text": lambda value, name, where: value, "label": tags_of},
    "questions": _TEXTS | {"label": answers_of},
}

_CONLL = (".conll", ".bio", ".iob", ".iob2", ".iobes", ".bioes")
_SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
# Ending -> callable (path, columns, quoting, delimiter, encoding).
_READERS = {
    ".tsv": _table("\t"),
    ".csv": _table(","),
    ".jsonl": lambda path, columns, quoting, delimiter, encoding: read_json(path, columns, encoding),
    ".json": lambda path, columns, quoting, delimiter, encoding: read_json(path, columns, encoding),
    ".parquet": lambda path, columns, *form: read_parquet(path, columns),
    ".tfrecord": lambda path, columns, *form: read_tfrecord(path, columns),
    ".txt": lambda path, columns, quoting, delimiter, encoding: _read_text(path, columns, encoding),
}
