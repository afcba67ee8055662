"""What is fitted on dev once a model is trained: the temperature of probabilities, the threshold of answers."""

import dataclasses

import numpy as np

from tfbert.tasks.scores.metrics import sigmoid, softmax

# The temperature is looked for within e^-4 to e^4.
_WIDEST = 4.0

# What a threshold may be tuned for: true and false positives, false and true negatives -> score.
THRESHOLD_METRICS = {
    "accuracy": lambda tp, fp, fn, tn: (tp + tn) / (tp + fp + fn + tn),
    "balanced_accuracy": lambda tp, fp, fn, tn: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "f1": lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
    "mcc": lambda tp, fp, fn, tn: (
        (tp * tn - fp * fn) / np.sqrt(np.maximum((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn), 1.0))
    ),
}


def fit_decision(task, labels, outputs, calibrate=False, metric=None):
    """Returns a task's decision with what was fitted: Decision.

    Args:
        task: Classification or Multilabel.
        labels: np.ndarray [N] or [N, labels].
        outputs: np.float32 [N, outputs]. The model's on dev, their prior corrected already.
        calibrate: bool. Whether to fit the temperature.
        metric: str or None. What the thresholds are tuned for, a key of THRESHOLD_METRICS.
    """
    decision = task.decision
    if calibrate:
        temperature = fit_temperature(labels, outputs)
        decision, outputs = dataclasses.replace(decision, temperature=temperature), outputs / np.float32(temperature)
    if metric:
        columns = sigmoid(outputs) if labels.ndim == 2 else softmax(outputs)[:, 1:]
        held = labels if labels.ndim == 2 else labels[:, np.newaxis]
        thresholds = tuple(best_threshold(y, p, metric) for y, p in zip(held.T, columns.T))
        decision = dataclasses.replace(decision, thresholds=thresholds)
    return decision


def fit_temperature(labels, logits):
    """Returns the temperature with the least cross-entropy on some examples: float.

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

    return float(np.exp(minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded").x))


def best_threshold(labels, probabilities, metric):
    """Returns the threshold with the highest score: float; of several the nearest to 0.5; 0.5 if labels are all one.

    Tried are the middles between neighbouring probabilities, and one below them all.

    Args:
        labels: 0 or 1, [N].
        probabilities: float [N]. Of label 1, which is predicted from the threshold on.
        metric: str. A key of THRESHOLD_METRICS.
    """
    values, place = np.unique(probabilities, return_inverse=True)
    held = np.bincount(place, labels, minlength=len(values))
    rest = np.bincount(place, 1 - labels, minlength=len(values))
    if not held.sum() or not rest.sum():
        return 0.5
    fn, tn = (np.concatenate([[0], np.cumsum(counts)[:-1]]) for counts in (held, rest))
    scores = THRESHOLD_METRICS[metric](held.sum() - fn, rest.sum() - tn, fn, tn)
    thresholds = (np.concatenate([[0.0], values[:-1]]) + values) / 2
    best = thresholds[scores >= scores.max() - 1e-12]
    return float(best[np.argmin(abs(best - 0.5))])
