"""Rows, shares and order: every example exactly once, whatever the devices, and nothing but the examples."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of, tiny_vocabulary
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.data.rows import batch_features, fill_rows, pack_rows, pad_rows
from tfbert.data.sampling import epoch_order
from tfbert.models.tokenizers.wordpiece import BertTokenizer

TOKENIZER = BertTokenizer(tiny_vocabulary(), lowercase=True)


def dataset_of(count, batch_size=8, shuffle=True, seed=3, static_shapes=False, pairs=False, max_seq_length=24):
    texts = [f"{number} {text}" for number, text in enumerate(random_texts(count))]
    others = random_texts(count, seed=1) if pairs else None
    rows = rows_of(texts, labels=list(range(count)), pairs=others)
    examples = tokenize_examples(rows, TOKENIZER, max_seq_length, lambda label, where: np.int32(label))
    return ExampleDataset(examples, batch_size, max_seq_length, shuffle, seed, static_shapes)


def windows_of(batch):
    """Returns (label, pieces, segments) of every example of a batch, read back from its rows."""
    features, labels, weights = (
        {name: value.numpy() for name, value in batch[0].items()},
        batch[1].numpy(),
        batch[2].numpy(),
    )
    length = features["token_ids"].shape[1]
    found = []
    for slot, example in enumerate(features["window_example"]):
        if example == len(labels):
            assert features["window_start"][slot] == 0
            continue
        row, column = divmod(features["window_start"][slot], length)
        number = features["window_ids"][row, column]
        at = np.flatnonzero(features["window_ids"][row] == number)
        assert number > 0 and at[0] == column and np.array_equal(at, np.arange(at[0], at[0] + len(at)))
        assert np.array_equal(features["positions"][row, at], np.arange(len(at)))
        assert weights[example] == 1
        found.append(
            (labels[example], features["token_ids"][row, at].tolist(), features["segment_ids"][row, at].tolist())
        )
    assert (features["window_ids"] > 0).sum() == sum(len(pieces) for _, pieces, _ in found)
    assert (features["token_ids"][features["window_ids"] == 0] == 0).all()
    assert len(found) == (weights > 0).sum()
    return found


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_rows_hold_every_window_whole(static_shapes, pairs):
    dataset = dataset_of(21, static_shapes=static_shapes, pairs=pairs, shuffle=False)
    found = [example for batch in dataset for example in windows_of(batch)]
    windows, first_lengths, _ = dataset.examples.windows(tf.range(21, dtype=tf.int64))
    for number, (label, pieces, segments) in enumerate(found):
        assert label == number and pieces == windows[number].numpy().tolist()
        first = int(first_lengths[number])
        assert segments == [0] * first + [1] * (len(pieces) - first)
        assert pieces[0] == TOKENIZER.cls_id and pieces[-1] == TOKENIZER.sep_id
    assert len(found) == 21


def test_packing_fits_and_is_tight():
    rng = np.random.default_rng(0)
    for _ in range(50):
        lengths = rng.integers(2, 129, rng.integers(1, 64)).astype(np.int32)
        rows, columns, numbers, count, fullest = (value.numpy() for value in pack_rows(tf.constant(lengths), 128))
        assert fullest <= 128
        used = np.zeros((count, fullest), int)
        for row, column, length in zip(rows, columns, lengths):
            used[row, column : column + length] += 1
        assert used.max() == 1 and used.sum() == lengths.sum()
        for row in range(count):
            assert sorted(numbers[rows == row]) == list(range(1, (rows == row).sum() + 1))
        # Longest first never needs more rows than 4/3 of the best, plus one (Graham 1969).
        assert count <= -(-lengths.sum() // 128) * 4 / 3 + 1 or lengths.min() > 42


@pytest.mark.parametrize(
    "row_length,longest,most", [(512, 40, 128), (512, 128, 128), (512, 129, 256), (512, 300, 512), (500, 400, 500)]
)
def test_rows_are_no_longer_than_the_longest_window_needs(row_length, longest, most):
    """Attention takes a row's length times its pieces, so that rows of 500 cost short texts dearly."""
    lengths = np.random.default_rng(0).integers(2, longest + 1, 64).astype(np.int32)
    lengths[0] = longest
    windows = tf.RaggedTensor.from_row_lengths(tf.ones([lengths.sum()], tf.int32), lengths)
    ids = batch_features(windows, lengths, tf.ones([64], tf.int32), row_length, 64, 1)["window_ids"].numpy()
    assert ids.shape[1] <= most
    assert lengths.sum() == np.count_nonzero(ids) > 0.8 * ids.size


def test_packing_is_traced_once_for_all_pipelines():
    before = pack_rows.experimental_get_tracing_count()
    for batch_size in (3, 4):
        list(dataset_of(20, batch_size, max_seq_length=22).shares(0, 2))
    assert pack_rows.experimental_get_tracing_count() <= before + 1


def test_no_window_at_all_still_makes_a_row():
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    none = tf.zeros([0], tf.int32)
    features = fill_rows(empty, none, none, pack_rows(none, 16), 2, 2)
    assert features["token_ids"].shape == (1, 8) and features["window_example"].numpy().tolist() == [2, 2]
    assert features["example_windows"].numpy().tolist() == [0, 0]


def test_static_shapes_are_the_same_for_every_batch():
    batches = dataset_of(21, static_shapes=True).shares(0, 3)
    assert {tuple(batch[0]["token_ids"].shape) for batch in batches} == {(8, 24)}
    assert batches.element_spec[0]["token_ids"].shape == [8, 24]
    assert pad_rows(tf.constant([3, 4]), 24, 8)[3:] == (8, 24)


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_windows_share_rows_of_static_shapes(shares):
    """As few as all shares of the run need, so that one of them fills no fewer."""
    dataset = dataset_of(29, max_seq_length=100).with_shapes(static_shapes=True)
    rows = dataset.static_rows(8, shares)
    packed, padded = (list(dataset.shares(0, 8, shares, rows=number)) for number in (rows, None))
    assert {tuple(batch[0]["token_ids"].shape) for batch in packed} == {(rows, 100)}
    assert [windows_of(batch) for batch in packed] == [windows_of(batch) for batch in padded]
    assert rows < -(-8 // shares) == padded[0][0]["token_ids"].shape[0]
    assert max(int(tf.reduce_max(tf.where(batch[0]["window_ids"] > 0)[:, 0])) for batch in packed) == rows - 1
    for spec in tf.nest.flatten(dataset.shares(0, 8, shares, rows=rows).element_spec):
        assert spec.shape.is_fully_defined()


def test_rows_of_static_shapes_are_no_longer_than_the_longest_window_needs():
    dataset = dataset_of(29, max_seq_length=500).with_shapes(static_shapes=True)
    assert next(iter(dataset.shares(0, 1, rows=dataset.static_rows(4, 1))))[0]["token_ids"].shape[1] == 128


def test_a_row_a_window_where_windows_fill_it():
    full = dataset_of(29, max_seq_length=6).with_shapes(static_shapes=True)
    assert full.examples.window_lengths.mean() > 0.8 * 6 and full.static_rows(4, 1) is None
    assert dataset_of(29, max_seq_length=100).with_shapes(True, windows_per_step=2).static_rows(4, 1) is None


@pytest.mark.parametrize("shares,pipelines", [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3), (12, 1)])
def test_shares_are_the_batch_in_parts(shares, pipelines):
    dataset = dataset_of(29)
    whole = [[example for example in windows_of(batch)] for batch in dataset.shares(0, 8)]
    streams = [iter(dataset.shares(0, 8, shares // pipelines, pipeline, pipelines)) for pipeline in range(pipelines)]
    for step in range(8):
        parts = [windows_of(next(stream)) for stream in streams for _ in range(shares // pipelines)]
        assert [example for part in parts for example in part] == whole[step]
        assert max(map(len, parts)) <= -(-8 // shares)


def test_an_epoch_takes_every_example_once_and_the_next_in_another_order():
    dataset = dataset_of(29)
    epochs = [[example[0] for batch in dataset for example in windows_of(batch)] for _ in range(3)]
    assert all(sorted(epoch) == list(range(29)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    steps = [example[0] for batch in dataset.shares(0, 8) for example in windows_of(batch)]
    assert steps == epochs[0] + epochs[1]


def test_any_step_can_be_asked_for_alone():
    dataset = dataset_of(29)
    straight = [windows_of(batch) for batch in dataset.shares(0, 11)]
    later = [windows_of(batch) for batch in dataset.shares(7, 11)]
    assert later == straight[7:]


def test_order_depends_on_the_seed_only():
    first, again, other = (
        [e[0] for batch in dataset_of(29, seed=seed) for e in windows_of(batch)] for seed in (3, 3, 4)
    )
    assert first == again != other


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 4097])
def test_epoch_order_is_a_permutation(size):
    order = epoch_order(tf.range(size, dtype=tf.int64), tf.constant(5, tf.int64), size, seed=1).numpy()
    assert sorted(order) == list(range(size))


def test_epoch_order_mixes_a_sorted_file():
    """Files sorted by class are common: a batch's share of a class must vary as in random draws, over seeds and epochs.

    The cipher's default of 4 rounds fails here.
    """
    size, batch = 1000, 50
    orders = np.stack(
        [
            epoch_order(tf.range(size, dtype=tf.int64), tf.constant(epoch, tf.int64), size, seed).numpy()
            for seed in range(4)
            for epoch in range(8)
        ]
    )
    in_batches = (orders < size // 2).reshape(len(orders), -1, batch).sum(axis=-1)
    expected = batch / 4 * (size - batch) / (size - 1)  # variance of draws without replacement
    assert 0.8 < in_batches.var(axis=-1).mean() / expected < 1.2
    # Correlations between random orders have a deviation of 1/sqrt(size), over epochs and from neighbour to neighbour.
    between = np.corrcoef(orders)[np.triu_indices(len(orders), 1)] * np.sqrt(size)
    neighbours = [np.corrcoef(order[1:], order[:-1])[0, 1] * np.sqrt(size) for order in orders]
    assert 0.9 < between.std() < 1.1 and np.std(neighbours) < 1.4


@pytest.mark.parametrize("data_set,columns,most", [("sst2", ("text", None), 0.05), ("cola", ("text", None), 0.05)])
def test_padding_share_of_real_batches(shared, data_set, columns, most):
    from tfbert.data.sources import read_examples
    from tfbert.models.tokenizers.wordpiece import read_vocabulary

    tokenizer = BertTokenizer(read_vocabulary(str(shared / "data" / "vocab" / "bert-base-uncased-vocab.txt")), True)
    rows = read_examples(str(shared / "data" / data_set / "train.jsonl"), *columns, limit=3200)
    dataset = ExampleDataset(tokenize_examples(rows, tokenizer, 128), 32, 128, shuffle=True, seed=0)
    used, cells = 0, 0
    for features, _, _ in dataset:
        used += int(tf.math.count_nonzero(features["window_ids"]))
        cells += int(tf.size(features["window_ids"]))
    assert 1 - used / cells <= most
