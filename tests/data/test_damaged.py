"""Files of unknown origin: whatever is in them, a reader gives rows or an InputError, within bounds."""

import gzip
import json
import struct
import tracemalloc
import zlib

import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfbert import InputError
from tfbert.data.sources import read_examples

ROWS = [{"text": f'a "text" é {n}', "label": "ab"[n % 2], "id": n} for n in range(20)]


def tfrecord(path):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in ROWS[:5]:
            feature = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode()]))
                for name, value in row.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def table(separator):
    rows = ["text,label,id", *(f'"{row["text"].replace(chr(34), "")}",{row["label"]},{row["id"]}' for row in ROWS)]
    return "\n".join(rows).replace(",", separator).encode()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The content of a good file of each ending."""
    folder = tmp_path_factory.mktemp("originals")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), folder / "a.parquet", row_group_size=5)
    tfrecord(folder / "a.tfrecord")
    plain = {
        ".csv": table(","),
        ".tsv": table("\t"),
        ".jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
        ".json": json.dumps(ROWS, indent=1).encode(),
        ".txt": "\n".join(row["text"] for row in ROWS).encode(),
        ".tfrecord": (folder / "a.tfrecord").read_bytes(),
        ".parquet": (folder / "a.parquet").read_bytes(),
    }
    return plain | {f"{ending}.gz": gzip.compress(content) for ending, content in plain.items()}


ENDINGS = [name + packed for name in (".csv", ".tsv", ".jsonl", ".json", ".txt", ".tfrecord", ".parquet")
           for packed in ("", ".gz")]  # fmt: skip
# A piece of a file is replaced by other bytes: where (of 1), how many go, what comes.
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), max_size=4)


def changed(content, changes):
    for where, length, new in changes:
        start = int(where * len(content))
        content = content[:start] + new + content[start + length :]
    return content


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(CHANGES, st.binary(max_size=60)), st.floats(0, 1), st.sampled_from(["auto", "on", "off"]))
def test_rows_or_an_input_error(originals, tmp_path, ending, change, end, quoting):
    content = change if isinstance(change, bytes) else changed(originals[ending], change)
    if end < 0.2:
        content = content[: int(5 * end * len(content))]
    path = tmp_path / f"data{ending}"
    path.write_bytes(content)
    try:
        for row in read_examples(str(path), label_column=None if ".txt" in ending else "label", id_column="id",
                                 quoting=quoting):  # fmt: skip
            assert type(row["text"]) is str and row["where"][1] > 0
            json.dumps(row.get("id"), allow_nan=False)
    except InputError as error:
        assert len(str(error)) < 1000


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".txt", ".json"])
def test_a_line_without_end_is_refused(tmp_path, ending):
    """A hundred kilobytes that unpack to a hundred megabytes."""
    path = tmp_path / f"bomb{ending}.gz"
    start = b'[{"text": "' if ending == ".json" else b'{"text": "' if ending == ".jsonl" else b"text,label\n"
    path.write_bytes(gzip.compress(start + b"a" * 10**8, 1))
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            list(read_examples(str(path)))
        assert tracemalloc.get_traced_memory()[1] < 8e8
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_far_more_than_text_does_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tfbert.data.lines._UNPACKED", 2**20)
    path = tmp_path / "bomb.txt.gz"
    path.write_bytes(gzip.compress(b"a\n" * 10**6))
    with pytest.raises(InputError, match="unpacks to more than 1,048,576 bytes, far more than text"):
        list(read_examples(str(path)))


def checksum(data):
    """CRC32C, masked as TFRecord has it: Castagnoli's polynomial, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_that_says_it_is_huge_takes_no_memory(tmp_path, packed):
    """TensorFlow's own reader ends the process with it."""
    length = struct.pack("<Q", 2**62)
    content = length + struct.pack("<I", checksum(length)) + b"x" * 100
    path = tmp_path / ("a.tfrecord.gz" if packed else "a.tfrecord")
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InputError, match="record 1 claims 4,611,686,018,427,387,904 bytes"):
        list(read_examples(str(path)))


def test_a_parquet_file_of_one_long_text_many_times(tmp_path):
    """100 kB that would be 4 GB in memory if each row had its own."""
    text = "a" * 10**6
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 4096, pyarrow.int32()), [text])
    path, table = tmp_path / "a.parquet", pyarrow.table({"text": column})
    pyarrow.parquet.write_table(table, path, compression="gzip", store_schema=False)
    before = pyarrow.total_allocated_bytes()
    rows = read_examples(str(path))
    assert len(next(rows)["text"]) == 10**6
    assert pyarrow.total_allocated_bytes() - before < 6e8
    assert sum(1 for _ in rows) == 4095


@pytest.mark.parametrize("at", [0, 5, 12, 400, -9, -1])
def test_damaged_gzip_is_one_sentence(tmp_path, at):
    content = bytearray(gzip.compress(b"text,label\n" + b"".join(b"a%d,x\n" % n for n in range(2000))))
    content[at] ^= 0xFF
    (tmp_path / "a.csv.gz").write_bytes(bytes(content))
    try:
        list(read_examples(str(tmp_path / "a.csv.gz"), label_column="label"))
    except InputError as error:
        assert "a.csv.gz" in str(error) and "\n" not in str(error)
    except zlib.error:
        raise AssertionError("zlib's own error") from None
