"""Rare classes: which examples an epoch takes, what a mistake on each class costs, and the prior that is thus learned.

Counts are those of the training data, [outputs]: the rows of each class, or the rows that hold each label.
"""

import numpy as np

from tfbert.core.errors import InputError
from tfbert.data.sampling import GroupDraws
from tfbert.tasks.labelled.labels import LabelSet


def label_numbers(setting, amounts, task):
    """Returns amounts by the number of their label: dict label -> number -> dict int -> number.

    Args:
        setting: str. What asks for them, for the message.
        amounts: dict. Labels as the data writes them, or as text.
        task: one of TASKS.

    Raises:
        InputError: the data has no such label.
    """
    known, numbers = LabelSet(task.labels), {}
    for label, amount in amounts.items():
        number = known.find(label)
        if number is None:
            names = ", ".join(map(str, task.labels[:30])) + (", …" if len(task.labels) > 30 else "")
            raise InputError(
                f"--{setting} names the label {str(label)!r}, which the training data lacks. It has: {names}."
            )
        if number in numbers:
            raise InputError(f"--{setting} names the label {str(task.labels[number])!r} twice.")
        numbers[number] = amount
    return numbers


def epoch_draws(task, labels, oversample=(), undersample=(), balance="none"):
    """Returns which examples an epoch takes: GroupDraws, or None where it is each once.

    Args:
        task: Classification, or Multilabel, for which there is only `oversample`.
        labels: np.ndarray [N] or [N, labels]. The training data's.
        oversample: dict of label -> factor, 1 at least. An epoch takes each row of the label so many times; a row of
            several labels has the largest factor among them.
        undersample: dict of label -> rows. An epoch takes so many rows of the label, others in the next.
        balance: "none"; or an epoch takes as many rows as there are, the share of a class being in proportion to the
            square root of its rows ("sqrt"), or the same for all ("uniform").

    Raises:
        InputError: an unknown label.
    """
    factors = np.ones(task.outputs)
    for number, factor in label_numbers("oversample", dict(oversample), task).items():
        factors[number] = factor
    fewer = label_numbers("undersample", dict(undersample), task)
    if not len(oversample) and not fewer and balance == "none":
        return None
    if labels.ndim == 2:
        factors, groups = np.unique(np.where(labels == 1, factors, 1.0).max(axis=1), return_inverse=True)
        return GroupDraws(groups, np.rint(np.bincount(groups) * factors))
    sizes = np.bincount(labels, minlength=task.outputs)
    if balance != "none":
        return GroupDraws(labels, _shares_of(len(labels), {"sqrt": np.sqrt(sizes), "uniform": sizes > 0}[balance]))
    counts = np.rint(sizes * factors)
    for number, rows in fewer.items():
        counts[number] = min(rows, sizes[number])
    return GroupDraws(labels, counts)


def label_counts(labels, outputs, rates=None):
    """Returns the rows of each class, or those that hold each label: float64 [outputs].

    Args:
        labels: np.ndarray [N] or [N, labels].
        outputs: int. Classes or labels.
        rates: float [N] or None. How often each row counts; None: once.
    """
    rates = np.ones(len(labels)) if rates is None else rates
    return rates @ labels if labels.ndim == 2 else np.bincount(labels, rates, minlength=outputs)


def balanced_weights(task, counts, rows):
    """Returns the weights that give all classes the same say: float64 [outputs].

    For a class, rows / (classes * its rows): scikit-learn's `class_weight="balanced"`, after King and Zeng 2001. For
    one of several labels, the rows without it over those with it: the `pos_weight` of torch's BCEWithLogitsLoss.

    Args:
        task: Classification or Multilabel.
        counts: float [outputs].
        rows: float. Rows in all.
    """
    return np.maximum(rows - counts, 1) / counts if task.name == "multilabel" else rows / (len(counts) * counts)


def log_prior(task, counts, rows):
    """Returns log p of each class, or each label's log-odds, smoothed by one row of each kind: float64 [outputs]."""
    if task.name == "multilabel":
        return np.log((counts + 1) / (rows - counts + 1))
    with np.errstate(divide="ignore"):  # a class may be in another fold
        return np.log(counts / rows)


def prior_shift(true, sampled, class_weights=None, tau=0.0):
    """Returns what takes a model's logits back to the true prior: float64 [outputs].

    Trained on batches of prior p', with weights w and logits to which tau log p' is added, a model learns
    log p(c | x) - log p(c) + (1 - tau) log p'(c) + log w(c): the shift is log p - (1 - tau) log p' - log w. Exact as
    long as resampling a class leaves its texts what they are, which for several labels is an approximation.

    Args:
        true, sampled: float [outputs]. `log_prior` of the training data, and of an epoch.
        class_weights: float [outputs] or None.
        tau: float. The strength of logit adjustment.
    """
    weights = 0.0 if class_weights is None else np.log(class_weights)
    return true - (1 - tau) * sampled - weights


def _shares_of(total, weights):
    """Returns whole numbers in proportion to some weights, by largest remainder: float [n] -> int64 [n], sum total."""
    exact = total * weights / np.sum(weights)
    counts = np.floor(exact).astype(np.int64)
    most = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[most] += 1
    return counts
