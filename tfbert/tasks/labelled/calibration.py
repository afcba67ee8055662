"""Fitting the temperature and the decision thresholds of a trained model on dev data."""

import dataclasses

import numpy as np

from tfbert.core.errors import InputError

# The temperature is searched from e^-4 to e^4.
_WIDEST = 4.0
# Scores that differ by less are equal except for rounding.
_EQUAL = 1e-12

# Metrics for tuning a threshold: (true positives, false positives, false negatives, true negatives) -> score.
THRESHOLD_METRICS = {
    "accuracy": lambda tp, fp, fn, tn: (tp + tn) / (tp + fp + fn + tn),
    "balanced_accuracy": lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "f1": lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
    "mcc": lambda tp, fp, fn, tn: (
        (tp * tn - fp * fn) / np.sqrt(np.maximum((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn), 1.0))
    ),
}


def fit_decision(task, labels, outputs, calibrate=False, metric=None):
    """Returns the decision of a task with its fitted parameters: Decision.

    Args:
        task: Classification or Multilabel.
        labels: np.ndarray [N] or [N, labels].
        outputs: np.float32 [N, outputs]. Outputs on dev, with the prior already corrected.
        calibrate: bool. Whether to fit the temperature.
        metric: str or None. The metric for the thresholds, a key of THRESHOLD_METRICS: that of the second of two
            classes, or of each of several labels, and hence their mean. Exact-match accuracy and micro F1 may be higher
            at other thresholds, which cannot be found for each label separately.
    """
    decision = task.decision
    if calibrate:
        temperature = fit_temperature(labels, outputs)
        decision, outputs = dataclasses.replace(decision, temperature=temperature), outputs / np.float32(temperature)
    if metric:
        columns = _decided(task, task.indicators(labels)), _decided(task, task.probabilities(outputs))
        thresholds = tuple(best_threshold(y, p, metric) for y, p in zip(*(each.T for each in columns)))
        decision = dataclasses.replace(decision, thresholds=thresholds)
    return decision


def one_sided(task, labels):
    """Returns the labels that all rows or none have, for which no threshold can be chosen: list.

    Args:
        task: Classification of two classes, or Multilabel.
        labels: np.ndarray [N] or [N, labels].
    """
    held = _decided(task, task.indicators(labels))
    return [label for label, one in zip(task.threshold_labels, held.min(axis=0) == held.max(axis=0)) if one]


def describe_fit(task, labels, calibrate, metric):
    """Returns sentences on what `fit_decision` fitted: list of str; arguments as there, with the fitted task."""
    lines, decision = [], task.decision
    if calibrate:
        none = " No temperature minimises the loss, as every answer is right." * (decision.temperature == 1)
        lines.append(f"Temperature: {decision.temperature:.4f}.{none}")
    if metric:
        found = zip(task.threshold_labels, decision.thresholds)
        chosen = ", ".join(f"{label} {value:.4f}" for label, value in found)
        lines.append(f"Threshold for {metric}: {chosen}.")
        if alike := one_sided(task, labels):
            lines.append(f"Either all rows or none have {', '.join(map(str, alike))}; the threshold stays 0.5.")
    return lines


def check_fit(task, labels, calibrate, metric):
    """Raises InputError if all rows have the same labels, from which no decision can be fitted.

    Args:
        task: one of TASKS.
        labels: np.ndarray [N, ...]. Those of dev.
        calibrate, metric: as for `fit_decision`.
    """
    asked = [f"--tune_threshold={metric}"] * bool(metric) + ["--calibrate"] * bool(calibrate)
    if asked and (labels == labels[0]).all():
        raise InputError(
            f"{' and '.join(asked)} cannot be fitted on dev, where all {len(labels):,} rows have the label "
            f"{task.decode_label(labels[0])!r}; give a --dev_file with other labels as well, or omit the setting."
        )


def fit_temperature(labels, logits):
    """Returns the temperature with the lowest cross-entropy on some examples: float.

    If every answer is right, the loss has no minimum and all probabilities would become 0 or 1; the temperature is then
    1.

    Args:
        labels: int [N], of softmax; or 0 and 1, [N, labels], of sigmoids, which share one temperature.
        logits: float [N, outputs].

    Source: Guo et al. 2017 (1706.04599), section 4.2; by scipy's bounded scalar search over its logarithm.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_expit, log_softmax

    logits = np.asarray(logits, np.float64)

    def loss(log_temperature):
        scaled = logits / np.exp(log_temperature)
        if labels.ndim == 2:
            return -np.where(labels == 1, log_expit(scaled), log_expit(-scaled)).mean()
        return -np.take_along_axis(log_softmax(scaled, axis=-1), labels[:, np.newaxis], axis=-1).mean()

    found = minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return 1.0 if loss(-_WIDEST) <= found.fun else float(np.exp(found.x))


def best_threshold(labels, probabilities, metric):
    """Returns the threshold with the highest score: float; of several, the nearest to 0.5; 0.5 if all labels are equal.

    Candidates are the midpoints between neighbouring probabilities, one below all of them, and, only if nothing else is
    as good, one above all of them, which may exceed 1.

    Args:
        labels: 0 or 1, [N].
        probabilities: float [N]. Probability of label 1; the threshold has the same precision.
        metric: str. A key of THRESHOLD_METRICS.
    """
    values, place = np.unique(probabilities, return_inverse=True)
    held = np.bincount(place, labels, minlength=len(values))
    rest = np.bincount(place, 1 - labels, minlength=len(values))
    if not held.sum() or not rest.sum():
        return 0.5
    fn, tn = (np.concatenate([[0], np.cumsum(counts)]) for counts in (held, rest))
    scores = THRESHOLD_METRICS[metric](held.sum() - fn, rest.sum() - tn, fn, tn)
    if scores[-1] > scores[:-1].max() + _EQUAL:
        return float(_between(values[-1], np.ones_like(values[-1])))
    thresholds = _between(np.append(np.zeros_like(values[:1]), values[:-1]), values)
    thresholds[0] = min(thresholds[0], values[0])  # which may be 0
    best = thresholds[scores[:-1] >= scores[:-1].max() - _EQUAL]
    return float(best[np.argmin(abs(best - 0.5))])


def _between(low, high):
    """Returns the midpoint of two numbers, or the next float above the lower one if rounding gives the lower one."""
    return np.maximum((low + high) / 2, np.nextafter(low, np.inf))


def _decided(task, columns):
    """Returns the columns of labels with a threshold, for two classes the second: [N, labels] -> [N, n]."""
    return columns[:, task.outputs - len(task.threshold_labels) :]
