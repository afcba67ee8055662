"""What tasks tell a report: what the answers have wrong, the worst mistakes, what a linear model makes of vectors."""

import numpy as np
import pytest

from tfbert import TASKS
from tfbert.tasks.labelled.decision import Decision

RARE = np.array([0] * 88 + [1] * 12)
TWO, THREE = TASKS["classification"](["normal", "urgent"]), TASKS["classification"](["a", "b", "c"])


def answering(task, answers):
    """Returns outputs that answer so, the first ones with more certainty."""
    outputs = np.zeros((len(answers), task.outputs), np.float32)
    outputs[np.arange(len(answers)), answers] = np.linspace(3, 1, len(answers))
    return outputs


def remarks(task, labels, answers, given=frozenset()):
    outputs = answering(task, answers)
    return task.remarks(labels, outputs, task.metrics(labels, outputs), given)


def test_an_answer_that_is_given_too_often_or_never():
    [(sentence, flag)] = remarks(TWO, RARE, np.array([0] * 58 + [1] * 42))
    assert sentence == "It answers 'urgent' 3.5 times as often as it occurs (42 answers, 12 dev rows)"
    assert flag == "--tune_threshold=f1"
    [(sentence, flag)] = remarks(TWO, RARE, np.zeros(100, int))
    assert sentence.startswith("It never answers 'urgent', which 12 dev rows have; it ranks the texts with a ROC-AUC")
    assert flag == "--tune_threshold=f1"
    assert remarks(TWO, RARE, RARE) == []
    assert remarks(TWO, RARE[84:92], np.zeros(8, int)) == [], "four rows say nothing"


def test_no_threshold_is_asked_for_where_none_would_help():
    outputs = np.zeros((100, 2), np.float32)
    outputs[:, 0] = np.where(RARE == 1, 3, np.linspace(1, 2, 100))  # the rare texts rank lowest
    [(sentence, flag)] = TWO.remarks(RARE, outputs, TWO.metrics(RARE, outputs))
    assert sentence.endswith("a ROC-AUC of 0.0000, too low for another threshold to help") and flag == ""


def test_a_threshold_that_was_tuned_is_not_asked_for():
    task = TASKS["classification"](["normal", "urgent"])
    task.decision = Decision(thresholds=(0.4,))
    assert remarks(task, RARE, np.zeros(100, int)) == []


def test_remarks_on_several_classes():
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    never = remarks(THREE, labels, np.where(labels == 2, 1, labels))
    often = remarks(THREE, labels, np.where(labels == 0, 1, labels))
    assert never[0][0].startswith("It never answers 'c'") and never[0][1] == "--class_weights=balanced"
    assert [flag for _, flag in often] == ["--class_weights=balanced", ""]  # 'a' never, 'b' three times as often
    [(_, flag)] = remarks(THREE, labels, np.where(labels == 2, 1, labels), {"loss"})
    assert flag == "", "something is done for rare labels already"


def test_the_most_confident_mistakes_come_first():
    labels, outputs = np.array([0, 1, 1, 0]), np.float32([[2, 0], [1, 0], [3, 0], [0, 0.5]])
    found = TWO.mistakes(labels, outputs, 20)
    shares = [np.exp(3) / (1 + np.exp(3)), np.e / (1 + np.e), np.exp(0.5) / (1 + np.exp(0.5))]
    assert found == [
        (2, "urgent", "normal", f"{shares[0]:.4f}"),
        (1, "urgent", "normal", f"{shares[1]:.4f}"),
        (3, "normal", "urgent", f"{shares[2]:.4f}"),
    ]
    assert TWO.mistakes(labels, outputs, 1) == found[:1]


def test_mistakes_of_other_tasks():
    several = TASKS["multilabel"](["a", "b"])
    outputs = np.float32([[5, -5], [1, -3], [2, 2]])  # right; 'b' is missing; 'a' is too much
    found = several.mistakes(np.array([[1, 0], [1, 1], [0, 1]]), outputs, 20)
    assert found == [(1, "a, b", "a", "0.9526"), (2, "b", "a, b", "0.8808")]
    numbers = TASKS["regression"]()
    assert numbers.mistakes(np.float32([1, 2, 3]), np.float32([[1.5], [2], [0]]), 2) == [
        (2, "3", "0", "3"), (0, "1", "1.5", "0.5")
    ]  # fmt: skip
    assert TASKS["masked_lm"]().mistakes(None, None, 20) == [] and not TASKS["masked_lm"]().probed


VECTORS = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
SIDES = (VECTORS[:, :2] > 0).astype(np.uint8)


@pytest.mark.parametrize(
    "task,labels",
    [
        (TWO, SIDES[:, 0].astype(np.int32)),
        (THREE, VECTORS[:, :3].argmax(axis=1)),
        (TASKS["multilabel"](["x", "y"]), SIDES),
        (TASKS["regression"](), VECTORS @ np.arange(8, dtype=np.float32)),
    ],
    ids=["two", "three", "multilabel", "regression"],
)
def test_a_linear_model_learns_what_is_linear(task, labels):
    outputs = task.probe(VECTORS[:200], labels[:200], VECTORS[200:])
    assert task.probed and outputs.shape == (100, task.outputs) and outputs.dtype == np.float32
    found = task.metrics(labels[200:], outputs)
    assert found.get("accuracy", found.get("pearson")) > 0.85


def test_labels_of_which_there_is_one_only():
    assert TWO.probe(VECTORS, np.zeros(300, np.int32), VECTORS) is None
    unseen = THREE.probe(VECTORS, SIDES[:, 0].astype(np.int32), VECTORS)
    assert np.isfinite(unseen).all() and (unseen.argmax(axis=1) < 2).all()
    columns = np.stack([SIDES[:, 0], np.ones(300), np.zeros(300)], axis=1).astype(np.uint8)
    outputs = TASKS["multilabel"](["x", "all", "none"]).probe(VECTORS, columns, VECTORS)
    assert (outputs[:, 1] > 20).all() and (outputs[:, 2] < -20).all()
    assert not TASKS["classification"](range(101)).probed
