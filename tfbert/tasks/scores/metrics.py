"""Scores over all examples of a dataset, by scikit-learn and SciPy (imported when used, as they load slowly).

A score that is undefined for the data (ROC-AUC of a single class, correlation of a constant) is left out.
"""

import warnings

import numpy as np

# Bins of the expected calibration error, as in Guo et al.
BINS = 15


def softmax(logits):
    """Returns probabilities in float64: [N, classes] -> [N, classes]."""
    from scipy.special import softmax

    return softmax(np.asarray(logits, np.float64), axis=-1)


def sigmoid(logits):
    """Returns probabilities in float64, element by element."""
    from scipy.special import expit

    return expit(np.asarray(logits, np.float64))


def confidences(task, labels, outputs):
    """Returns predicted probabilities, and whether each prediction was correct: float64 [N, n], bool [N, n].

    For classes, the probability of the most probable one (n = 1); for several labels, that of each.

    Args:
        task: Classification or Multilabel.
        labels: np.ndarray [N] or [N, labels].
        outputs: float [N, outputs].
    """
    if labels.ndim == 2:
        return sigmoid(outputs), labels == 1
    probabilities = softmax(outputs)
    return probabilities.max(axis=1, keepdims=True), (probabilities.argmax(axis=1) == labels)[:, np.newaxis]


def bin_numbers(probabilities):
    """Returns the bin of each probability among (0, 1/15], …, (14/15, 1]: float [...] -> int [...]."""
    return np.clip(np.ceil(np.asarray(probabilities) * BINS).astype(int) - 1, 0, BINS - 1)


def reliability(probabilities, hits):
    """Returns the values of a reliability diagram for each nonempty bin: three float64 [bins].

    They are the number of probabilities, their mean, and the fraction that was correct.

    Args:
        probabilities: float [N, n].
        hits: bool [N, n].
    """
    bins = bin_numbers(probabilities).reshape(-1)
    counts = np.bincount(bins, minlength=BINS)
    sums = (np.bincount(bins, values.reshape(-1), minlength=BINS) for values in (probabilities, hits))
    filled = counts > 0
    return counts[filled].astype(float), *(total[filled] / counts[filled] for total in sums)


def calibration_error(probabilities, hits):
    """Returns the expected calibration error over 15 bins: float; arguments as for `reliability`.

    Source: Guo et al. 2017 (1706.04599), equation 3.
    """
    counts, means, shares = reliability(probabilities, hits)
    return float(counts @ abs(shares - means) / counts.sum())


def outcomes(held, guessed):
    """Returns the true positives, false positives and false negatives of each label: three float64 [labels].

    Args:
        held, guessed: 0 or 1, [N, labels].
    """
    held, guessed = np.asarray(held, bool), np.asarray(guessed, bool)
    cells = (held & guessed, ~held & guessed, held & ~guessed)
    return tuple(cell.sum(axis=0).astype(np.float64) for cell in cells)


def f1_of(tp, fp, fn):
    """Returns F1 = 2 tp / (2 tp + fp + fn), element by element; 0 where nothing is true or predicted."""
    return share_of(2 * tp, 2 * tp + fp + fn)


def share_of(part, whole):
    """Returns part / whole, element by element, 0 where the whole is 0: float [...] -> float [...]."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


def guessed_classes(probabilities, threshold=None):
    """Returns the most probable class, or with a threshold the second of two from that probability on: int [N].

    Args:
        probabilities: float [N, classes].
        threshold: float or None.
    """
    return probabilities.argmax(axis=-1) if threshold is None else (probabilities[:, 1] >= threshold).astype(int)


def classification_metrics(labels, probabilities, threshold=None):
    """Returns accuracy, F1, MCC, ROC-AUC and average precision.

    For two classes `f1`, `roc_auc` and `average_precision` are those of the second class; for more, `f1` is the
    macro mean, ROC-AUC the macro mean of one against the rest, average precision the macro mean. Macro means are over
    all classes: a class that neither occurs nor is predicted has an F1 of 0, and if one does not occur, ROC-AUC and
    average precision are undefined. MCC is 0 if all labels or all predictions are the same.

    Args:
        labels: int [N].
        probabilities: float [N, classes].
        threshold: float or None. As for `guessed_classes`.
    """
    from sklearn import metrics

    classes = probabilities.shape[1]
    guesses = guessed_classes(probabilities, threshold)
    everyone = list(range(classes))
    f1_macro = metrics.f1_score(labels, guesses, labels=everyone, average="macro", zero_division=0)
    scores = {
        "accuracy": metrics.accuracy_score(labels, guesses),
        "f1": metrics.f1_score(labels, guesses, zero_division=0) if classes == 2 else f1_macro,
        "f1_macro": f1_macro,
        "f1_micro": metrics.f1_score(labels, guesses, labels=everyone, average="micro", zero_division=0),
        "mcc": metrics.matthews_corrcoef(labels, guesses) if len(np.union1d(labels, guesses)) > 1 else 0.0,
    }
    if len(np.unique(labels)) == classes:
        of_class = probabilities[:, 1] if classes == 2 else probabilities
        one_hot = labels if classes == 2 else np.eye(classes)[labels]
        scores["roc_auc"] = metrics.roc_auc_score(labels, of_class, multi_class="ovr")
        scores["average_precision"] = metrics.average_precision_score(one_hot, of_class)
    return defined(scores)


def multilabel_metrics(labels, probabilities, thresholds):
    """Returns exact-match accuracy, F1 (micro, macro over the labels), ROC-AUC and average precision (macro).

    ROC-AUC and average precision are means over the labels that occur in some rows but not in all; F1 is over all
    labels, with 0 for one that neither occurs nor is predicted. scikit-learn's F1 would treat a single column as two
    classes.

    Args:
        labels: 0 or 1, [N, labels].
        probabilities: float [N, labels].
        thresholds: float [labels]. Each label is predicted from this probability on.
    """
    from sklearn import metrics

    guesses = (probabilities >= thresholds).astype(np.uint8)
    tp, fp, fn = outcomes(labels, guesses)
    scores = {
        "accuracy": metrics.accuracy_score(labels, guesses),
        "f1_micro": f1_of(tp.sum(), fp.sum(), fn.sum()),
        "f1_macro": f1_of(tp, fp, fn).mean(),
    }
    both = (labels.min(axis=0) == 0) & (labels.max(axis=0) == 1)
    if both.any():
        scores["roc_auc"] = metrics.roc_auc_score(labels[:, both], probabilities[:, both], average="macro")
        scores["average_precision"] = metrics.average_precision_score(labels[:, both], probabilities[:, both])
    return defined(scores)


def regression_metrics(labels, values):
    """Returns Pearson's and Spearman's correlation, their mean (GLUE's score for STS-B), and the mean squared error."""
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        pearson, spearman = (
            (stats.pearsonr(labels, values)[0], stats.spearmanr(labels, values)[0])
            if len(labels) > 1
            else (np.nan, np.nan)
        )
    error = np.mean(np.square(np.asarray(labels, np.float64) - values))
    scores = {
        "pearson": pearson,
        "spearman": spearman,
        "pearson_spearman": (pearson + spearman) / 2,
        "mean_squared_error": error,
    }
    return defined(scores)


def defined(scores):
    """Returns the scores that are finite, as Python's floats: dict -> dict."""
    return {name: float(value) for name, value in scores.items() if np.isfinite(value)}
