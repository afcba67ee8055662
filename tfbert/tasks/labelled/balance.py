"""Rare classes: which examples an epoch takes, what a mistake on each class costs, and the prior that is thus learned.

Counts are those of the training data, [outputs]: the rows of each class, or the rows that hold each label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfbert.core.arguments import check_task
from tfbert.core.errors import InputError
from tfbert.data.sampling import GroupDraws
from tfbert.tasks.labelled.labels import LabelSet

if TYPE_CHECKING:
    from tfbert.tasks.labelled.labelled_task import LabelledTask


def label_numbers(setting, amounts, task):
    """Returns amounts by the number of their label: dict label -> number -> dict int -> number.

    Args:
        setting: str. What asks for them, for the message.
        amounts: dict. Labels as the data writes them, or as text.
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
                f"--{setting} names the label {str(label)!r}, which the training data lacks. It has: {names}."
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
    """Returns which examples an epoch takes: GroupDraws, or None where it is each once.

    Args:
        task: LabelledTask; where a row may have several labels, there is only `oversample`.
        labels: np.ndarray [N] or [N, labels]. The training data's.
        oversample: dict of label -> factor, 1 at least. An epoch takes each row of the label so many times; a row of
            several labels has the largest factor among them.
        undersample: dict of label -> rows. An epoch takes so many rows of the label, others in the next.
        balance: "none"; or an epoch takes as many rows as there are, the share of a class being in proportion to the
            square root of its rows ("sqrt"), or the same for all ("uniform").

    Raises:
        InputError: an unknown label.
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
    """Returns epochs that take each row as often as the largest factor among its labels says: GroupDraws.

    Args:
        labels: 0 or 1, [N, labels].
        factors: float [labels].
    """
    factors, groups = np.unique(np.where(labels == 1, factors, 1.0).max(axis=1), return_inverse=True)
    return GroupDraws(groups, np.rint(np.bincount(groups) * factors))


def draws_of_classes(labels, factors, fewer, balance):
    """Returns epochs that take the rows of each class so often, so many, or in such shares: GroupDraws.

    Args:
        labels: int [N].
        factors: float [classes].
        fewer: dict of int -> int. The rows of a class, by its number.
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
    """Returns the factor of each label in the training loss: float64 [outputs], None where there are none.

    Args:
        task: LabelledTask.
        given: ("balanced",), or dict of label -> weight; those that it does not name have 1.
        counts: float [outputs]. Rows of each label.
        rows: float. Rows in all.

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
    """Returns what takes a model's logits back to the true prior: float64 [outputs].

    Trained on batches of prior p', with weights w and logits to which tau log p' is added, a model learns
    log p(c | x) - log p(c) + (1 - tau) log p'(c) + log w(c): the shift is log p - (1 - tau) log p' - log w. Exact as
    long as resampling a class leaves its texts what they are, which for several labels is an approximation.

    Args:
        true, sampled: float [outputs]. The task's `log_prior` of the training data, and of an epoch.
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
