"""From the pieces of a text to windows: sequences of at most `max_seq_length` pieces with [CLS] and [SEP]."""

import tensorflow as tf


def head_windows(first, second, max_seq_length, cls_id, sep_id):
    """Builds one window a text, [CLS] first [SEP] or [CLS] first [SEP] second [SEP], from the beginning of the text.

    A pair that is too long loses pieces from the end of its longer side, one by one, the second side at a tie.
    Source: google-research/bert `run_classifier.py`, `convert_single_example` and `_truncate_seq_pair`.

    Args:
        first: RaggedTensor int32 [batch, (pieces)].
        second: RaggedTensor int32 [batch, (pieces)], or None for single texts.
        max_seq_length: int. The longest window, special pieces included.
        cls_id, sep_id: int.

    Returns:
        (windows, first_lengths, cut): RaggedTensor int32 [batch, (pieces)]; int32 [batch], how many pieces of the
        window belong to segment 0, special pieces included; bool [batch], whether pieces were lost.
    """
    cls, sep = (tf.fill([first.nrows(), 1], tf.constant(piece, tf.int32)) for piece in (cls_id, sep_id))
    if second is None:
        windows = tf.concat([cls, first[:, : max_seq_length - 2], sep], axis=1)
        return windows, tf.cast(windows.row_lengths(), tf.int32), first.row_lengths() > max_seq_length - 2
    room = max_seq_length - 3
    first_length, second_length = first.row_lengths(), second.row_lengths()
    first = _cut(first, tf.maximum(room - second_length, (room + 1) // 2))
    second = _cut(second, tf.maximum(room - first_length, room // 2))
    windows = tf.concat([cls, first, sep, second, sep], axis=1)
    return windows, tf.cast(first.row_lengths() + 2, tf.int32), first_length + second_length > room


def _cut(pieces, lengths):
    """Keeps at most `lengths` [batch] pieces of each row."""
    kept = tf.minimum(pieces.row_lengths(), lengths)
    starts = pieces.row_starts()
    return tf.gather(pieces.flat_values, tf.ragged.range(starts, starts + kept))
