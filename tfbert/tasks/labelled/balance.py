"""Rare classes: sampling of an epoch, class weights, and the correction for the changed prior.

Counts are those of the training data, [outputs]: the rows of each class, or the rows that hold each label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfbert.core.arguments import check_task
from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean
from tfbert.data.sampling import GroupDraws
from tfbert.tasks.labelled.labels import LabelSet

if TYPE_CHECKING:
    from tfbert.tasks.labelled.labelled_task import LabelledTask


def label_numbers(setting, amounts, task):
    """Returns amounts keyed by label number: dict of label -> number -> dict of int -> number.

    Args:
        setting: str. The setting that they belong to, for the message.
        amounts: dict. Labels as in the data, or as text.
        task: LabelledTask.

    Raises:
        InputError: the data has no such label.
    """
    known, numbers = LabelSet(task.labels), {}
    for label, amount in amounts.items():
        number = known.find(label)
        if number is None:
            names = ", ".join(map(str, task.labels[:30])) + (", …" if len(task.labels) > 30 else "")
            raise InputError(
                f"--{setting} names the label {str(label)!r}, which the training data lacks."
                f"{did_you_mean(label, task.labels)} It has: {names}."
            )
        if number in numbers:
            raise InputError(f"--{setting} names the label {str(task.labels[number])!r} twice.")
        numbers[number] = amount
    return numbers


def epoch_draws(
    task: LabelledTask,
    labels: np.ndarray,
    oversample: Mapping[str, float] | tuple = (),
    undersample: Mapping[str, int] | tuple = (),
    balance: str = "none",
) -> GroupDraws | None:
    """Returns which examples an epoch has: GroupDraws, or None if it has each example once.

    Args:
        task: LabelledTask; if a row may have several labels, only `oversample` is supported.
        labels: np.ndarray [N] or [N, labels]. The training data's.
        oversample: dict of label -> factor, at least 1. How often an epoch has each row of the label; a row with
            several labels has the largest of their factors.
        undersample: dict of label -> number of rows of the label in an epoch; the next epoch has others.
        balance: "none"; or the share of each class in an epoch of unchanged size is proportional to the square root of
            its number of rows ("sqrt") or the same for all classes ("uniform").

    Raises:
        InputError: an unknown label.

    Example:
        >>> import numpy as np
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> labels = np.array([0, 0, 0, 0, 1])
        >>> tfbert.epoch_draws(task, labels, oversample={"urgent": 4}).size
        8
    """
    check_task(task)
    factors = np.ones(task.outputs)
    for number, factor in label_numbers("oversample", dict(oversample), task).items():
        factors[number] = factor
    fewer = label_numbers("undersample", dict(undersample), task)
    if not len(oversample) and not fewer and balance == "none":
        return None
    return task.draws(labels, factors, fewer, balance)


def draws_of_labels(labels, factors):
    """Returns epochs that have each row as often as the largest factor of its labels: GroupDraws.

    Args:
        labels: 0 or 1, [N, labels].
        factors: float [labels].
    """
    factors, groups = np.unique(np.where(labels == 1, factors, 1.0).max(axis=1), return_inverse=True)
    return GroupDraws(groups, np.rint(np.bincount(groups) * factors))


def draws_of_classes(labels, factors, fewer, balance):
    """Returns epochs with oversampled, undersampled or balanced classes: GroupDraws.

    Args:
        labels: int [N].
        factors: float [classes].
        fewer: dict of int -> int. Number of rows, by class number.
        balance: str. As for `epoch_draws`.
    """
    sizes = np.bincount(labels, minlength=len(factors))
    if balance != "none":
        return GroupDraws(labels, _shares_of(len(labels), {"sqrt": np.sqrt(sizes), "uniform": sizes > 0}[balance]))
    counts = np.rint(sizes * factors)
    for number, rows in fewer.items():
        counts[number] = min(rows, sizes[number])
    return GroupDraws(labels, counts)


def class_weights_of(task, given, counts, rows):
    """Returns the weight of each label in the training loss: float64 [outputs], or None.

    Args:
        task: LabelledTask.
        given: ("balanced",), or dict of label -> weight; labels not named have 1.
        counts: float [outputs]. Rows of each label.
        rows: float. Total number of rows.

    Raises:
        InputError: an unknown label.
    """
    if not given:
        return None
    if given == ("balanced",):
        return task.balanced_weights(counts, rows)
    weights = np.ones(task.outputs)
    for number, weight in label_numbers("class_weights", given, task).items():
        weights[number] = weight
    return weights


def prior_shift(true, sampled, class_weights=None, tau=0.0):
    """Returns the shift that corrects a model's logits to the true prior: float64 [outputs].

    Trained on batches of prior p', with weights w and logits to which tau log p' is added, a model learns
    log p(c | x) - log p(c) + (1 - tau) log p'(c) + log w(c): the shift is log p - (1 - tau) log p' - log w. This is
    exact if resampling leaves p(text | class) unchanged; for several labels it is an approximation.

    Args:
        true, sampled: float [outputs]. The task's `log_prior` of the training data, and of an epoch.
        class_weights: float [outputs] or None.
        tau: float. The strength of logit adjustment.
    """
    weights = 0.0 if class_weights is None else np.log(class_weights)
    return true - (1 - tau) * sampled - weights


def _shares_of(total, weights):
    """Returns integers proportional to weights that sum to `total`, by largest remainder: float [n] -> int64 [n]."""
    exact = total * weights / np.sum(weights)
    counts = np.floor(exact).astype(np.int64)
    most = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[most] += 1
    return counts
