"""Halving a data set by its labels."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.data.splits import halves


@pytest.mark.parametrize(
    "labels",
    [
        np.repeat([0, 1, 2], [61, 20, 1]),
        np.random.default_rng(0).normal(size=51).astype(np.float32),
        np.random.default_rng(0).integers(0, 2, (40, 3)).astype(np.uint8),
    ],
    ids=["classes", "numbers", "labels"],
)
def test_halves_are_whole_disjoint_and_alike(labels):
    first, second = halves(labels, 3)
    assert sorted([*first, *second]) == list(range(len(labels))) and 0 <= len(first) - len(second) <= 1
    for label in np.unique(labels, axis=0):
        counts = [sum(np.array_equal(labels[row], label) for row in half) for half in (first, second)]
        assert abs(counts[0] - counts[1]) <= 2  # both ends of its rows may be paired with another label
    assert np.array_equal(first, halves(labels, 3)[0]) and not np.array_equal(first, halves(labels, 4)[0])


def test_numbers_are_halved_in_order_of_size():
    values = np.arange(1000, dtype=np.float32)
    first, second = halves(values, 0)
    assert abs(values[first].mean() - values[second].mean()) <= 1


def test_a_subset_holds_its_examples(tiny_model):
    texts = random_texts(40)
    rows = rows_of(texts, labels=["no", "yes"] * 20)
    whole = tokenize_examples(rows, tiny_model.tokenizer, 16, tiny_model.task.encode_label)
    chosen = [3, 8, 21]
    few = whole.subset(chosen)
    again = tokenize_examples([rows[i] for i in chosen], tiny_model.tokenizer, 16, tiny_model.task.encode_label)
    assert few.size == 3 and few.cut_share == again.cut_share and few.fingerprint != whole.fingerprint
    assert few.fingerprint == whole.subset(chosen).fingerprint != whole.subset([3, 8, 22]).fingerprint
    batches = [next(iter(ExampleDataset(examples, 3, 16, shuffle=False, seed=0))) for examples in (few, again)]
    for found, expected in zip(*map(tf.nest.flatten, batches), strict=True):
        np.testing.assert_array_equal(found, expected)
