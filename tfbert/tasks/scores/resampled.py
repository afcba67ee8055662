"""All scores of a data set under many weightings of its examples at once: what a bootstrap over the examples needs.

The scores are those of `tfbert.tasks.scores.metrics`, where scikit-learn would take a call for each weighting; an
example of weight 2 counts as two, and a score that a weighting leaves undefined is NaN.
"""

import numpy as np

from tfbert.tasks.scores.metrics import BINS, bin_numbers, confidences


def resampled_metrics(task, labels, outputs, weights):
    """Returns the scores of each weighting: dict name -> float64 [B].

    Args:
        task: one of TASKS.
        labels: np.ndarray [N, ...].
        outputs: np.float32 [N, outputs].
        weights: float [B, N]. Whole numbers.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return task.resampled_scores(labels, outputs, weights)


def repeated_scores(task, labels, outputs, weights):
    """Returns the same, of any task: by its `metrics` of the examples repeated, a call for each weighting."""
    found = []
    for counts in weights.astype(np.int64):
        found.append(task.metrics(np.repeat(labels, counts, axis=0), np.repeat(outputs, counts, axis=0)))
    return {name: np.array([scores.get(name, np.nan) for scores in found]) for name in task.metric_names}


def of_classes(task, labels, outputs, weights):
    """Returns the scores of one of several classes: `resampled_metrics` says of what."""
    probabilities, classes = task.probabilities(outputs), task.outputs
    guesses = task.guesses(outputs)
    confusion = np.stack(
        [weights @ ((labels == a) & (guesses == b)) for a in range(classes) for b in range(classes)], axis=1
    ).reshape(-1, classes, classes)
    right, held, guessed = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    rows = weights.sum(axis=1)
    f1 = _f1(right, guessed - right, held - right)
    spread = np.sqrt((rows**2 - (guessed**2).sum(axis=1)) * (rows**2 - (held**2).sum(axis=1)))
    mcc = (right.sum(axis=1) * rows - (held * guessed).sum(axis=1)) / spread
    scores = {
        "accuracy": right.sum(axis=1) / rows,
        "f1": f1[:, 1] if classes == 2 else f1.mean(axis=1),
        "f1_macro": f1.mean(axis=1),
        "f1_micro": right.sum(axis=1) / rows,
        "mcc": np.where(spread > 0, mcc, 0.0),
    }
    curves = [_areas(labels == k, probabilities[:, k], weights) for k in ([1] if classes == 2 else range(classes))]
    scores["roc_auc"], scores["average_precision"] = np.mean(curves, axis=0)
    return scores | {"expected_calibration_error": _calibration_error(*confidences(task, labels, outputs), weights)}


def of_labels(task, labels, outputs, weights):
    """Returns the scores of any number of labels: `resampled_metrics` says of what."""
    probabilities, guesses = task.probabilities(outputs), task.guesses(outputs)
    cells = ((labels == held) & (guesses == guessed) for held, guessed in ((1, 1), (0, 1), (1, 0)))
    tp, fp, fn = (weights @ cell.astype(float) for cell in cells)
    scores = {
        "accuracy": weights @ (labels == guesses).all(axis=1) / weights.sum(axis=1),
        "f1_micro": _f1(tp.sum(axis=1), fp.sum(axis=1), fn.sum(axis=1)),
        "f1_macro": _f1(tp, fp, fn).mean(axis=1),
    }
    curves = np.array([_areas(y == 1, p, weights) for y, p in zip(labels.T, probabilities.T)])
    defined = np.isfinite(curves)
    means = np.where(defined, curves, 0.0).sum(axis=0) / defined.sum(axis=0)
    scores["roc_auc"], scores["average_precision"] = means
    return scores | {"expected_calibration_error": _calibration_error(*confidences(task, labels, outputs), weights)}


def of_numbers(labels, values, weights):
    """Returns the scores of numbers: float64 [N], float64 [N], float [B, N] -> dict of [B]."""
    pearson = _correlation(labels, values, weights)
    ranks = [_ranks(column, weights) for column in (labels, values)]
    spearman = _correlation(*ranks, weights)
    return {
        "pearson": pearson,
        "spearman": spearman,
        "pearson_spearman": (pearson + spearman) / 2,
        "mean_squared_error": weights @ np.square(labels - values) / weights.sum(axis=1),
    }


def _f1(tp, fp, fn):
    total = 2 * tp + fp + fn
    return np.where(total > 0, 2 * tp / total, 0.0)


def _areas(holds, scores, weights):
    """Returns the areas under the ROC curve and, in steps, under the precision-recall curve: [2, B]."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    tp, fp = (np.cumsum(weights[:, order] * side[order], axis=1)[:, ends] for side in (holds, ~holds))
    more_tp, more_fp = (np.diff(counts, axis=1, prepend=0.0) for counts in (tp, fp))
    roc = (more_fp * (tp - more_tp / 2)).sum(axis=1) / (tp[:, -1] * fp[:, -1])
    precision = np.where(tp > 0, tp / (tp + fp), 0.0)
    both = (tp[:, -1] > 0) & (fp[:, -1] > 0)
    return np.where(both, [roc, (more_tp * precision).sum(axis=1) / tp[:, -1]], np.nan)


def _calibration_error(probabilities, hits, weights):
    bins = bin_numbers(probabilities)
    gap = np.zeros((len(hits), BINS))
    for column in range(bins.shape[1]):  # an example may stand in a bin several times
        np.add.at(gap, (np.arange(len(hits)), bins[:, column]), hits[:, column] - probabilities[:, column])
    return abs(weights @ gap).sum(axis=1) / (weights.sum(axis=1) * bins.shape[1])


def _correlation(x, y, weights):
    total = weights.sum(axis=1, keepdims=True)
    x, y = (np.broadcast_to(column, weights.shape) for column in (x, y))
    x, y = (column - (weights * column).sum(axis=1, keepdims=True) / total for column in (x, y))
    return (weights * x * y).sum(axis=1) / np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))


def _ranks(values, weights):
    """Returns the mean rank of each example among all copies: float [B, N]."""
    _, place = np.unique(values, return_inverse=True)
    of_value = np.zeros((len(weights), place.max() + 1))
    np.add.at(of_value, (slice(None), place), weights)
    return (np.cumsum(of_value, axis=1) - (of_value - 1) / 2)[:, place]
