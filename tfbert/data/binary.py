"""Rows of binary files: Parquet, and TFRecord files of tf.Example."""

import io

import pyarrow
import pyarrow.parquet
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.lines import LONGEST, as_input_errors, is_packed, open_bytes
from tfbert.data.values import missing_column

# Rows decoded at a time. A file of a few kilobytes may store one long text that all its rows share.
_ROWS = 256


def read_parquet(path, columns):
    """Yields (number, row) of a Parquet file, from 1; texts as bytes, which need not be UTF-8.

    Args:
        path: str.
        columns: dict, role -> name of a column; all but the id must exist.

    Raises:
        InputError: the file cannot be read, or a column is missing or occurs twice.
    """
    if is_packed(path):
        raise InputError(f"{path}: gzipped Parquet is not supported, as Parquet is compressed already; unpack it.")
    with as_input_errors(path, "Parquet"), open_bytes(path) as file:
        with pyarrow.parquet.ParquetFile(file) as table:
            names, number = _present(columns, table.schema_arrow, path), 0
            for batch in table.iter_batches(_ROWS, columns=names):
                for row in zip(*(_values(batch.column(name)) for name in names)):
                    number += 1
                    yield number, dict(zip(names, row))


def _present(columns, schema, path):
    for role, name in columns.items():
        count = schema.names.count(name)
        if not count and role != "id":
            raise missing_column((path, 1), role, name, schema.names)
        if count > 1:
            raise InputError(f"{path}: {count} columns are called {name!r}; rename all but one.")
    return [name for name in dict.fromkeys(columns.values()) if name in schema.names]


def _values(column):
    """Returns the values of a column, with texts as bytes: pyarrow.Array -> list."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    as_bytes = _TEXTS.get(column.type)
    return (column.view(as_bytes) if as_bytes else column).to_pylist()


# String types, and the types of their raw bytes, which need not be UTF-8.
_TEXTS = {
    pyarrow.string(): pyarrow.binary(),
    pyarrow.large_string(): pyarrow.large_binary(),
    pyarrow.string_view(): pyarrow.binary_view(),
}


def read_tfrecord(path, columns):
    """Yields (number, row) of a file of tf.Example records, from 1; texts as bytes.

    Args:
        path: str.
        columns: dict, role -> name of a feature.

    Raises:
        InputError: the file cannot be read, or a record is damaged or not a tf.Example.
    """
    _check_lengths(path)
    names = set(columns.values())
    with as_input_errors(path, "TFRecord of tf.Example"):
        records = tf.data.TFRecordDataset(path, compression_type="GZIP" if is_packed(path) else "")
        for number, record in enumerate(records.as_numpy_iterator(), 1):
            features = _example(path, number, record).features.feature
            yield number, {name: _feature(feature) if name in names else None for name, feature in features.items()}


def _check_lengths(path):
    """Raises InputError if a record is too long: TensorFlow would allocate whatever length a record claims."""
    number = 0
    with open_bytes(path) as file:
        while len(head := file.read(12)) == 12:  # length and checksum, then the data and its checksum
            number, length = number + 1, int.from_bytes(head[:8], "little")
            if length > LONGEST:
                raise InputError(
                    f"{path} cannot be read as TFRecord of tf.Example: record {number} claims {length:,} bytes, "
                    f"but at most {LONGEST:,} are allowed."
                )
            file.read(length + 4) if is_packed(path) else file.seek(length + 4, io.SEEK_CUR)


def _example(path, number, record):
    try:
        return tf.train.Example.FromString(record)
    except Exception:  # protobuf's DecodeError, whose module differs between versions
        raise InputError(f"{path}, record {number}: not a tf.Example; write one tf.train.Example per record.") from None


def _feature(feature):
    """Returns the value of a feature, or the list of its values if there is not exactly one."""
    values = list(getattr(feature, feature.WhichOneof("kind") or "bytes_list").value)
    return values[0] if len(values) == 1 else values
