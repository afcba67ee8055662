"""Building windows: sequences of at most `max_seq_length` tokens with [CLS] and [SEP], from the tokens of a text."""

import dataclasses

import tensorflow as tf

# How the vectors of the windows of a long text are merged.
MERGES = ("mean", "max", "attention")


@dataclasses.dataclass(frozen=True)
class LongText:
    """How texts that are too long for one window are handled.

    Attributes:
        strategy: "head": keep the beginning; "tail": keep the end; "head_tail": keep some of the beginning and the rest
            from the end; or use several windows and merge their vectors by "mean", "max" or "attention".
        head_pieces: int or None. With "head_tail", number of tokens from the beginning; None: a quarter, rounded up,
            which is 128 of 510 as in Sun et al.
        truncation: which text of a pair is truncated. "longest_first": token by token the longer one, the second at a
            tie, as google-research/bert does; "only_first" or "only_second": that one, and the other only if it alone
            is too long. With several windows, that text is spread over them, and the other one is repeated in each,
            truncated if it would take more than half of a window.
        max_windows: int. Maximum number of windows per text; tokens beyond them are lost.
        stride: int or None. Tokens from the start of one window to the start of the next, at most as many as fit in a
            window; None: as many as fit, so that windows do not overlap.

    Source: Sun et al. 2019 (1905.05583), section 5.3.1.

    Example:
        >>> tfbert.LongText("mean", max_windows=3).windows
        3
    """

    strategy: str = "head"
    head_pieces: int | None = None
    truncation: str = "longest_first"
    max_windows: int = 4
    stride: int | None = None

    @property
    def windows(self):
        """Maximum number of windows per text, int."""
        return self.max_windows if self.strategy in MERGES else 1


@dataclasses.dataclass(frozen=True)
class Windows:
    """The windows of some texts.

    Attributes:
        pieces: RaggedTensor int32 [windows, (tokens)]. Tokens, special ones included; the windows of a text are
            adjacent.
        first_lengths: int32 [windows]. Tokens of each window in segment 0, special ones included.
        counts: int32 [texts]. Windows of each text, at least one.
        lost: int32 [texts]. Tokens of each text that are not in any window.
        text_lengths: int32 [texts]. Tokens that each text would have without truncation, special ones included.
    """

    pieces: tf.RaggedTensor
    first_lengths: tf.Tensor
    counts: tf.Tensor
    lost: tf.Tensor
    text_lengths: tf.Tensor


def make_windows(first, second, max_seq_length, cls_id, sep_id, long_text=LongText()):
    """Builds the windows of texts, each [CLS] first [SEP] or [CLS] first [SEP] second [SEP].

    Args:
        first: RaggedTensor int32 [batch, (tokens)].
        second: RaggedTensor int32 [batch, (tokens)], or None for single texts.
        max_seq_length: int. The longest window, special tokens included.
        cls_id, sep_id: int.
        long_text: LongText.

    Returns:
        Windows.

    Source: google-research/bert `run_classifier.py`, `convert_single_example` and `_truncate_seq_pair`.
    """
    sides = [first] if second is None else [first, second]
    lengths = [side.row_lengths() for side in sides]
    room = max_seq_length - 1 - len(sides)
    if long_text.windows > 1:
        kept, counts, lost = _several(sides, lengths, room, long_text)
    else:
        most = _most_of_each(lengths, room, long_text.truncation)
        kept = [_keep(*side, long_text) for side in zip(sides, most)]
        counts = tf.ones_like(lengths[0])
        lost = tf.add_n(lengths) - tf.add_n([side.row_lengths() for side in kept])
    cls, sep = (tf.fill([kept[0].nrows(), 1], tf.constant(piece, tf.int32)) for piece in (cls_id, sep_id))
    pieces = tf.concat([cls, *(part for side in kept for part in (side, sep))], axis=1)
    return Windows(
        pieces,
        tf.cast(kept[0].row_lengths() + 2, tf.int32),
        tf.cast(counts, tf.int32),
        tf.cast(lost, tf.int32),
        tf.cast(tf.add_n(lengths) + 1 + len(sides), tf.int32),
    )


def _most_of_each(lengths, room, truncation):
    """Returns how many tokens of each text fit into one window: list of int64 [batch]."""
    if len(lengths) == 1:
        return [tf.fill(tf.shape(lengths[0]), tf.constant(room, tf.int64))]
    first, second = lengths
    if truncation == "longest_first":
        return [tf.maximum(room - second, (room + 1) // 2), tf.maximum(room - first, room // 2)]
    whole = tf.fill(tf.shape(first), tf.constant(room, tf.int64))
    if truncation == "only_first":
        return [tf.maximum(room - second, 0), whole]
    return [whole, tf.maximum(room - first, 0)]


def _keep(pieces, most, long_text):
    """Keeps at most `most` (int64 [batch]) tokens of each row, chosen by the strategy."""
    lengths = pieces.row_lengths()
    if long_text.strategy == "tail":
        head = tf.zeros_like(most)
    elif long_text.strategy == "head_tail":
        head = (most + 3) // 4 if long_text.head_pieces is None else tf.minimum(most, long_text.head_pieces)
    else:
        head = most
    head = tf.where(lengths > most, head, lengths)
    tail = tf.minimum(lengths, most) - head
    starts, limits = pieces.row_starts(), pieces.row_limits()
    kept = [tf.ragged.range(starts, starts + head), tf.ragged.range(limits - tail, limits)]
    return tf.gather(pieces.flat_values, tf.concat(kept, axis=1))


def _several(sides, lengths, room, long_text):
    """Spreads one text of a pair over several windows and repeats the other in each.

    Returns:
        (kept, counts, lost): a RaggedTensor [windows, (tokens)] for each side; int64 [batch]; int64 [batch].
    """
    most = tf.constant(long_text.max_windows, tf.int64)
    if len(sides) == 1:
        spread, other = [tf.ones_like(lengths[0], tf.bool)], tf.zeros_like(lengths[0])
    else:
        over_second = {
            "longest_first": lengths[1] >= lengths[0],
            "only_first": tf.zeros_like(lengths[0], tf.bool),
            "only_second": tf.ones_like(lengths[0], tf.bool),
        }[long_text.truncation]
        spread, other = [~over_second, over_second], tf.where(over_second, *lengths)
    length = tf.add_n(lengths) - other
    beside = tf.minimum(other, tf.maximum(room - length, room // 2))
    width = room - beside
    stride = width if long_text.stride is None else tf.minimum(width, long_text.stride)
    stride = tf.maximum(stride, 1)  # nothing to spread, and no room beside the other text
    counts = tf.clip_by_value(1 + -(-tf.maximum(length - width, 0) // stride), 1, most)
    lost = other - beside + tf.maximum(length - (counts - 1) * stride - width, 0)
    text = tf.repeat(tf.range(tf.size(counts)), counts)
    begin = tf.ragged.range(counts).flat_values * tf.gather(stride, text)
    kept = []
    for side, spread_here in zip(sides, spread):
        starts = tf.gather(side.row_starts(), text) + tf.where(tf.gather(spread_here, text), begin, 0)
        limits = starts + tf.gather(tf.where(spread_here, width, beside), text)
        limits = tf.minimum(limits, tf.gather(side.row_limits(), text))
        kept.append(tf.gather(side.flat_values, tf.ragged.range(starts, limits)))
    return kept, counts, lost
