"""Folds: whole, disjoint, alike in labels, groups kept together; texts that are in several."""

import numpy as np
import pytest

from tfbert import TASKS, InputError
from tfbert.data.folds import fold_numbers, split_texts

RNG = np.random.default_rng(0)
TASK_OF = {
    "classes": TASKS["classification"](["a", "b", "c"]),
    "labels": TASKS["multilabel"](["a", "b", "c"]),
    "numbers": TASKS["regression"](),
}
LABELS = {
    "classes": RNG.permutation(np.repeat([0, 1, 2], [80, 15, 5])).astype(np.int32),
    "labels": (RNG.random((100, 3)) < [0.5, 0.2, 0.1]).astype(np.uint8),
    "numbers": RNG.normal(size=100).astype(np.float32),
}


@pytest.mark.parametrize("kind", LABELS)
def test_folds_are_whole_and_alike(kind):
    labels = LABELS[kind]
    classes = TASK_OF[kind].strata(labels, 5)
    folds = fold_numbers(classes, 5)
    assert np.array_equal(np.bincount(folds), [20] * 5) and np.array_equal(folds, fold_numbers(classes, 5))
    assert not np.array_equal(folds, np.sort(folds))
    if kind == "classes":
        for number in range(5):
            assert np.bincount(labels[folds == number]).tolist() == [16, 3, 1]
    elif kind == "labels":
        rarest = labels.sum(axis=0).argmin()
        held = [labels[folds == number, rarest].sum() for number in range(5)]
        assert max(held) - min(held) <= 1
    else:
        assert np.std([labels[folds == number].mean() for number in range(5)]) < 0.1


def test_few_rows_of_each_label():
    """Numbers go into fewer bins; labels that are rarer than there are folds cannot be dealt."""
    classes = TASK_OF["numbers"].strata(RNG.normal(size=40).astype(np.float32), 5)
    assert np.bincount(fold_numbers(classes, 5)).tolist() == [8] * 5
    with pytest.raises(InputError, match="--folds=5 needs a label with at least as many rows; the most frequent has 3"):
        fold_numbers(np.repeat(np.arange(100), 3), 5)


def test_groups_stay_together():
    groups = [f"作者{number}" for number in RNG.integers(0, 30, 100)]
    folds = fold_numbers(LABELS["classes"], 5, groups)
    for group in set(groups):
        assert len({fold for fold, own in zip(folds, groups) if own == group}) == 1
    assert min(np.bincount(folds)) >= 10


def test_texts_in_several_folds():
    assert split_texts(np.array([7, 8, 7, 9, 8, 8], np.uint64), np.array([0, 1, 0, 2, 1, 2])) == 3
    assert split_texts(np.array([7, 8], np.uint64), np.array([0, 1])) == 0
