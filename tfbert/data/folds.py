"""Splitting the training rows into folds for cross-validation."""

import warnings

import numpy as np

from tfbert.core.errors import InputError


def fold_numbers(classes, folds, groups=None):
    """Assigns rows to folds, stratified by class: np.int64 [N], from 0.

    The same data is always split in the same way, so that runs can be compared.

    Args:
        classes: int [N]. A task's `strata`.
        folds: int.
        groups: list [N], or None. Rows with the same entry stay together.

    Raises:
        InputError: every class has fewer rows than there are folds.

    Source: scikit-learn's StratifiedKFold and StratifiedGroupKFold.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    most = int(np.unique(classes, return_counts=True)[1].max())
    if most < folds:
        raise InputError(f"--folds={folds} needs a label with at least as many rows; the most frequent has {most}.")
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    numbers = np.empty(len(classes), np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # then some folds have no row of it
        splits = splitter(folds, shuffle=True, random_state=0).split(numbers, classes, groups)
        for number, (_, left_out) in enumerate(splits):
            numbers[left_out] = number
    return numbers


def split_texts(fingerprints, folds):
    """Returns how many rows have a text that also occurs in another fold: int.

    Args:
        fingerprints: np.uint64 [N]. Equal for equal texts.
        folds: int [N].
    """
    _, text = np.unique(fingerprints, return_inverse=True)
    pairs = np.unique(np.stack([text, folds]), axis=1)
    return int(np.isin(text, np.flatnonzero(np.bincount(pairs[0]) > 1)).sum())
