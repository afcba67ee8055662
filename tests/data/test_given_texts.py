"""Texts from Python: what is meant is taken, all else is refused in a sentence; the ids of what is predicted."""

import datetime
import decimal
import json

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from tfbert import (
    TASKS,
    AdamWeightDecay,
    InputError,
    build_model,
    evaluate,
    extract_features,
    fill_mask,
    linear_warmup,
    load_encoder,
    make_dataset,
    predict,
    train,
)
from tfbert.data.given_texts import given_texts
from tfbert.data.values import id_of
from tfbert.inference.features import vector_model, write_features
from tfbert.inference.predict import predict_file
from tfbert.tasks.masked_lm.model import build_pretraining_model

PAIR = ("a", "b")
FRAME = pandas.DataFrame({"text": ["x", "y"], "a": ["p", "q"], "b": ["r", "s"]})


@pytest.mark.parametrize(
    "texts,columns,expected",
    [
        (["x", "y"], ("text",), [("x",), ("y",)]),
        ([b"caf\xc3\xa9", np.str_("y")], ("text",), [("café",), ("y",)]),
        ([("x", "y")], ("text",), [("x", "y")]),
        ([["x", "y"]], PAIR, [("x", "y")]),
        (FRAME, ("text",), [("x",), ("y",)]),
        (FRAME, PAIR, [("p", "r"), ("q", "s")]),
        (FRAME["a"], ("text",), [("p",), ("q",)]),
        (FRAME[["a", "b"]].values, PAIR, [("p", "r"), ("q", "s")]),
        (FRAME.to_dict("records"), ("text",), [("x",), ("y",)]),
        (FRAME.to_dict("list"), PAIR, [("p", "r"), ("q", "s")]),
        (pyarrow.table({"text": ["x", "y"]}), ("text",), [("x",), ("y",)]),
        (pyarrow.array(["x", "y"]), ("text",), [("x",), ("y",)]),
        ((text for text in "xy"), ("text",), [("x",), ("y",)]),
        ([{"text": "x", "text_pair": "y"}], PAIR, [("x", "y")]),
        ([], ("text",), []),
    ],
)  # fmt: skip
def test_what_is_taken(texts, columns, expected):
    assert given_texts(texts, columns) == expected


WRONG = {
    "one text": "x",
    "bytes": b"x",
    "tokens": [["the", "printer"]],
    "more tokens": [["the", "printer", "is"]],
    "ids": [[101, 7592, 102]],
    "numbers": [1, 2],
    "null": ["x", None],
    "nan": ["x", float("nan")],
    "not UTF-8": [b"\xff"],
    "a number": 5,
    "a set": {"x", "y"},
    "three texts": [("x", "y", "z")],
    "some pairs": ["x", ("x", "y")],
    "a frame without the column": FRAME[["a", "b"]],
    "dicts without the column": [{"body": "x"}],
    "a dict of a text": {"text": "x"},
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_refused(kind):
    with pytest.raises(InputError) as caught:
        given_texts(WRONG[kind])
    assert len(str(caught.value)) < 250 and "text" in str(caught.value)


@pytest.fixture(scope="module")
def encoder(tiny):
    return load_encoder(tiny, dropout=0.0)


def model_of(encoder, columns=("text",)):
    return build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=16, text_columns=columns)


@pytest.mark.parametrize("kind", ["tokens", "nan", "a frame without the column", "dicts without the column"])
def test_every_function_that_takes_texts_refuses_them(encoder, kind):
    model = model_of(encoder)
    words = build_pretraining_model(encoder, TASKS["masked_lm"](), max_seq_length=16)
    for function in (
        lambda texts: predict(model, texts),
        lambda texts: extract_features(encoder, texts, max_seq_length=16),
        lambda texts: fill_mask(words, texts),
    ):
        with pytest.raises(InputError):
            function(WRONG[kind])


def test_columns_of_several_lengths():
    with pytest.raises(InputError, match="must have the same length. Received: 1 of 'a', 2 of 'b'"):
        given_texts({"a": ["x"], "b": ["y", "z"]}, PAIR)


def test_rows_and_columns_are_predicted_as_lists(encoder):
    model = model_of(encoder)
    expected = predict(model, ["x", "y"])
    assert predict(model, FRAME) == predict(model, FRAME.to_dict("records")) == expected
    assert predict(model_of(encoder, PAIR), FRAME) == predict(model_of(encoder, PAIR), [("p", "r"), ("q", "s")])


def test_single_texts_for_a_model_of_pairs(encoder, tmp_path):
    model = model_of(encoder, PAIR)
    with pytest.raises(InputError, match="trained on pairs of texts .a and b."):
        predict(model, ["x"])
    with pytest.raises(InputError, match="trained on pairs"):
        extract_features(model, ["x"])
    with pytest.raises(InputError, match="trained on pairs"):
        predict_file(model, [{"text": "x"}], str(tmp_path / "p.jsonl"), 4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("texts", [["x", None], [1.5], FRAME, {"a": 1}, [["x", "y"]], ["\ud800"]])
def test_a_tokenizer_takes_texts_only(encoder, texts):
    with pytest.raises(InputError, match="A tokenizer takes a list of texts"):
        encoder.tokenizer(texts)


EXAMPLES = {
    "nothing": ([], "There are no examples; at least one is needed"),
    "texts alone": (["x"], "Examples must be dicts with text, label etc., or .text, label.. Received: a str, 'x'"),
    "a frame without labels": (FRAME, "examples has the columns 'text', 'a', 'b', but 'text', 'label' is needed"),
    "a number": (3, "Examples must be a table, or a list of rows. Received: a int"),
    "no label": ([{"text": "x"}], "examples, line 1: the example has text, but every example needs text and label"),
    "no pair": ([{"text": "x", "text_pair": "y", "label": "no"}, {"text": "x", "label": "no"}], "examples, line 2"),
    "a pair": ([{"text": "x", "label": "no"}, {"text": "x", "text_pair": "y", "label": "no"}], "examples, line 2"),
    "no text": ([{"text": ["x"], "label": "no"}], "examples, line 1: column 'text' holds a list"),
    "nan": ([{"text": float("nan"), "label": "no"}], "examples, line 1: column 'text' holds a float"),
    "label": ([{"text": "x", "label": "maybe"}], "examples, line 1: the label 'maybe'"),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_examples_that_are_none(encoder, kind):
    examples, message = EXAMPLES[kind]
    with pytest.raises(InputError, match=message):
        make_dataset(examples, encoder.tokenizer, TASKS["classification"](["no", "yes"]))


LABELLED = pandas.DataFrame({"review": ["the printer", "is down", "ok"], "answer": ["is", "", "x"], "y": [1, 0, 1]})
ROWS = {
    "a frame": LABELLED,
    "a part of a frame, its index not from 0": pandas.concat([LABELLED, LABELLED])[3:],
    "a dict of lists": LABELLED.to_dict("list"),
    "a dict of arrays": {name: LABELLED[name].to_numpy() for name in LABELLED},
    "dicts with these columns": LABELLED.to_dict("records"),
    "Arrow": pyarrow.Table.from_pandas(LABELLED),
}
NAMES = {"text_column": "review", "text_pair_column": "answer", "label_column": "y"}


def test_rows_in_memory_make_the_same_dataset(encoder):
    arguments = encoder.tokenizer, TASKS["classification"]([0, 1])
    plain = [("the printer", "is", 1), ("is down", "", 0), ("ok", "x", 1)]
    usual = [dict(zip(("text", "text_pair", "label"), row)) for row in plain]
    expected = make_dataset(usual, *arguments).examples.fingerprint
    for what, rows in ROWS.items():
        assert make_dataset(rows, *arguments, **NAMES).examples.fingerprint == expected, what
    for rows in (plain, map(list, plain), usual, pandas.DataFrame(usual)):
        pair = {"text_pair_column": "text_pair"} if isinstance(rows, pandas.DataFrame) else {}
        assert make_dataset(rows, *arguments, **pair).examples.fingerprint == expected
    single = make_dataset(zip(LABELLED["review"], LABELLED["y"]), *arguments)
    names = {"text_column": "review", "label_column": "y"}
    assert single.examples.fingerprint == make_dataset(LABELLED, *arguments, **names).examples.fingerprint


def test_train_and_evaluate_take_a_frame(encoder):
    """Columns and lengths are the model's own; what is trained is as with a dataset that was made before."""
    frame = pandas.DataFrame({"a": ["the printer is down", "thanks"] * 8, "label": ["yes", "no"] * 8})
    losses, scores = [], []
    for made in (False, True):
        model = build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=16, text_columns=("a",))
        start = model.get_weights()
        data = frame
        if made:
            data = make_dataset(frame, model.tokenizer, model.task, 4, 16, seed=5, text_column="a")
        schedule = linear_warmup(1e-3, total_steps=6, warmup_steps=1)
        losses.append(train(model, data, AdamWeightDecay(schedule), steps=6, data_seed=5, batch_size=4).tolist())
        scores.append(evaluate(model, data))
        model.set_weights(start)
    assert losses[0] == losses[1] and scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_no_examples_are_no_predictions(encoder, tmp_path):
    """As of `predict(model, [])`; a file of the command line always has a row."""
    model = model_of(encoder)
    assert predict(model, []) == [] and predict_file(model, [], str(tmp_path / "p.jsonl"), 4) == 0
    assert (tmp_path / "p.jsonl").read_bytes() == b""
    for name in ("f.npy", "f.parquet"):
        assert write_features(vector_model(model), [], str(tmp_path / name), 4) == 0
    assert np.load(tmp_path / "f.npy").shape == (0, 32)
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet").column_names == ["vector"]


IDS = {
    "1": (datetime.date(2024, 1, 2), "2024-01-02"),
    "2": (datetime.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
    "3": (decimal.Decimal("1.50"), "1.50"),
    "4": (decimal.Decimal("NaN"), "NaN"),
    "5": (b"caf\xc3\xa9", "café"),
    "6": (b"\xff\x00", "ff00"),
    "7": (float("nan"), None),
    "8": (float("inf"), None),
    "9": (pandas.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
    "10": (np.int64(3), 3),
    "11": (np.float32("nan"), None),
    "12": ([1, b"x"], [1, "x"]),
    "13": ({"a": float("nan")}, {"a": None}),
    "14": (datetime.timedelta(days=1), "1 day, 0:00:00"),
    "15": ("half \ud800", "half \ud800"),
    "16": (True, True),
    "17": (2.5, 2.5),
    "18": (None, None),
}


@pytest.mark.parametrize("name", IDS)
def test_ids(name):
    value, expected = IDS[name]
    assert id_of(value) == expected and type(id_of(value)) is type(expected)
    json.dumps(id_of(value), allow_nan=False)


def test_ids_in_files(encoder, tmp_path):
    model = model_of(encoder)
    rows = [{"text": "x", "id": value} for value, _ in IDS.values()]
    predict_file(model, rows, str(tmp_path / "p.jsonl"), 4)
    written = (tmp_path / "p.jsonl").read_text("utf-8").splitlines()
    lines = [json.loads(line, parse_constant=lambda name: 1 / 0) for line in written]
    assert [line["id"] for line in lines] == [expected for _, expected in IDS.values()]
    write_features(vector_model(model), rows, str(tmp_path / "f.parquet"), 4)
    found = pyarrow.parquet.read_table(tmp_path / "f.parquet")["id"].to_pylist()
    assert found[:3] == ["2024-01-02", "2024-01-02T03:04:05", "1.50"] and found[6] is None and found[14] == "half ?"


def test_ids_that_begin_late(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("tfbert.inference.predict._CHUNK", 2)
    rows = [{"text": "x"}, {"text": "y"}, {"text": "z", "id": "late"}]
    write_features(vector_model(model_of(encoder)), rows, str(tmp_path / "f.parquet"), 4)
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet")["id"].to_pylist() == [None, None, "late"]


def test_masked_words_are_not_made_of_rows(tiny):
    with pytest.raises(InputError, match="made of documents; train it with tfbert.run"):
        make_dataset([("a", 1)], load_encoder(tiny).tokenizer, TASKS["masked_lm"]())
