"""Thresholds are the best there are: against the scores at every threshold, by brute force."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax

from tfbert import TASKS, InputError, load_config, run
from tfbert.tasks.labelled.calibration import THRESHOLD_METRICS, best_threshold, describe_fit, fit_decision
from tfbert.tasks.labelled.decision import Decision


def f1(held, guessed):
    right, answered = (held & guessed).sum(), guessed.sum()
    precision, recall = right / max(answered, 1), right / max(held.sum(), 1)
    return 2 * precision * recall / (precision + recall) if right else 0.0


def correlation(held, guessed):
    x, y = held - held.mean(), guessed - guessed.mean()
    return (x * y).mean() / np.sqrt((x * x).mean() * (y * y).mean()) if x.any() and y.any() else 0.0


SCORES = {
    "accuracy": lambda held, guessed: (held == guessed).mean(),
    "balanced_accuracy": lambda held, guessed: np.mean([(guessed == held)[held == k].mean() for k in np.unique(held)]),
    "f1": f1,
    "mcc": correlation,
}
NEAR = [0.0, 5e-324, 1e-300, np.nextafter(0.5, 0), 0.5, np.nextafter(0.5, 1), np.nextafter(1.0, 0), 1.0]
PROBABILITIES = st.one_of(st.floats(0, 1), st.sampled_from(NEAR), st.integers(0, 4).map(lambda tenth: tenth / 10))


def highest(labels, probabilities, metric):
    """Returns the best score of all answers that a threshold can give: everything from each probability on, nothing."""
    return max(score_at(t, labels, probabilities, metric) for t in (*np.unique(probabilities), np.inf))


def score_at(threshold, labels, probabilities, metric):
    return SCORES[metric](labels.astype(bool), probabilities >= threshold)


@pytest.mark.parametrize("metric", THRESHOLD_METRICS)
@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(st.tuples(st.booleans(), PROBABILITIES), min_size=1, max_size=9))
@example(rows=[(False, 1.0), (False, 1.0), (True, 1.0)])  # nothing is to be answered, and no probability is above
@example(rows=[(True, np.nextafter(0.5, 1)), (False, 0.5)])  # their middle is one of them
@example(rows=[(True, 0.1)] + [(False, 0.2)] * 19)
@example(rows=[(False, 0.7)] * 3)
@example(rows=[(True, 0.2)] * 3)
def test_no_threshold_is_better(metric, rows):
    labels, probabilities = np.array([held for held, _ in rows], int), np.array([value for _, value in rows])
    threshold = best_threshold(labels, probabilities, metric)
    assert np.isfinite(threshold)
    if len(set(labels)) == 1:
        assert threshold == 0.5  # one answer would always be right: that is not learned from these rows
    else:
        found = score_at(threshold, labels, probabilities, metric)
        assert found == pytest.approx(highest(labels, probabilities, metric), abs=1e-12)


def test_of_single_precision():
    """A threshold between two neighbours of float32 is one of float32, too: their middle in float64 is another."""
    low = np.float32(0.3)
    values = np.array([low, np.nextafter(low, np.float32(1))])
    threshold = best_threshold(np.array([0, 1]), values, "accuracy")
    assert (values >= threshold).tolist() == (values.astype(np.float64) >= threshold).tolist() == [False, True]


@pytest.mark.parametrize("metric", THRESHOLD_METRICS)
def test_of_many_data_sets_none_has_a_better_threshold(metric):
    """From 2 to 50 rows, rare and frequent labels, few and many ties."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        rows, share, digits = rng.integers(2, 50), rng.choice([0.05, 0.2, 0.5, 0.95]), rng.choice([1, 2, 6])
        labels = (rng.random(rows) < share).astype(int)
        probabilities = np.round(np.clip(rng.normal(0.4 + 0.1 * labels, 0.3), 0, 1), digits)
        if 0 < labels.sum() < rows:
            found = score_at(best_threshold(labels, probabilities, metric), labels, probabilities, metric)
            assert found == pytest.approx(highest(labels, probabilities, metric), abs=1e-12), seed


def test_nothing_is_answered_where_that_is_best():
    """Nineteen of twenty rows are negative, and the positive one is the least likely: 0.95, not 0.90."""
    labels, probabilities = np.array([1] + [0] * 19), np.linspace(0.1, 0.6, 20)
    threshold = best_threshold(labels, probabilities, "accuracy")
    assert threshold > 0.6 and score_at(threshold, labels, probabilities, "accuracy") == 0.95


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("metric", THRESHOLD_METRICS)
@pytest.mark.parametrize("name", ["classification", "multilabel"])
def test_the_saved_threshold_gives_the_best_score(name, metric, calibrate):
    """With logits of float32, some equal, neighbours or saturated; after the temperature, and through JSON."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        logits = (rng.choice([0.5, 5, 60]) * rng.normal(size=(30, 2))).astype(np.float32)
        logits[::3, 1], logits[1::7, 1] = logits[0, 1], np.nextafter(logits[0, 1], np.float32(9))
        labels = (rng.random((30, 2)) < 0.3).astype(np.uint8)
        labels[:2] = [[0, 1], [1, 0]]
        labels = labels if name == "multilabel" else labels[:, 0].astype(np.int32)
        task = TASKS[name](["no", "yes"])
        fitted = fit_decision(task, labels, logits, calibrate, metric)
        task.decision = Decision(**json.loads(json.dumps(dataclasses.asdict(fitted))))
        outputs = task.decision.calibrated(logits)
        guesses = task.guesses(outputs).reshape(30, -1)
        outputs = outputs.astype(np.float64)
        columns = expit(outputs) if name == "multilabel" else softmax(outputs, axis=1)[:, 1:]
        for held, guessed, column in zip(labels.reshape(30, -1).T, guesses.T, columns.T):
            found = SCORES[metric](held.astype(bool), guessed.astype(bool))
            assert found == pytest.approx(highest(held, column, metric), abs=1e-12), seed


def test_several_labels_are_tuned_each_by_itself():
    """Their mean score is the best of all combinations; scores of all labels together may have better thresholds."""
    rng = np.random.default_rng(3)
    labels = (rng.random((12, 2)) < 0.4).astype(np.uint8)
    logits = rng.normal(size=(12, 2)).astype(np.float32) + labels
    task = TASKS["multilabel"](["a", "b"])
    task.decision = fit_decision(task, labels, logits, metric="f1")
    held, (first, second) = labels.astype(bool).T, expit(logits.astype(np.float64)).T
    every = [(f1(held[0], first >= a) + f1(held[1], second >= b)) / 2 for a in (*first, 2.0) for b in (*second, 2.0)]
    assert task.metrics(labels, logits)["f1_macro"] == pytest.approx(max(every))


@pytest.mark.parametrize("name", ["classification", "multilabel"])
def test_a_temperature_that_has_no_end_is_none(name):
    """Where every answer is right the loss falls with the temperature for ever, and all probabilities become 0 or 1."""
    logits = np.array([[2.0, -1.0], [-0.5, 3.0], [1.0, -0.1]], np.float32)
    held = (logits > 0).astype(np.uint8)
    labels = held if name == "multilabel" else held.argmax(axis=1)
    assert fit_decision(TASKS[name](["no", "yes"]), labels, logits, calibrate=True).temperature == 1
    saturated = fit_decision(TASKS[name](["no", "yes"]), labels, logits * 1000, calibrate=True)
    assert saturated.temperature == 1
    labels = 1 - labels  # every answer is wrong: the flatter the better
    assert fit_decision(TASKS[name](["no", "yes"]), labels, logits, calibrate=True).temperature > 50


def test_what_was_fitted_is_told():
    task, rng = TASKS["multilabel"](["a", "b", "c"]), np.random.default_rng(0)
    labels = np.array([[0, 1, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]], np.uint8)
    task.decision = fit_decision(task, labels, rng.normal(size=(4, 3)).astype(np.float32), metric="f1")
    assert task.decision.thresholds[1:] == (0.5, 0.5)
    lines = describe_fit(task, labels, False, "f1")
    assert lines[1:] == ["Either all rows or none have b, c; the threshold stays 0.5."]
    assert lines[0].startswith("Threshold for f1: a 0.") and lines[0].endswith(", b 0.5000, c 0.5000.")
    task.decision = Decision()
    told = describe_fit(task, labels, True, None)
    assert told == ["Temperature: 1.0000. No temperature minimises the loss, as every answer is right."]


@pytest.mark.parametrize("setting", [{"tune_threshold": "f1"}, {"calibrate": True}], ids=str)
def test_dev_rows_of_one_class_are_refused_before_training(tiny, tmp_path, setting):
    for split, labels in (("train", "no yes no yes"), ("dev", "no no no")):
        rows = "".join(f"the printer {number}\t{label}\n" for number, label in enumerate(labels.split()))
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + rows)
    files = {f"{split}_file": f"{tmp_path}/{split}.tsv" for split in ("train", "dev")}
    config = load_config(preset=tiny, **files, max_seq_length=16, output_dir=f"{tmp_path}/out", **setting)
    with pytest.raises(InputError, match="cannot be fitted on dev, where all 3 rows have the label 'no'"):
        run(config)
    assert not (tmp_path / "out").exists()
