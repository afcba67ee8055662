"""Examples from files: TSV, CSV, JSONL, Parquet, plain text, TFRecord, raw GLUE folders, TensorFlow Datasets.

Everything streams: a reader holds one block of a file (at most 16 MiB) at a time.
"""

import codecs
import gzip
import json
import os

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import tensorflow as tf

from tfbert.core.errors import InputError

_BLOCK_BYTES = 16 * 2**20


def read_examples(
    location,
    text_column="text",
    text_pair_column=None,
    label_column=None,
    id_column=None,
    quoting="auto",
    split="train",
    limit=None,
):
    """Yields the examples of a data location, in order, one dict a row.

    Args:
        location: str. A path or glob, local or with a scheme that `tf.io.gfile` knows; the format follows the ending
            (.tsv, .csv, .jsonl, .parquet, .tfrecord, .txt, and each with .gz but Parquet). Or a raw GLUE folder, named
            after its task, as `glue_data/MRPC` or `glue_data/MRPC:dev`, whose columns are known. Or
            `tfds:NAME[/CONFIG]:SPLIT`, looked for where TFDS looks ($TFDS_DATA_DIR).
        text_column, text_pair_column, label_column, id_column: str or None. Names of the columns. A label and a text
            pair must be there if named; an id is taken where it is.
        quoting: "auto", "on" or "off". Whether a field of TSV and CSV may stand in double quotes; auto is on for CSV
            (RFC 4180) and off for TSV (GLUE's files hold stray quotes).
        split: str. The part of a GLUE folder to read, where the location names none.
        limit: int or None. Stop after so many rows.

    Yields:
        dict with `text` (str), `text_pair` (str), `label` (str, int, float or list), `id`, and `where` (file, line).

    Raises:
        InputError: a file or column is missing or empty, a row is damaged (its line is named), or text is not UTF-8.
    """
    columns = {"text": text_column, "text_pair": text_pair_column, "label": label_column, "id": id_column}
    columns = {role: name for role, name in columns.items() if name}
    if location.startswith("tfds:"):
        files = [(location, _read_tfds(location))]
    elif glue := _glue_file(location, split):
        path, glue_columns, header = glue
        columns = {role: name for role, name in glue_columns.items() if role in ("text", "text_pair", *columns)}
        files = [(path, _read_table(path, columns, "\t", quoted=False, header=header))]
    else:
        files = [(path, _reader(path, columns, quoting)) for path in _glob(location)]
    count = 0
    for path, rows in files:
        for line, row in rows:
            if count == limit:
                return
            yield _example(row, columns, (path, line))
            count += 1
    if count == 0:
        raise InputError(f"{location} holds no rows; at least one is needed.")


def scored_splits(location):
    """Returns the parts of a data location on which a model may be scored: all of a GLUE folder's but train, or one.

    Args:
        location: str, as `read_examples` takes it.

    Returns:
        list of str, each a `split` for `read_examples`; ["test"] where the location names its part, or has none.
    """
    if tf.io.gfile.isdir(location) and _is_glue_folder(location):
        names = (os.path.splitext(name) for name in tf.io.gfile.listdir(location))
        return sorted(name for name, ending in names if ending == ".tsv" and not name.startswith("train")) or ["test"]
    return ["test"]


def is_glue(location):
    """Says whether a data location is a raw GLUE folder, whose columns have names of their own."""
    return _is_glue_folder(location if tf.io.gfile.exists(location) else location.rpartition(":")[0])


def describe(where):
    """Returns a row's place for a message: (file, line) -> str."""
    return f"{where[0]}, line {where[1]}"


def _example(row, columns, where):
    example = {"where": where}
    for role, name in columns.items():
        if name not in row:
            if role == "id":
                continue
            raise InputError(
                f"{describe(where)}: there is no column {name!r}. The columns are {', '.join(map(repr, row))}; "
                f"name the right one with --{role}_column."
            )
        value = row[name]
        if role in ("text", "text_pair"):
            if value is None:
                raise InputError(f"{describe(where)}: column {name!r} is null; a text is needed (it may be empty).")
            value = value if isinstance(value, str) else str(value)
        elif role == "label" and value is None:
            raise InputError(f"{describe(where)}: column {name!r} is null; every row needs a label.")
        example[role] = value
    return example


def _glob(location):
    paths = sorted(tf.io.gfile.glob(location)) if any(c in location for c in "*?[") else [location]
    paths = [path for path in paths if not tf.io.gfile.isdir(path)] or paths[:1]
    if not paths or not tf.io.gfile.exists(paths[0]):
        raise InputError(
            f"{location}: no such file. A data location is a path, a glob, a GLUE folder or tfds:NAME:SPLIT."
        )
    if tf.io.gfile.isdir(paths[0]):
        raise InputError(
            f"{location} is a folder, and not one of GLUE's ({', '.join(_GLUE)}); name the file, or a glob such as "
            f"{os.path.join(location, '*.jsonl')}."
        )
    return paths


def _reader(path, columns, quoting):
    """Returns the rows of one file, (line, dict), by the reader that its ending asks for."""
    ending = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    if ending not in _READERS:
        raise InputError(f"{path}: the ending {ending!r} is not known. The known ones: {', '.join(_READERS)}.")
    return _READERS[ending](path, columns, quoting)


def _open(path):
    """Opens a file for reading bytes, unpacked if it ends in .gz."""
    file = tf.io.gfile.GFile(path, "rb") if "://" in path else open(path, "rb")
    return gzip.open(file) if path.endswith(".gz") else file


def _read_table(path, columns, delimiter, quoted, header=None):
    """Yields (line, row) of a delimited table; pyarrow parses it."""
    invalid = []

    def stop_at(row):
        invalid.append(row)
        return "error"

    read = pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False, column_names=header)
    parse = pyarrow.csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted, invalid_row_handler=stop_at
    )
    line = 0 if header else 1
    try:
        with _open(path) as file:  # pyarrow's own complaints of bytes that are no text say little
            codecs.getincrementaldecoder("utf-8")().decode(file.read(_BLOCK_BYTES))
        with _open(path) as file:
            names = pyarrow.csv.open_csv(file, read, parse).schema.names
        present = [name for name in columns.values() if name in names]
        convert = pyarrow.csv.ConvertOptions(
            column_types={name: pyarrow.string() for name in present},
            include_columns=present or names[:1],
            strings_can_be_null=False,
        )
        if _lacks_any(columns, names):  # `_example` names the missing one beside all that are there
            yield line + 1, dict.fromkeys(names, "")
            return
        with _open(path) as file:
            for batch in pyarrow.csv.open_csv(file, read, parse, convert):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except pyarrow.ArrowInvalid as error:
        raise _table_error(path, error, invalid, quoted) from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _lacks_any(columns, names):
    """Says whether a column that must be there, any but the id, is missing."""
    return any(name not in names for role, name in columns.items() if role != "id")


def _table_error(path, error, invalid, quoted):
    if "Empty CSV" in str(error):
        return InputError(f"{path} is empty; a header line and at least one row are needed.")
    if invalid:
        row = invalid[0]
        fewer = "few" if row.actual_columns < row.expected_columns else "many"
        hint = "" if quoted else " If its fields stand in double quotes, say --quoting=on."
        return InputError(
            f"{path}, line {_line_of_row(path, row.number)}: too {fewer} fields, {row.actual_columns} where the header "
            f"has {row.expected_columns}: {row.text[:80]!r}.{hint}"
        )
    if "UTF8" in str(error):
        return _not_utf8(path)
    return InputError(f"{path} cannot be read as a table: {error}")


def _line_of_row(path, row):
    """Returns the line at which the row stands: pyarrow counts rows, and skips empty lines."""
    with _open(path) as file:
        filled = (number for number, content in enumerate(file, 1) if content.strip(b"\r\n"))
        for _ in range(row - 1):
            next(filled)
        return next(filled)


def _not_utf8(path):
    with _open(path) as file:
        for number, content in enumerate(file, 1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                return InputError(
                    f"{path}, line {number}: not UTF-8 text (byte {content[error.start]:#04x}); convert the file, for "
                    "instance with `iconv -f ENCODING -t UTF-8`."
                )
    return InputError(f"{path} is not UTF-8 text.")


def _read_jsonl(path, columns, quoting):
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error}); one object a line is needed.") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: a {type(row).__name__}, where an object {{...}} is needed.")
        yield number, row


def _read_text(path, columns, quoting):
    for number, line in _lines(path):
        yield number, {"text": line.rstrip("\r\n")}


def _lines(path):
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _read_parquet(path, columns, quoting):
    try:
        with _open(path) as file, pyarrow.parquet.ParquetFile(file) as table:
            names = [name for name in columns.values() if name in table.schema_arrow.names]
            if _lacks_any(columns, names):
                names = table.schema_arrow.names
            line = 0
            for batch in table.iter_batches(batch_size=4096, columns=names):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from None


def _read_tfrecord(path, columns, quoting):
    records = tf.data.TFRecordDataset(path, compression_type="GZIP" if path.endswith(".gz") else "")
    try:
        for number, record in enumerate(records.as_numpy_iterator(), 1):
            features = tf.train.Example.FromString(record).features.feature
            yield number, {name: _feature_value(feature) for name, feature in features.items()}
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as TFRecord of tf.Example: {str(error).splitlines()[0]}") from None
    except Exception as error:
        if type(error).__name__ != "DecodeError":  # protobuf's, which each of its versions keeps elsewhere
            raise
        raise InputError(f"{path}, record {number}: not a tf.Example; write one tf.train.Example a record.") from None


def _feature_value(feature):
    values = getattr(feature, feature.WhichOneof("kind") or "bytes_list").value
    values = [value.decode("utf-8") if isinstance(value, bytes) else value for value in values]
    return values[0] if len(values) == 1 else list(values)


def _read_tfds(location):
    import tensorflow_datasets as tfds

    try:
        _, name, split = location.split(":", 2)
        dataset, info = tfds.load(name, split=split, shuffle_files=False, with_info=True)
    except Exception as error:  # TFDS raises whatever the data set's own code raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{location} cannot be had: {reason} A TFDS location is tfds:NAME[/CONFIG]:SPLIT, prepared under "
            "$TFDS_DATA_DIR or reachable for download."
        ) from None
    for number, row in enumerate(dataset.as_numpy_iterator(), 1):
        yield number, {key: _tfds_value(info.features[key], value) for key, value in row.items()}


def _tfds_value(feature, value):
    """Returns a TFDS value as plain Python, class numbers as their names."""
    inner = getattr(feature, "feature", feature)
    name = inner.int2str if hasattr(inner, "int2str") else lambda number: number
    if isinstance(value, bytes):
        return value.decode("utf-8")
    value = value.tolist()
    if isinstance(value, list):
        return [item.decode("utf-8") if isinstance(item, bytes) else name(item) for item in value]
    return name(value) if not isinstance(value, int) or value >= 0 else None


def _glue_file(location, split):
    """Returns (path, columns, header) of a raw GLUE folder's split, or None where the location is no such folder."""
    folder, _, named = location.rpartition(":") if not tf.io.gfile.exists(location) else (location, "", "")
    if not _is_glue_folder(folder):
        return None
    split = named or split
    path = os.path.join(folder, f"{split}.tsv")
    if not tf.io.gfile.exists(path):
        found = ", ".join(sorted(name for name in tf.io.gfile.listdir(folder) if name.endswith(".tsv"))) or "no .tsv"
        raise InputError(f"{path}: no such file; the GLUE folder {folder} holds {found}.")
    columns, header = _GLUE[_task_of(folder)]
    return path, columns, None if split.startswith("test") else header


def _is_glue_folder(folder):
    return _task_of(folder) in _GLUE and tf.io.gfile.isdir(folder)


def _task_of(folder):
    return os.path.basename(folder.rstrip("/"))


# Task -> the columns of its raw files, and the names of the columns where train and dev have no header.
_GLUE = {
    "CoLA": ({"text": "sentence", "label": "label", "id": "index"}, ["source", "label", "star", "sentence"]),
    "MNLI": ({"text": "sentence1", "text_pair": "sentence2", "label": "gold_label", "id": "index"}, None),
    "MRPC": ({"text": "#1 String", "text_pair": "#2 String", "label": "Quality", "id": "index"}, None),
    "QNLI": ({"text": "question", "text_pair": "sentence", "label": "label", "id": "index"}, None),
    "QQP": ({"text": "question1", "text_pair": "question2", "label": "is_duplicate", "id": "id"}, None),
    "RTE": ({"text": "sentence1", "text_pair": "sentence2", "label": "label", "id": "index"}, None),
    "SST-2": ({"text": "sentence", "label": "label", "id": "index"}, None),
    "STS-B": ({"text": "sentence1", "text_pair": "sentence2", "label": "score", "id": "index"}, None),
    "WNLI": ({"text": "sentence1", "text_pair": "sentence2", "label": "label", "id": "index"}, None),
}

_READERS = {
    ".tsv": lambda path, columns, quoting: _read_table(path, columns, "\t", quoted=quoting == "on"),
    ".csv": lambda path, columns, quoting: _read_table(path, columns, ",", quoted=quoting != "off"),
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
    ".tfrecord": _read_tfrecord,
    ".txt": _read_text,
}
