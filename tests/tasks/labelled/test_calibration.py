"""Thresholds, temperatures, calibration errors and bootstrap intervals, against scikit-learn, SciPy and brute force."""

import tracemalloc

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import expit, log_softmax, softmax
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from tests.tasks.test_tasks import EXAMPLES, LOGITS
from tfbert import TASKS
from tfbert.reports.statistics import bootstrap_intervals
from tfbert.tasks.labelled.calibration import THRESHOLD_METRICS, best_threshold, fit_decision, fit_temperature
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.scores.metrics import calibration_error, reliability
from tfbert.tasks.scores.resampled import resampled_metrics

RNG = np.random.default_rng(5)
SCORES = {"accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score, "f1": sk.f1_score,
          "mcc": sk.matthews_corrcoef}  # fmt: skip


@pytest.mark.parametrize("metric", THRESHOLD_METRICS)
@pytest.mark.parametrize("digits", [1, 6])
def test_no_threshold_is_better(metric, digits):
    """Against scikit-learn at every threshold that tells two examples apart; with many ties, and with none."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = (rng.random(60) < 0.2).astype(int)
        probabilities = np.round(np.clip(0.3 * labels + rng.random(60) * 0.7, 0, 1), digits)
        threshold = best_threshold(labels, probabilities, metric)
        found = SCORES[metric](labels, probabilities >= threshold)
        every = [SCORES[metric](labels, probabilities >= t) for t in (0.0, *probabilities)]
        assert found == pytest.approx(max(every), abs=1e-12)


def test_thresholds_of_several_labels_and_of_none():
    assert best_threshold(np.zeros(5, int), RNG.random(5), "f1") == 0.5
    assert best_threshold(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3]), "f1") == pytest.approx(0.25)
    task, labels = EXAMPLES["multilabel"]
    decision = fit_decision(task, labels, LOGITS["multilabel"], metric="f1")
    each = [best_threshold(labels[:, k], expit(LOGITS["multilabel"][:, k].astype(np.float64)), "f1") for k in range(3)]
    assert decision.thresholds == pytest.approx(each)
    tuned = TASKS["multilabel"](task.labels)
    tuned.decision = decision
    expected = expit(LOGITS["multilabel"].astype(np.float64)) >= each
    assert tuned.metrics(labels, LOGITS["multilabel"])["f1_macro"] == sk.f1_score(labels, expected, average="macro")
    predictions = tuned.predictions(LOGITS["multilabel"])
    assert [row["label"] for row in predictions] == [[task.labels[k] for k in np.flatnonzero(row)] for row in expected]


def test_threshold_of_two_classes():
    task, labels = TASKS["classification"](["no", "yes"]), (RNG.random(50) < 0.3).astype(np.int32)
    logits = np.stack([np.ones(50), RNG.normal(size=50) + labels], axis=1).astype(np.float32)
    task.decision = fit_decision(task, labels, logits, metric="f1")
    expected = softmax(logits.astype(np.float64), axis=1)[:, 1] >= task.decision.thresholds[0]
    assert task.metrics(labels, logits)["f1"] == sk.f1_score(labels, expected)
    assert [row["label"] for row in task.predictions(logits)] == ["yes" if guess else "no" for guess in expected]
    assert task.metrics(labels, logits)["f1"] > TASKS["classification"](["no", "yes"]).metrics(labels, logits)["f1"]


def test_temperature_has_the_least_loss():
    labels, logits = EXAMPLES["classification"][1], LOGITS["classification"].astype(np.float64)
    loss = lambda t: -log_softmax(logits / t, axis=1)[np.arange(40), labels].mean()  # noqa: E731
    expected = optimize.minimize(lambda t: loss(t[0]), [1.0], method="Nelder-Mead", options={"xatol": 1e-8}).x[0]
    assert fit_temperature(labels, logits) == pytest.approx(expected, rel=1e-3)
    drawn = np.array([RNG.choice(3, p=softmax(row)) for row in np.repeat(logits, 500, axis=0)])
    assert fit_temperature(drawn, np.repeat(logits, 500, axis=0) * 2.5) == pytest.approx(2.5, rel=0.05)
    logits = np.repeat(LOGITS["multilabel"].astype(np.float64), 500, axis=0)
    drawn = (RNG.random(logits.shape) < expit(logits)).astype(np.uint8)
    assert fit_temperature(drawn, logits / 3) == pytest.approx(1 / 3, rel=0.05)


def test_temperature_and_threshold_together():
    """The threshold is one on the calibrated probabilities; shift and temperature act in this order."""
    task, labels = TASKS["classification"](["no", "yes"]), (RNG.random(200) < 0.3).astype(np.int32)
    logits = np.stack([np.zeros(200), 4 * (RNG.normal(size=200) + labels)], axis=1).astype(np.float32)
    fitted = fit_decision(task, labels, logits, calibrate=True, metric="mcc")
    alone = fit_decision(task, labels, logits, metric="mcc")
    p = [softmax(d.calibrated(logits).astype(np.float64), axis=1)[:, 1] >= d.thresholds[0] for d in (fitted, alone)]
    assert fitted.temperature > 1.5 and sk.matthews_corrcoef(labels, p[0]) == sk.matthews_corrcoef(labels, p[1])
    np.testing.assert_allclose(Decision((1.0, 0.0), 2.0).calibrated(logits), (logits + [1, 0]) / 2, atol=1e-6)


def test_calibration_error():
    probabilities = RNG.random((500, 1))
    hits = RNG.random((500, 1)) < probabilities**2
    edges = np.linspace(0, 1, 16)
    expected = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (probabilities > low) & (probabilities <= high)
        if inside.any():
            expected += inside.mean() * abs(hits[inside].mean() - probabilities[inside].mean())
    assert calibration_error(probabilities, hits) == pytest.approx(expected, abs=1e-12)
    shares, means = calibration_curve(hits[:, 0], probabilities[:, 0], n_bins=15)
    counts, found_means, found_shares = reliability(probabilities, hits)
    np.testing.assert_allclose([found_means, found_shares], [means, shares], atol=1e-12)
    assert counts.sum() == 500
    assert calibration_error(np.array([[0.0], [1.0]]), np.array([[False], [True]])) == 0


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("ties", [False, True])
def test_scores_of_many_weightings_are_those_of_the_rows_repeated(name, ties):
    task, labels = EXAMPLES[name]
    outputs = np.round(LOGITS[name], 0 if ties else 6)
    weights = np.random.default_rng(2).multinomial(40, np.full(40, 1 / 40), 12).astype(float)
    found = resampled_metrics(task, labels, outputs, weights)
    assert set(found) == set(task.metric_names)
    for number, row in enumerate(weights.astype(int)):
        expected = task.metrics(np.repeat(labels, row, axis=0), np.repeat(outputs, row, axis=0))
        for metric in found:
            assert found[metric][number] == pytest.approx(expected[metric], abs=1e-6), metric  # float32


def test_many_classes_need_no_confusion_matrix():
    """Only its diagonal and margins count: all cells of 300 classes would be 720 MB, and take some ten minutes."""
    task, labels = TASKS["classification"]([f"{number:03d}" for number in range(300)]), np.arange(900) % 300
    outputs = RNG.normal(size=(900, 300)).astype(np.float32) + 3 * np.eye(300, dtype=np.float32)[labels]
    tracemalloc.start()
    intervals = bootstrap_intervals(task, labels, outputs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6 and "roc_auc" not in intervals  # some class is always missing
    weights = np.stack([np.ones(900), 1 + (np.arange(900) < 450)])
    found = resampled_metrics(task, labels, outputs, weights)
    for number, row in enumerate(weights.astype(int)):
        expected = task.metrics(np.repeat(labels, row), np.repeat(outputs, row, axis=0))
        assert {name: values[number] for name, values in found.items()} == pytest.approx(expected, abs=1e-9)


def test_two_classes_and_a_threshold_under_weightings():
    task = TASKS["classification"](["no", "yes"])
    task.decision = Decision(thresholds=(0.3,))
    labels = (RNG.random(40) < 0.3).astype(np.int32)
    outputs = RNG.normal(size=(40, 2)).astype(np.float32)
    weights = np.stack([np.ones(40), np.where(labels == 1, 0.0, 2.0)])
    found = resampled_metrics(task, labels, outputs, weights)
    for metric, value in task.metrics(labels, outputs).items():
        assert found[metric][0] == pytest.approx(value, abs=1e-9), metric
    assert np.isnan(found["roc_auc"][1]) and found["f1"][1] == 0


def test_intervals_are_scipys():
    task, labels = EXAMPLES["classification"]
    found = bootstrap_intervals(task, labels, LOGITS["classification"], resamples=4000)
    assert found == bootstrap_intervals(task, labels, LOGITS["classification"], resamples=4000)
    right = (LOGITS["classification"].argmax(axis=1) == labels).astype(float)
    expected = stats.bootstrap((right,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(1))
    assert found["accuracy"] == pytest.approx(list(expected.confidence_interval), abs=0.03)
    numbers, values = EXAMPLES["regression"][1], LOGITS["regression"]
    expected = stats.bootstrap((numbers, values[:, 0]), lambda a, b: stats.pearsonr(a, b)[0], n_resamples=1000,
                               paired=True, vectorized=False, method="percentile",
                               rng=np.random.default_rng(1)).confidence_interval  # fmt: skip
    found = bootstrap_intervals(EXAMPLES["regression"][0], numbers, values)
    assert found["pearson"] == pytest.approx(list(expected), abs=0.06)
