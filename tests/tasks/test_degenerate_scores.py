"""Scores of the data sets that scikit-learn reads as something else: one label, one class, absent classes, one row."""

import warnings

import numpy as np
import pytest

from tfbert import TASKS
from tfbert.reports.quality import quality_sections
from tfbert.reports.statistics import bootstrap_intervals
from tfbert.tasks.labelled.mislabelled import likely_mislabelled
from tfbert.tasks.scores.resampled import resampled_metrics

ONE = np.array([[1], [0], [0], [0], [1]], np.uint8)
OF_ONE = np.array([[2.0], [-2.0], [0.5], [-1.0], [-0.5]], np.float32)


def outcomes(held, guessed):
    """Returns true positives, false positives and false negatives by a loop over the rows."""
    pairs = list(zip(held.ravel().tolist(), guessed.ravel().tolist()))
    return pairs.count((1, 1)), pairs.count((0, 1)), pairs.count((1, 0))


def f1(held, guessed):
    tp, fp, fn = outcomes(held, guessed)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


def area(held, scores):
    """Returns the share of pairs in the right order, ties half; None without pairs."""
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[held == 1] for b in scores[held == 0]]
    return np.mean(pairs) if pairs else None


def expected_of(labels, logits):
    """Returns what the scores of several labels are, by formulas."""
    guesses = (logits >= 0).astype(int)
    areas = [area(y, x) for y, x in zip(labels.T, logits.T)]
    areas = [found for found in areas if found is not None]
    return {
        "accuracy": (guesses == labels).all(axis=1).mean(),
        "f1_micro": f1(labels, guesses),
        "f1_macro": np.mean([f1(y, g) for y, g in zip(labels.T, guesses.T)]),
    } | ({"roc_auc": np.mean(areas)} if areas else {})


def test_one_label_has_the_f1_of_that_label():
    """tp, fp, fn = 1, 1, 1: scikit-learn takes one column for two classes, whose micro F1 is the accuracy, 0.6."""
    found = TASKS["multilabel"](["toxic"]).metrics(ONE, OF_ONE)
    assert found["f1_micro"] == found["f1_macro"] == 0.5 and found["accuracy"] == 0.6
    assert found["roc_auc"] == pytest.approx(5 / 6) and found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_the_report_and_the_bootstrap_of_one_label():
    task = TASKS["multilabel"](["toxic"])
    table = quality_sections(task, ONE, OF_ONE, "dev")[-1]
    assert "<td>toxic</td><td>2</td><td>2</td><td>0.5000</td><td>0.5000</td><td>0.5000</td><td>0.8333</td>" in table
    found = resampled_metrics(task, ONE, OF_ONE, np.ones((1, 5)))
    assert {name: values[0] for name, values in found.items()} == pytest.approx(task.metrics(ONE, OF_ONE))
    assert found.keys() == bootstrap_intervals(task, ONE, OF_ONE, resamples=20).keys()


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_several_labels_against_formulas(labels):
    """Random data sets of few rows, most of which lack a label, or have it everywhere."""
    task = TASKS["multilabel"]([str(number) for number in range(labels)])
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = rng.integers(1, 7)
        held = (rng.random((rows, labels)) < rng.choice([0.0, 0.2, 0.5, 1.0], labels)).astype(np.uint8)
        logits = rng.integers(-2, 3, (rows, labels)).astype(np.float32)
        found, expected = task.metrics(held, logits), expected_of(held, logits)
        assert {name: found[name] for name in expected} == pytest.approx(expected), seed
        assert found.keys() - expected.keys() <= {"average_precision", "expected_calibration_error"}
        resampled = resampled_metrics(task, held, logits, np.ones((1, rows)))
        assert {name: resampled[name][0] for name in found} == pytest.approx(found), seed


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_that_are_absent(classes):
    """Against formulas, without a warning; a class that neither occurs nor is answered has an F1 of 0."""
    task = TASKS["classification"]([str(number) for number in range(classes)])
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows = rng.integers(1, 7)
        labels = rng.integers(0, rng.integers(1, classes + 1), rows).astype(np.int32)
        logits = rng.integers(-2, 3, (rows, classes)).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = task.metrics(labels, logits)
        held, guessed = np.eye(classes, dtype=int)[labels], np.eye(classes, dtype=int)[logits.argmax(axis=1)]
        each = [f1(y, g) for y, g in zip(held.T, guessed.T)]
        assert found["f1_macro"] == pytest.approx(np.mean(each)) and found["accuracy"] == found["f1_micro"]
        assert found["f1"] == pytest.approx(each[1] if classes == 2 else np.mean(each))
        confusion = held.T @ guessed
        c, t, p = np.trace(confusion), held.sum(axis=0), guessed.sum(axis=0)
        spread = np.sqrt((rows**2 - p @ p) * (rows**2 - t @ t))
        assert found["mcc"] == pytest.approx((c * rows - t @ p) / spread if spread else 0.0), seed
        whole = (held.sum(axis=0) > 0).all()
        assert ("roc_auc" in found) == ("average_precision" in found) == whole
        resampled = resampled_metrics(task, labels, logits, np.ones((1, rows)))
        assert {name: resampled[name][0] for name in found} == pytest.approx(found), seed
        assert whole or np.isnan(resampled["roc_auc"][0])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_numbers(rows):
    task, labels = TASKS["regression"](), np.arange(rows, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = task.metrics(labels, np.zeros((rows, 1), np.float32))
        rising = task.metrics(labels, labels[:, np.newaxis] * 2)
    assert set(constant) == {"mean_squared_error"}
    assert rising.get("pearson", 1.0) == pytest.approx(1.0) and ("pearson" in rising) == (rows > 1)


def test_doubted_rows_of_one_label():
    pytest.importorskip("cleanlab")
    labels = (np.arange(60) % 3 == 0).astype(np.uint8)[:, np.newaxis]
    outputs = np.where(labels == 1, 4.0, -4.0).astype(np.float32) + np.linspace(-0.5, 0.5, 60)[:, np.newaxis]
    labels[[5, 30]] = 1 - labels[[5, 30]]
    assert set(likely_mislabelled(TASKS["multilabel"](["toxic"]), labels, outputs)) == {5, 30}


@pytest.mark.parametrize("name,labels", [("multilabel", np.ones((9, 1))), ("multilabel", np.ones((9, 2)))], ids=str)
def test_labels_that_hold_everywhere_are_doubted_nowhere(name, labels):
    """Confident learning compares the rows of a label with the others, and there are none."""
    pytest.importorskip("cleanlab")
    task = TASKS[name](["a", "b"][: labels.shape[1]])
    assert len(likely_mislabelled(task, labels.astype(np.uint8), np.zeros(labels.shape, np.float32))) == 0
