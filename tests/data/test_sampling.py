"""Epochs that take more or fewer examples of a group: how often, which, and in what batches."""

import numpy as np
import pytest
import tensorflow as tf

from tests.data.test_rows import dataset_of, windows_of
from tfbert.data.sampling import GroupDraws, epoch_order

GROUPS = np.array([0, 1, 0, 0, 2, 0, 1, 0, 0, 0] * 3)  # 21, 6 and 3 examples
COUNTS = np.array([8, 24, 5])


def epochs_of(draws, count, seed=3):
    slots = tf.range(draws.size, dtype=tf.int64)
    return np.stack([draws.examples(slots, tf.constant(e, tf.int64), seed).numpy() for e in range(count)])


@pytest.mark.parametrize("size", [10, 1000, 10**6])
def test_far_seeds_and_epochs_have_orders_of_their_own(size):
    """TensorFlow's shuffle reads the lowest 8 or 10 bits of a seed alone."""
    positions = tf.range(10, dtype=tf.int64)
    keys = [(0, 0), *((2**bits, 0) for bits in range(6, 40, 2)), *((0, 2**bits) for bits in range(6, 40, 2)), (-1, 0)]
    orders = {tuple(epoch_order(positions, tf.constant(e, tf.int64), size, s).numpy().tolist()) for s, e in keys}
    assert len(orders) == len(keys)


def test_each_epoch_takes_so_many_of_each_group():
    draws = GroupDraws(GROUPS, COUNTS)
    assert draws.size == 37
    for epoch in epochs_of(draws, 5):
        assert np.array_equal(np.bincount(GROUPS[epoch]), COUNTS)
        assert np.array_equal(np.bincount(epoch, minlength=30)[GROUPS == 1], [4] * 6)  # fourfold, each
    np.testing.assert_allclose(draws.rates, np.array([8 / 21, 4, 5 / 3])[GROUPS])


def test_all_of_a_group_are_taken_equally_often_in_the_long_run():
    draws = GroupDraws(GROUPS, COUNTS)
    for epochs in (1, 2, 3, 8, 21):
        taken = np.bincount(epochs_of(draws, epochs).reshape(-1), minlength=30)
        for group, count in enumerate(COUNTS):
            of_group = taken[GROUPS == group]
            assert of_group.sum() == epochs * count and of_group.max() - of_group.min() <= 1


def test_each_time_round_a_group_has_another_order():
    draws = GroupDraws(np.zeros(60, int), [30])
    epochs = [set(epoch) for epoch in epochs_of(draws, 6)]
    for first, second in zip(epochs[::2], epochs[1::2]):
        assert not first & second
    assert len({frozenset(epoch) for epoch in epochs}) == 6


def test_a_group_without_examples_is_left_out():
    draws = GroupDraws(np.array([1, 1, 3, 3, 3]), [0, 4, 0, 2, 0])
    for epoch in epochs_of(draws, 3):
        assert np.bincount(epoch, minlength=5)[:2].tolist() == [2, 2] and sum(epoch > 1) == 2
    assert draws.rates.tolist() == [2, 2, 2 / 3, 2 / 3, 2 / 3]


def test_draws_depend_on_epoch_slot_and_seed_alone():
    draws = GroupDraws(GROUPS, COUNTS)
    whole = epochs_of(draws, 4)
    few = draws.examples(tf.constant([36, 3, 9], tf.int64), tf.constant(2, tf.int64), 3).numpy()
    assert few.tolist() == whole[2, [36, 3, 9]].tolist()
    assert not np.array_equal(whole, epochs_of(draws, 4, seed=4)) and not np.array_equal(whole[0], whole[1])


def test_what_is_drawn_is_random():
    """Of 100 examples 50 are taken: over seeds each as often as any other, and each pair, too."""
    draws = GroupDraws(np.zeros(100, int), [50])
    taken = np.zeros((250, 100))
    for seed in range(250):
        taken[seed, epochs_of(draws, 1, seed)[0]] = 1
    assert abs(taken.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(250)
    pairs = np.corrcoef(taken.T)[np.triu_indices(100, 1)] * np.sqrt(250)
    assert 0.9 < pairs.std() < 1.1


@pytest.mark.parametrize("shares,pipelines", [(2, 1), (3, 1), (4, 2)])
def test_any_device_and_a_resumed_run_find_the_same_examples(shares, pipelines):
    dataset = dataset_of(30).with_draws(GroupDraws(GROUPS, COUNTS))
    assert dataset.steps_per_epoch == 5  # 37 examples in batches of 8
    whole = [[example[0] for example in windows_of(batch)] for batch in dataset.shares(0, 10)]
    for epoch in (whole[:5], whole[5:]):
        assert np.array_equal(np.bincount(GROUPS[np.concatenate(epoch)]), COUNTS)
    assert whole[:5] != whole[5:]
    streams = [iter(dataset.shares(3, 10, shares // pipelines, pipeline, pipelines)) for pipeline in range(pipelines)]
    for step in range(3, 10):
        parts = [windows_of(next(stream)) for stream in streams for _ in range(shares // pipelines)]
        assert [example[0] for part in parts for example in part] == whole[step]


def test_groups_are_mixed():
    """Each batch of a balanced epoch has about its share of each group."""
    draws = GroupDraws(np.repeat([0, 1], [900, 100]), [500, 500])
    dataset = dataset_of(1000, batch_size=50).with_draws(draws)
    rare = [sum(example[0] >= 900 for example in windows_of(batch)) for batch in dataset.shares(0, 40)]
    assert sum(rare) == 1000 and 0.5 < np.var(rare) / (50 / 4 * 950 / 999) < 2.0
