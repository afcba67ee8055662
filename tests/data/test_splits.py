"""Halving a data set by its labels."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import random_texts, rows_of
from tfbert import InputError
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.data.splits import halves, split_off, text_key


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


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=20, max_size=200)


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from([0.1, 0.25, 0.4]), st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 5))
def test_rows_that_are_split_off(rows, dev, test, seed):
    strata, texts = (np.array(column) for column in zip(*rows))
    shares = {split: share for split, share in (("test", test), ("dev", dev)) if share}
    try:
        found = split_off(strata, texts.astype(np.uint64), shares, seed)
    except InputError as error:
        assert "is not a single row" in str(error) and len(set(texts)) < 60
        return
    parts = [*found.values(), np.setdiff1d(np.arange(len(rows)), np.concatenate(list(found.values())))]
    assert sum(map(len, parts)) == len(rows) and all(map(len, parts))
    sides = [set(texts[part]) for part in parts]
    assert sum(map(len, sides)) == len(set(texts))  # no text on two sides
    for split, share in shares.items():
        assert len(found[split]) <= round(share * len(rows)) + 4
    again = split_off(strata, texts.astype(np.uint64), shares, seed)
    assert all(np.array_equal(found[split], again[split]) for split in shares)


def test_different_texts_are_split_exactly_and_alike():
    strata = np.repeat([0, 1, 2], [700, 250, 50])
    found = split_off(strata, np.arange(1000, dtype=np.uint64), {"test": 0.2, "dev": 0.1}, 0)
    assert [np.bincount(strata[found[split]]).tolist() for split in ("test", "dev")] == [[140, 50, 10], [70, 25, 5]]
    rare = split_off(np.repeat([0, 1], [96, 4]), np.arange(100, dtype=np.uint64), {"dev": 0.1}, 0)["dev"]
    assert len(rare) == 11 and sum(rare >= 96) == 1  # each label has a row


@pytest.mark.parametrize(
    "one,other,same",
    [
        ("The printer", "the  PRINTER ", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("Ａ１", "a1", True),
        ("打印机 坏了", "打印机坏了", True),
        ("a", "b", False),
        ("", "a", False),
    ],
)
def test_what_reads_the_same(one, other, same):
    assert (text_key((one,)) == text_key((other,))) == same
    assert text_key((one, "x")) != text_key((one + "x",))
