"""Which labels are one class, in which order they are numbered, and what a cell of several labels holds."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tfbert import TASKS, InputError, build_model, load_encoder, load_model, predict, save_model
from tfbert.tasks.labelled.labels import LabelSet, plain_label, reading, sorted_labels

WHERE = ("f", 1)
NUMBERS = st.integers(-12, 12)
LABEL = st.one_of(
    NUMBERS,
    NUMBERS.map(str),
    NUMBERS.map(lambda n: f"{n:+d}"),
    NUMBERS.map(lambda n: f"{n}.0"),
    NUMBERS.map(lambda n: f"0{n}"),
    NUMBERS.map(float),
    st.sampled_from(["a", "b ", " a", "e\u0301", "\u00e9", True, False, "true", "False", "2.50", "2.5", "1_0", "１"]),
)


def learn(labels, name="classification"):
    return TASKS[name].from_examples({"label": label, "where": ("f", n)} for n, label in enumerate(labels, 1))


@settings(max_examples=200, deadline=None)
@given(st.lists(LABEL, min_size=1, max_size=12), st.randoms())
def test_the_order_is_total_and_depends_on_the_labels_alone(labels, random):
    plain = [plain_label(label, WHERE) for label in labels]
    found = sorted_labels(plain)
    assert len({reading(label) for label in found}) == len(found)
    random.shuffle(plain)
    assert [(type(a), a) for a in sorted_labels(plain + plain[:3])] == [(type(a), a) for a in found]
    try:
        values = [int(label) for label in found]
    except ValueError:
        values = [str(label) for label in found]
    assert values == sorted(values)


@settings(max_examples=200, deadline=None)
@given(st.lists(LABEL, min_size=1, max_size=12))
def test_every_spelling_finds_its_class(labels):
    known = LabelSet(sorted_labels(plain_label(label, WHERE) for label in labels))
    for label in labels:
        assert reading(known.labels[known.index(label, WHERE)]) == reading(plain_label(label, WHERE))


def test_the_order_does_not_depend_on_the_seed_of_hashes():
    script = (
        "from tfbert.tasks.labelled.labels import sorted_labels\n"
        "print(sorted_labels(['1', '01', '001', 'x'[:0] + '2']), sorted_labels(['b', 1, '01', '1', 'a']))"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                         env={**os.environ, "PYTHONHASHSEED": seed})  # fmt: skip
        for seed in ("0", "1")
    ]
    assert {run.communicate()[0] for run in runs} == {"['001', '01', '1', '2'] ['01', 1, 'a', 'b']\n"}


@pytest.mark.parametrize(
    "labels,expected",
    [
        ([0, "0", 1, "1"], [0, 1]),
        (["0.0", "1.0", "0", "1"], ["0", "1"]),
        (["0.0", "1.0"], ["0.0", "1.0"]),
        (["pos", "pos ", "neg\u00a0", " neg"], ["neg", "pos"]),
        (["01", "1"], ["01", "1"]),
        (["+1", "-1"], ["-1", "+1"]),
        (["True", True, False], ["True", "false"]),
        (["e\u0301", "\u00e9", "x"], ["x", "\u00e9"]),
        ([np.int64(3), np.float32(1), np.str_("2")], [1, "2", 3]),
        ([b"a", b"b"], ["a", "b"]),
    ],
)
def test_classes(labels, expected):
    found = learn(labels).labels
    assert found == expected and [type(label) for label in found] == [type(label) for label in expected]


@pytest.mark.parametrize(
    "label", [None, float("nan"), 2.5, "", "  ", "\u200b", ["a"], {"a": 1}, "\ud800", float("inf")]
)
def test_what_is_no_class(label):
    with pytest.raises(InputError, match="f, line 2: the label .* is not a class"):
        learn(["a", label])


@pytest.mark.parametrize("labels", [["a", "a "], [0, "0"], ["1", "1.0"], [None, "a"], ["", "a"], [0.5, 1.5]])
@pytest.mark.parametrize("name", ["classification", "multilabel"])
def test_labels_that_cannot_be_told_apart_are_refused(name, labels):
    with pytest.raises(InputError, match="are the same label|A label is a text or a whole number"):
        TASKS[name](labels=labels)


@pytest.mark.parametrize("labels", [np.unique([1, 0, 1]), np.unique(["b", "a"]), np.unique([0.0, 1.0]), [False, True]])
def test_a_model_with_numpys_labels_can_be_saved(tiny, tmp_path, labels):
    task = TASKS["classification"](labels=labels)
    model = build_model(load_encoder(tiny), task, max_seq_length=16)
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    assert loaded.task.labels == task.labels == json.loads(json.dumps(task.labels))
    assert [task.encode_label(label, WHERE) for label in labels] == [0, 1]
    assert predict(loaded, ["a"])[0]["label"] in task.labels


@pytest.mark.parametrize("labels", [{"no", "yes"}, frozenset("ab"), "ab", {0: "no", 1: "yes"}, 2, None])
@pytest.mark.parametrize("name", ["classification", "multilabel"])
def test_labels_without_an_order_are_refused(name, labels):
    with pytest.raises(InputError, match="labels must be a list of labels, by number"):
        TASKS[name](labels)


LISTS = {
    '"toxic, rude","a"': ["a", "toxic, rude"],
    "toxic, rude": ["rude", "toxic"],
    "toxic;rude": ["rude", "toxic"],
    "toxic|rude": ["rude", "toxic"],
    "['toxic', 'rude']": ["rude", "toxic"],
    '["toxic", "rude"]': ["rude", "toxic"],
    "('toxic', 'rude')": ["rude", "toxic"],
    "{'toxic', 'rude'}": ["rude", "toxic"],
    "['toxic' 'rude']": ["rude", "toxic"],
    "['toxic'\n 'rude']": ["rude", "toxic"],
    "[np.str_('toxic'), np.str_('rude')]": ["rude", "toxic"],
    "array(['toxic', 'rude'], dtype=object)": ["rude", "toxic"],
    "[toxic, rude]": ["rude", "toxic"],
    "['Paris, France', \"it's\"]": ["Paris, France", "it's"],
    "[3, 5]": [3, 5],
    "3": ["3"],
}


@pytest.mark.parametrize("text", LISTS)
def test_a_text_that_stands_for_a_list(text):
    assert learn([text, "[]", ""], "multilabel").labels == LISTS[text]
    task = TASKS["multilabel"](LISTS[text])
    assert task.encode_label(text, WHERE).tolist() == [1] * len(LISTS[text])
    for empty in ("[]", "", "()", "{}", "set()", "array([], dtype=object)"):
        assert task.encode_label(empty, WHERE).sum() == 0


@pytest.mark.parametrize(
    "text",
    ["a, b; c", "[toxic rude]", "{'a': 1, 'b': 0}", "['a', b]", "[0 0 ... 0 1]", "['a', ['b']]", "['a",
     "x (a, b)", '"a,b"', "<tf.Tensor: shape=(2,), numpy=array([1, 0])>"],
)  # fmt: skip
def test_a_text_that_can_be_read_in_two_ways_is_refused(text):
    with pytest.raises(InputError, match="f, line 1: the label"):
        learn([text, "a,b"], "multilabel")


VECTORS = [
    [[1, 0, 1], [0, 1, 0]],
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]],
    [[True, False, True], [False, True, False]],
    ["[1, 0, 1]", "[0, 1, 0]"],
    ["tensor([1, 0, 1])", "tensor([0, 1, 0], dtype=torch.int32)"],
    ["[1 0 1]", "[0 1 0]"],
    ["[1. 0. 1.]", "[0. 1. 0.]"],
    ["1,0,1", "0,1,0"],
    ["1 0 1", "0 1 0"],
    ["array([1, 0, 1])", "array([0, 1, 0])"],
    [np.array([1, 0, 1]), np.array([0, 1, 0])],
]


@pytest.mark.parametrize("rows", VECTORS, ids=lambda rows: str(rows[0]))
def test_vectors_are_read_by_place(rows):
    task = learn(rows, "multilabel")
    assert task.labels == [0, 1, 2]
    for known in (task, TASKS["multilabel"](["a", "b", "c"])):
        assert [known.encode_label(row, WHERE).tolist() for row in rows] == [[1, 0, 1], [0, 1, 0]]
    assert task.encode_label([0, 2], WHERE).tolist() == [1, 0, 1]  # as predictions name them


@pytest.mark.parametrize(
    "rows",
    [[[1, 0, 1], [1, 0]], [[1, 0, 1], ["a"]], [[1, 0, 1], [1, 0, 1, 1]], [[1, 0], [0, 1]], [[1, 1], [0, 1]], [[0, 0]],
     [[-1, 1, -1], [1, 1, -1]], ["[-1, 0, 1, 0]"]],
)  # fmt: skip
def test_vectors_that_are_not_certain_are_refused(rows):
    with pytest.raises(InputError, match="f, line"):
        learn(rows, "multilabel")


def test_vectors_of_another_length_than_the_labels():
    with pytest.raises(InputError, match="f, line 1: 4 zeros and ones, but there are 3 labels"):
        TASKS["multilabel"](["a", "b", "c"]).encode_label([1, 0, 0, 1], WHERE)
    assert TASKS["multilabel"](["a", "b"]).encode_label([1, 0], WHERE).tolist() == [1, 0]
    assert learn([[0], [1], [0, 1]], "multilabel").encode_label([1, 0], WHERE).tolist() == [1, 1]
