"""Windows against google-research/bert's own truncation, one piece at a time."""

import numpy as np
import pytest
import tensorflow as tf

from tfbert.data.windows import head_windows

CLS, SEP = 101, 102


def truncate_seq_pair(a, b, room):
    """google-research/bert run_classifier.py, `_truncate_seq_pair`, as described there: pop from the longer one."""
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return a, b


@pytest.mark.parametrize("max_seq_length", [4, 5, 8, 9, 16])
def test_pairs_of_all_lengths(max_seq_length):
    lengths = [(a, b) for a in range(13) for b in range(13)]
    first = [list(range(1000, 1000 + a)) for a, _ in lengths]
    second = [list(range(2000, 2000 + b)) for _, b in lengths]
    ragged = [tf.ragged.constant(side, dtype=tf.int32, ragged_rank=1) for side in (first, second)]
    windows, first_lengths, cut = head_windows(*ragged, max_seq_length, CLS, SEP)
    for number, (a, b) in enumerate(zip(first, second)):
        kept_a, kept_b = truncate_seq_pair(a, b, max_seq_length - 3)
        assert windows[number].numpy().tolist() == [CLS, *kept_a, SEP, *kept_b, SEP]
        assert first_lengths[number] == len(kept_a) + 2
        assert cut[number] == (len(kept_a) < len(a) or len(kept_b) < len(b))


@pytest.mark.parametrize("pieces", [0, 1, 509, 510, 511, 2000])
def test_single_texts_keep_510_pieces(pieces):
    text = tf.ragged.constant([list(range(1000, 1000 + pieces))], dtype=tf.int32, ragged_rank=1)
    windows, first_lengths, cut = head_windows(text, None, 512, CLS, SEP)
    assert windows[0].numpy().tolist() == [CLS, *range(1000, 1000 + min(pieces, 510)), SEP]
    assert first_lengths.numpy().tolist() == [min(pieces, 510) + 2]
    np.testing.assert_array_equal(cut, [pieces > 510])
