"""From the pieces of a text to windows: sequences of at most `max_seq_length` pieces with [CLS] and [SEP]."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class LongText:
    """What is kept of a text that is too long.

    Attributes:
        strategy: "head", its beginning; "tail", its end; "head_tail", some of its beginning and the rest from its end.
        head_pieces: int or None. With "head_tail", pieces from the beginning; None: a quarter, rounded up, which of 510
            is the 128 of Sun et al.
        truncation: of a pair, which side is cut: "longest_first", piece by piece the longer one, the second at a tie,
            as google-research/bert does; "only_first" or "only_second", the other one being cut only where it alone
            is too long.

    Source: Sun et al. 2019 (1905.05583), section 5.3.1.
    """

    strategy: str = "head"
    head_pieces: int | None = None
    truncation: str = "longest_first"


def make_windows(first, second, max_seq_length, cls_id, sep_id, long_text=LongText()):
    """Builds one window a text, [CLS] first [SEP] or [CLS] first [SEP] second [SEP].

    Args:
        first: RaggedTensor int32 [batch, (pieces)].
        second: RaggedTensor int32 [batch, (pieces)], or None for single texts.
        max_seq_length: int. The longest window, special pieces included.
        cls_id, sep_id: int.
        long_text: LongText.

    Returns:
        (windows, first_lengths, cut): RaggedTensor int32 [batch, (pieces)]; int32 [batch], how many pieces of the
        window belong to segment 0, special pieces included; bool [batch], whether pieces were lost.

    Source: google-research/bert `run_classifier.py`, `convert_single_example` and `_truncate_seq_pair`.
    """
    cls, sep = (tf.fill([first.nrows(), 1], tf.constant(piece, tf.int32)) for piece in (cls_id, sep_id))
    first_length = first.row_lengths()
    if second is None:
        windows = tf.concat([cls, _keep(first, tf.fill([first.nrows()], max_seq_length - 2), long_text), sep], axis=1)
        return windows, tf.cast(windows.row_lengths(), tf.int32), first_length > max_seq_length - 2
    room, second_length = max_seq_length - 3, second.row_lengths()
    if long_text.truncation == "longest_first":
        of_first = tf.maximum(room - second_length, (room + 1) // 2)
        of_second = tf.maximum(room - first_length, room // 2)
    elif long_text.truncation == "only_first":
        of_first, of_second = tf.maximum(room - second_length, 0), tf.fill([first.nrows()], room)
    else:
        of_first, of_second = tf.fill([first.nrows()], room), tf.maximum(room - first_length, 0)
    first, second = _keep(first, of_first, long_text), _keep(second, of_second, long_text)
    windows = tf.concat([cls, first, sep, second, sep], axis=1)
    return windows, tf.cast(first.row_lengths() + 2, tf.int32), first_length + second_length > room


def _keep(pieces, most, long_text):
    """Keeps at most so many pieces of each row, int [batch]: those that the strategy names."""
    most, lengths = tf.cast(most, tf.int64), pieces.row_lengths()
    if long_text.strategy == "head":
        head = most
    elif long_text.strategy == "tail":
        head = tf.zeros_like(most)
    elif long_text.head_pieces is None:
        head = (most + 3) // 4
    else:
        head = tf.minimum(most, long_text.head_pieces)
    head = tf.where(lengths > most, head, lengths)
    tail = tf.minimum(lengths, most) - head
    starts, limits = pieces.row_starts(), pieces.row_limits()
    kept = [tf.ragged.range(starts, starts + head), tf.ragged.range(limits - tail, limits)]
    return tf.gather(pieces.flat_values, tf.concat(kept, axis=1))
