"""The small inputs of ../shared/cases, through the command line's own functions: each read right, or one sentence."""

import json
import re
import shutil
import types

import pytest

from tests.conftest import command
from tfbert import TASKS, InputError, build_model, load_config, load_encoder, save_model
from tfbert.modes.build import read_rows, task_of
from tfbert.modes.predict import predict_mode
from tfbert.modes.saved import text_columns


@pytest.fixture(scope="module")
def cases(shared):
    return shared / "cases"


def config_of(path, **settings):
    return load_config(train_file=str(path), preset="minilm", output_dir="unused", **settings)


def rows_of(path, **settings):
    config = config_of(path, **settings)
    return list(read_rows(config.data, TASKS[config.model.task], str(path), "train"))


def error_of(path, **settings):
    with pytest.raises(InputError) as caught:
        task = task_of(config_of(path, **settings))
        [task.encode_label(row["label"], row["where"]) for row in rows_of(path, **settings)]
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def test_a_table_from_excel_is_read(cases, capsys):
    path = cases / "01-excel-semicolon/train.csv"
    assert task_of(config_of(path)).labels == ["normal", "urgent"]
    assert rows_of(path)[0]["text"] == "the door will not open"
    assert "separated by ';'" in capsys.readouterr().out


def test_the_line_of_an_unknown_label(cases):
    task = task_of(config_of(cases / "02-quoted-newlines/train.csv"))
    with pytest.raises(InputError, match=re.escape("dev.csv, line 7: the label 'zzz'")):
        [task.encode_label(row["label"], row["where"]) for row in rows_of(cases / "02-quoted-newlines/dev.csv")]


@pytest.mark.parametrize(
    "path,message",
    [
        ("03-cr-line-ends/bad.csv", "line 4: too few fields"),
        ("05-parquet-columns/tokens.jsonl", "line 1: column 'text' holds a list"),
        ("05-parquet-columns/nan_text.jsonl", "line 1: column 'text' holds a float, nan"),
        ("06-parquet-not-utf8/latin1.parquet", "is not UTF-8 text (byte 0xe9)"),
        ("07-damaged-gzip/flipped_start.csv.gz", "cannot be read"),
        ("11-headers/repeated_inside.csv", "line 4: the header is repeated here"),
    ],
)
def test_what_is_told(cases, path, message):
    assert message in error_of(cases / path)


@pytest.mark.parametrize("name", ["mixed.jsonl", "floats.csv"])
def test_labels_that_read_the_same_are_one_class(cases, name):
    path = cases / "04-mixed-label-types" / name
    task = task_of(config_of(path))
    assert [str(label) for label in task.labels] == ["0", "1"]
    found = [task.encode_label(row["label"], row["where"]) for row in rows_of(path)]
    assert found == [int(float(row["label"])) for row in rows_of(path)]


def test_bytes_are_decoded(cases):
    assert rows_of(cases / "05-parquet-columns/binary.parquet")[0]["text"] == "café is open"


@pytest.mark.parametrize("name,labels", [("multihot.jsonl", [0, 1, 2]), ("repr_list.csv", ["rude", "toxic"])])
def test_several_labels(cases, name, labels):
    path = cases / "09-multi-hot" / name
    task = task_of(config_of(path, task="multilabel"))
    assert task.labels == labels
    found = [task.encode_label(row["label"], row["where"]).tolist() for row in rows_of(path)][:4]
    vectors = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert found == (vectors if name == "multihot.jsonl" else [[1, 1], [0, 1], [0, 0], [1, 0]])


def test_an_array_is_read(cases):
    assert len(rows_of(cases / "10-json-array/array.jsonl")) == 4


def test_a_name_with_brackets(cases):
    assert [row["text"] for row in rows_of(cases / "13-file-names/train[1].csv")] == ["one", "two"]


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """A folder with a model that was trained on a column `review`."""
    folder = tmp_path_factory.mktemp("saved")
    model = build_model(
        load_encoder(tiny), TASKS["classification"](["a", "b"]), max_seq_length=16, text_columns=("review",)
    )
    save_model(model, str(folder / "model"))
    return folder


def predicted(saved, tmp_path, path, **settings):
    config = load_config(
        mode="predict", preset=str(saved / "model"), output_dir=str(tmp_path), test_file=str(path), **settings
    )
    assert predict_mode(config)["examples"] > 0
    lines = (tmp_path / "predictions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line, parse_constant=lambda name: 1 / 0) for line in lines]


def test_a_column_that_is_named_wins_over_the_models(cases, saved, tmp_path):
    path = cases / "17-text-column-named-text/new.jsonl"
    assert len(predicted(saved, tmp_path, path, text_column="text")) == 3
    with pytest.raises(InputError, match="there is no column 'review'"):
        predicted(saved, tmp_path, path, overwrite=True)


@pytest.mark.parametrize(
    "own,settings,expected",
    [
        (("review",), {}, ("review", None)),
        (("review",), {"text_column": "text"}, ("text", None)),
        (("a", "b"), {}, ("a", "b")),
        (("a", "b"), {"text_column": "text"}, ("text", "b")),
        (("a", "b"), {"text_pair_column": "c"}, ("a", "c")),
    ],
)
def test_which_columns_are_read(own, settings, expected):
    """For evaluation and prediction alike."""
    assert text_columns(load_config(**settings).data, types.SimpleNamespace(text_columns=own)) == expected


def test_the_lines_of_plain_text_are_the_texts(saved, tmp_path):
    (tmp_path / "new.txt").write_bytes(b"one\r\rtwo\r\n")
    assert len(predicted(saved, tmp_path, tmp_path / "new.txt")) == 3


def test_the_flag_itself_wins(cases, saved, tmp_path):
    shutil.copy(cases / "17-text-column-named-text/new.jsonl", tmp_path / "new.jsonl")
    flags = ["--mode=predict", f"--preset={saved}/model", f"--output_dir={tmp_path}/out"]
    command(*flags, f"--test_file={tmp_path}/new.jsonl", "--text_column=text", check=0)


def test_ids_that_are_dates(cases, saved, tmp_path):
    found = predicted(saved, tmp_path, cases / "18-parquet-ids/date.parquet")
    assert [row["id"] for row in found][:3] == ["2024-01-01", "2024-01-02", "2024-01-03"]
