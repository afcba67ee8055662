"""Every kind of data location, and what is said of damaged ones."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tfbert import InputError
from tfbert.data.sources import read_examples

ROWS = [
    {"text": 'She said "no" twice', "label": "b", "id": "1"},
    {"text": '"unbalanced', "label": "a", "id": "2"},
    {"text": "中文 👍🏽 café", "label": "a", "id": "3"},
    {"text": "", "label": "b", "id": "4"},
    {"text": "NA", "label": "null", "id": "5"},
]


def read(location, **kwargs):
    options = {"label_column": "label", "id_column": "id"} | kwargs
    return [
        {key: value for key, value in row.items() if key != "where"} for row in read_examples(str(location), **options)
    ]


def write_tsv(path, rows=ROWS):
    path.write_text("text\tlabel\tid\n" + "".join(f"{r['text']}\t{r['label']}\t{r['id']}\n" for r in rows), "utf-8")
    return path


def write_csv(path):
    import csv

    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "label", "id"])
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def write_jsonl(path):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    return path


def write_parquet(path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=2)
    return path


def write_tfrecord(path):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in ROWS:
            feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])) for k, v in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return path


WRITERS = {
    "tsv": write_tsv,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "tfrecord": write_tfrecord,
}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_rows(tmp_path, ending):
    assert read(WRITERS[ending](tmp_path / f"data.{ending}")) == ROWS


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl", "tfrecord"])
def test_gzip(tmp_path, ending):
    plain = WRITERS[ending](tmp_path / f"data.{ending}")
    packed = tmp_path / f"data.{ending}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read(packed) == ROWS


def test_glob_takes_files_in_order_of_name(tmp_path):
    write_tsv(tmp_path / "part-1.tsv", ROWS[:2])
    write_tsv(tmp_path / "part-2.tsv", ROWS[2:])
    assert read(tmp_path / "part-*.tsv") == ROWS


def test_plain_text(tmp_path):
    (tmp_path / "texts.txt").write_bytes("one\r\n\n中文\n".encode())
    assert read(tmp_path / "texts.txt", label_column=None) == [{"text": "one"}, {"text": ""}, {"text": "中文"}]


def test_byte_order_mark(tmp_path):
    for ending in ("tsv", "jsonl"):
        path = WRITERS[ending](tmp_path / f"data.{ending}")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert read(path) == ROWS


def test_quoted_fields_over_several_lines(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('label,text\nx,"two\nlines, ""quoted"""\n', "utf-8")
    assert read(path) == [{"text": 'two\nlines, "quoted"', "label": "x"}]
    path = tmp_path / "data.tsv"
    path.write_text('label\ttext\nx\t"tab\there"\n', "utf-8")
    assert read(path, quoting="on") == [{"text": "tab\there", "label": "x"}]


def test_unquoted_csv(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('text,label\n"half a quote,x\n', "utf-8")
    assert read(path, quoting="off") == [{"text": '"half a quote', "label": "x"}]


def test_types_of_labels_are_kept(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"t": 1, "label": 3}\n{"t": "x", "label": [1, "a"]}\n{"t": "y", "label": 2.5}\n')
    assert [row["label"] for row in read(path, text_column="t")] == [3, [1, "a"], 2.5]
    assert read(path, text_column="t")[0]["text"] == "1"


def test_pairs_and_limit(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({"a": f"a{i}", "b": f"b{i}"}) + "\n" for i in range(9)))
    rows = read(path, text_column="a", text_pair_column="b", label_column=None, limit=2)
    assert rows == [{"text": "a0", "text_pair": "b0"}, {"text": "a1", "text_pair": "b1"}]


def test_a_long_document(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("text\tlabel\n" + "word " * 100_000 + "\tx\n")
    assert len(read(path)[0]["text"]) == 500_000


GLUE = {
    "CoLA": ("gj04\t1\t\tThe \"sailors rode.\ngj04\t0\t*\tBreeze.\n", [('The "sailors rode.', None, "1"), ("Breeze.", None, "0")]),
    "MRPC": ("\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe \"said.\tShe said.\n", [('He "said.', "She said.", "1")]),
    "SST-2": ("sentence\tlabel\nhide new \t0\n", [("hide new ", None, "0")]),
    "STS-B": ("index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
              "0\tg\tf\t2012\t1\tnone\tnone\tA plane.\tAn air plane.\t5.000\n", [("A plane.", "An air plane.", "5.000")]),
    "RTE": ("index\tsentence1\tsentence2\tlabel\n0\tNo weapons.\tWeapons.\tnot_entailment\n", [("No weapons.", "Weapons.", "not_entailment")]),
    "QNLI": ("index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tentailment\n", [("When?", "Then.", "entailment")]),
    "QQP": ("id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tA?\tB?\t0\n", [("A?", "B?", "0")]),
    "WNLI": ("index\tsentence1\tsentence2\tlabel\n0\tI stuck.\tA pin.\t1\n", [("I stuck.", "A pin.", "1")]),
}  # fmt: skip


@pytest.mark.parametrize("task", GLUE)
def test_raw_glue_folders(tmp_path, task):
    content, expected = GLUE[task]
    folder = tmp_path / "glue_data" / task
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text(content, "utf-8")
    rows = read(folder, id_column=None)
    assert [(row["text"], row.get("text_pair"), row["label"]) for row in rows] == expected
    assert read(f"{folder}:train", id_column=None) == rows
    with pytest.raises(InputError, match="holds train.tsv"):
        read(folder, split="dev")


def test_glue_test_split_of_cola_has_a_header(tmp_path):
    folder = tmp_path / "CoLA"
    folder.mkdir()
    (folder / "test.tsv").write_text("index\tsentence\n0\tBill whistled.\n", "utf-8")
    assert read(folder, split="test", label_column=None) == [{"text": "Bill whistled.", "id": "0"}]


TFDS_LABELS = {"label": ["normal", "urgent"], "tags": [[], ["network", "billing"]], "score": [0.5, 2.0], "stance": [-1, 0]}
TFDS_SCRIPT = """
import json, sys
from tfbert import InputError
from tfbert.data.sources import read_examples
found = {}
for label in sys.argv[1:]:
    rows = read_examples("tfds:support_desk/short:train", text_column="sentence", label_column=label, id_column="idx")
    found[label] = sorted([{k: v for k, v in row.items() if k != "where"} for row in rows], key=lambda row: row["id"])
try:
    list(read_examples("tfds:support_desk/long:train", text_column="sentence", label_column="label"))
except InputError as error:
    found["refused"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    import tensorflow_datasets as tfds

    class SupportDesk(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="short", version="1.0.0")]

        def _info(self):
            features = {
                "sentence": tfds.features.Text(), "idx": tfds.features.Scalar(np.int32), "score": tfds.features.Scalar(np.float32),
                "label": tfds.features.ClassLabel(names=["normal", "urgent"]),
                "tags": tfds.features.Sequence(tfds.features.ClassLabel(names=["billing", "network"])),
                "stance": tfds.features.Scalar(np.int64),
                "nested": {"a": tfds.features.Sequence({"b": tfds.features.Text()}), "c": tfds.features.Scalar(np.int32)},
            }  # fmt: skip
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, download_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"sentence": "All is well 中", "idx": 10, "score": 0.5, "label": "normal", "tags": [],
                      "stance": -1, "nested": {"a": {"b": ["x"]}, "c": 1}}
            yield 1, {"sentence": "Fire!", "idx": 11, "score": 2.0, "label": "urgent", "tags": ["network", "billing"],
                      "stance": 0, "nested": {"a": {"b": []}, "c": 2}}  # fmt: skip

    folder = tmp_path_factory.mktemp("tfds")
    SupportDesk(data_dir=str(folder), config="short").download_and_prepare()
    return folder


@pytest.fixture(scope="module")
def tfds_read(tfds_folder):
    """What a process reads whose TFDS_DATA_DIR is that folder: label column -> rows, and what is refused."""
    result = subprocess.run([sys.executable, "-c", TFDS_SCRIPT, *TFDS_LABELS], capture_output=True, text=True, cwd=ROOT,
                            env={**os.environ, "TFDS_DATA_DIR": str(tfds_folder)})  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


@pytest.mark.parametrize("label,expected", TFDS_LABELS.items(), ids=TFDS_LABELS)
def test_tensorflow_datasets(tfds_read, label, expected):
    rows = tfds_read[label]
    assert [row["label"] for row in rows] == expected
    assert [(row["text"], row["id"]) for row in rows] == [("All is well 中", 10), ("Fire!", 11)]


def test_tensorflow_datasets_that_is_not_there(tfds_read):
    assert tfds_read["refused"].startswith("tfds:support_desk/long:train cannot be loaded")


def error_of(location, **kwargs):
    with pytest.raises(InputError) as caught:
        read(location, **kwargs)
    return str(caught.value)


def test_missing_file(tmp_path):
    assert "no such file" in error_of(tmp_path / "none.tsv")
    assert "no such file" in error_of(tmp_path / "none-*.tsv")


def test_unknown_ending_and_folder(tmp_path):
    (tmp_path / "data.xlt").write_text("x")
    assert "'.xlt' is not known. The known ones: .tsv, .csv" in error_of(tmp_path / "data.xlt")
    assert "is a folder" in error_of(tmp_path)


@pytest.mark.parametrize("ending", WRITERS)
def test_missing_column(tmp_path, ending):
    path = WRITERS[ending](tmp_path / f"data.{ending}")
    message = error_of(path, text_column="body")
    assert "there is no column 'body'. The columns are 'text', 'label', 'id'" in message or ending == "tfrecord"
    assert "--text_column" in message


def test_empty_files(tmp_path):
    for name in ("a.tsv", "a.csv", "a.jsonl", "a.tfrecord"):
        (tmp_path / name).write_bytes(b"")
        assert "empty" in error_of(tmp_path / name) or "no rows" in error_of(tmp_path / name)
    (tmp_path / "b.tsv").write_text("text\tlabel\n")
    assert "holds no rows" in error_of(tmp_path / "b.tsv")


def test_row_with_too_few_fields_names_its_line(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("text\tlabel\nfine\tx\n\nbroken\nfine\ty\n")
    assert f"{path}, line 4: too few fields, 1 where the header has 2: 'broken'" in error_of(path)
    path.write_text("text\tlabel\na\tb\tc\n")
    assert "line 2: too many fields, 3" in error_of(path)


def test_not_utf8_names_its_line(tmp_path):
    for name, content in (("a.tsv", b"text\tlabel\ngood\tx\n\xef\xf0\xe8\xe2\xe5\tx\n"), ("a.txt", b"one\ntwo\n\xef\xf0\xe8\xe2\xe5\n")):
        (tmp_path / name).write_bytes(content)
        assert "line 3: not UTF-8 text (byte 0xef)" in error_of(tmp_path / name, label_column=None)
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "\xef\xf0\xe8\xe2\xe5"}\n')
    assert "line 1: not UTF-8" in error_of(tmp_path / "a.jsonl", label_column=None)
    (tmp_path / "picture.tsv").write_bytes(bytes(range(256)) * 20)
    assert "not UTF-8 text" in error_of(tmp_path / "picture.tsv")


def test_bad_json_names_its_line(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": "a"}\n{"text": \n')
    assert "line 2: not JSON" in error_of(path, label_column=None)
    path.write_text('["text"]\n')
    assert "line 1: expected an object {...} or a list of objects" in error_of(path, label_column=None)


def test_null_text_and_label(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"text": null, "label": 1}\n')
    assert "column 'text' is null" in error_of(path)
    path.write_text('{"text": "a", "label": null}\n')
    assert "column 'label' is null" in error_of(path)


def test_damaged_binary_files(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nonsense")
    assert "cannot be read as Parquet" in error_of(tmp_path / "a.parquet")
    (tmp_path / "a.tfrecord").write_bytes(b"nonsense" * 10)
    assert "cannot be read as TFRecord" in error_of(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(str(tmp_path / "b.tfrecord")) as writer:
        writer.write(b"\xff\xff\xff")
    assert "not a tf.Example" in error_of(tmp_path / "b.tfrecord")
    (tmp_path / "a.jsonl.gz").write_bytes(b"not gzip")
    assert "cannot be read" in error_of(tmp_path / "a.jsonl.gz")


def test_brackets_in_a_name_are_a_glob_only_where_no_file_is_called_so(tmp_path):
    write_tsv(tmp_path / "train[1].tsv", ROWS[:2])
    write_tsv(tmp_path / "train1.tsv", ROWS[2:])
    assert read(tmp_path / "train[1].tsv") == ROWS[:2]
    (tmp_path / "train[1].tsv").unlink()
    assert read(tmp_path / "train[1].tsv") == ROWS[2:]
    folder = tmp_path / "run [1]"
    folder.mkdir()
    write_tsv(folder / "a.tsv", ROWS[:2])
    assert read(folder / "*.tsv") == ROWS[:2]


@pytest.mark.parametrize("ending", ["tsv", "jsonl", "parquet", "tfrecord"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_files_that_only_tensorflow_reaches(tmp_path, ending, packed):
    """`ram://` stands for gs://: a scheme that Python's own `open` does not know."""
    content = WRITERS[ending](tmp_path / f"data.{ending}").read_bytes()
    path = f"ram://{tmp_path}/data.{ending}{packed}"
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(gzip.compress(content) if packed else content)
    if (ending, packed) == ("parquet", ".gz"):
        assert "gzipped Parquet is not supported" in error_of(path)
    else:
        assert read(path) == ROWS


def test_a_scheme_that_nobody_knows():
    assert "nowhere://data.tsv cannot be reached: File system scheme" in error_of("nowhere://data.tsv")


def test_binary_features_that_nobody_asks_for_do_no_harm(tmp_path):
    feature = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
               for name, value in (("text", b"caf\xc3\xa9"), ("picture", b"\xff\xd8"))}  # fmt: skip
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    assert read(tmp_path / "a.tfrecord", label_column=None) == [{"text": "café"}]
    message = error_of(tmp_path / "a.tfrecord", text_column="picture", label_column=None)
    assert "column 'picture' is not UTF-8 text" in message


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, True, float("nan"), float("inf"), b"\xff", ["a"]])
def test_a_text_that_is_none_is_refused_with_its_row(tmp_path, value):
    path = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [value], "label": ["x"]}), path)
    assert f"{path}, line 1: column 'text'" in error_of(path)


@pytest.mark.parametrize("value,expected", [(3, "3"), (2.5, "2.5")])
def test_numbers_are_texts(tmp_path, value, expected):
    pyarrow.parquet.write_table(pyarrow.table({"text": [value], "label": [b"x"]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [{"text": expected, "label": "x"}]
