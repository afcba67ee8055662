"""Scores of a dataset under many weightings of its examples at once, for bootstrapping.

The scores are those of `tfbert.tasks.scores.metrics`, which would need a call of scikit-learn for each weighting; an
example of weight 2 counts as two, and a score that is undefined under a weighting is NaN.
"""

import numpy as np

from tfbert.tasks.scores.metrics import BINS, bin_numbers, confidences, f1_of


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
    """Returns the same for any task, by calling its `metrics` on the repeated examples for each weighting."""
    found = []
    for counts in weights.astype(np.int64):
        found.append(task.metrics(np.repeat(labels, counts, axis=0), np.repeat(outputs, counts, axis=0)))
    return {name: np.array([scores.get(name, np.nan) for scores in found]) for name in task.metric_names}


def of_classes(task, labels, outputs, weights):
    """Returns the scores of a classification; arguments as for `resampled_metrics`."""
    probabilities, guesses, classes = task.probabilities(outputs), task.guesses(outputs), task.outputs
    by_row = np.ascontiguousarray(weights.T)
    held, guessed = _totals(labels, classes, by_row), _totals(guesses, classes, by_row)
    right = _totals(labels[labels == guesses], classes, by_row[labels == guesses])
    rows = weights.sum(axis=1)
    f1 = f1_of(right, guessed - right, held - right)
    spread = np.sqrt((rows**2 - (guessed**2).sum(axis=1)) * (rows**2 - (held**2).sum(axis=1)))
    mcc = (right.sum(axis=1) * rows - (held * guessed).sum(axis=1)) / spread
    scores = {
        "accuracy": right.sum(axis=1) / rows,
        "f1": f1[:, 1] if classes == 2 else f1.mean(axis=1),
        "f1_macro": f1.mean(axis=1),
        "f1_micro": right.sum(axis=1) / rows,
        "mcc": np.where(spread > 0, mcc, 0.0),
    }
    whole = (held > 0).all(axis=1)  # otherwise there is no mean over the classes
    by_row = np.ascontiguousarray(by_row[:, whole])
    curves = [_areas(labels == k, probabilities[:, k], by_row) for k in ([1] if classes == 2 else range(classes))]
    scores["roc_auc"], scores["average_precision"] = np.full((2, len(weights)), np.nan)
    scores["roc_auc"][whole], scores["average_precision"][whole] = np.mean(curves, axis=0)
    return scores | {"expected_calibration_error": _calibration_error(*confidences(task, labels, outputs), weights)}


def of_labels(task, labels, outputs, weights):
    """Returns the scores of a multi-label classification; arguments as for `resampled_metrics`."""
    probabilities, guesses = task.probabilities(outputs), task.guesses(outputs)
    cells = ((labels == held) & (guesses == guessed) for held, guessed in ((1, 1), (0, 1), (1, 0)))
    tp, fp, fn = (weights @ cell.astype(float) for cell in cells)
    scores = {
        "accuracy": weights @ (labels == guesses).all(axis=1) / weights.sum(axis=1),
        "f1_micro": f1_of(tp.sum(axis=1), fp.sum(axis=1), fn.sum(axis=1)),
        "f1_macro": f1_of(tp, fp, fn).mean(axis=1),
    }
    by_row = np.ascontiguousarray(weights.T)
    curves = np.array([_areas(y == 1, p, by_row) for y, p in zip(labels.T, probabilities.T)])
    defined = np.isfinite(curves)
    means = np.where(defined, curves, 0.0).sum(axis=0) / defined.sum(axis=0)
    scores["roc_auc"], scores["average_precision"] = means
    return scores | {"expected_calibration_error": _calibration_error(*confidences(task, labels, outputs), weights)}


def of_numbers(labels, values, weights):
    """Returns the scores of a regression: float64 [N], float64 [N], float [B, N] -> dict of [B]."""
    pearson = _correlation(labels, values, weights)
    ranks = [_ranks(column, weights) for column in (labels, values)]
    spearman = _correlation(*ranks, weights)
    return {
        "pearson": pearson,
        "spearman": spearman,
        "pearson_spearman": (pearson + spearman) / 2,
        "mean_squared_error": weights @ np.square(labels - values) / weights.sum(axis=1),
    }


def _totals(classes, count, by_row):
    """Returns the sum of the weights of each class' rows: int [N], int, float [N, B] -> float [B, count]."""
    return np.ascontiguousarray(_sums(classes, count, by_row).T)


def _sums(groups, count, by_row):
    """Returns the sum of the weights of each group of rows: int [N], int, float [N, B] -> float [count, B]."""
    from scipy import sparse

    rows = len(groups)
    return sparse.csc_array((np.ones(rows), groups, np.arange(rows + 1)), shape=(count, rows)) @ by_row


def _areas(holds, scores, by_row):
    """Returns the areas under the ROC curve and, in steps, under the precision-recall curve: [2, B].

    Both are sums over the distinct scores of the positive rows, of which there may be few; negatives are counted
    between them.

    Args:
        holds: bool [N].
        scores: float [N].
        by_row: float [N, B]. Weights.
    """
    values, place = np.unique(scores[holds], return_inverse=True)
    between = np.searchsorted(values, scores) + np.searchsorted(values, scores, "right")  # odd: equal to a value
    tp, of_all = _sums(place, len(values), by_row[holds]), _sums(between, 2 * len(values) + 1, by_row)
    tp_from, all_from = (np.cumsum(sums[::-1], axis=0)[::-1] for sums in (tp, of_all))  # from a score upwards
    held, rows = tp.sum(axis=0), of_all.sum(axis=0)
    precision = np.where(tp > 0, tp_from / all_from[1::2], 0.0)
    beaten = (rows - all_from[1::2]) - (held - tp_from) + (of_all[1::2] - tp) / 2
    areas = np.array([(tp * beaten).sum(axis=0) / (held * (rows - held)), (tp * precision).sum(axis=0) / held])
    return np.where((held > 0) & (held < rows), areas, np.nan)


def _calibration_error(probabilities, hits, weights):
    bins = bin_numbers(probabilities)
    gap = np.zeros((len(hits), BINS))
    for column in range(bins.shape[1]):  # an example may be in a bin several times
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
