"""Packing windows into rows: the batch format.

A batch holds M examples in W windows in R rows of S tokens (the features), with their labels and weights:

    token_ids, segment_ids, positions  int32 [R, S]   a row's tokens; positions restart in each window
    window_ids                         int32 [R, S]   0 = padding, else the window's number in its row
    window_start                       int32 [W]      flat index (row * S + column) of the window's [CLS]; unused: 0
    window_example                     int32 [W]      the example a window belongs to; unused: M
    example_windows                    int32 [M]      windows of an example; a padding example has none
    labels, weights                    [M, ...], float32 [M]   weight 0 marks a padding example
"""

import tensorflow as tf

# The length of a packed row is a multiple of this, as a program is compiled for every shape.
_MULTIPLE = 8
# The cost of attention grows with the row length, so a packed row is at most as long as the first of these that holds
# the longest window. Below them, attention is a small part of a step.
ROW_LENGTHS = tuple(2**power for power in range(7, 14))


def batch_features(
    windows,
    first_lengths,
    counts,
    row_length,
    example_slots,
    most_windows,
    static_shapes=False,
    windows_per_step=None,
    static_rows=None,
):
    """Returns the features of a batch.

    Args:
        windows: RaggedTensor int32 [n, (tokens)].
        first_lengths: int32 [n]. Tokens of each window in segment 0.
        counts: int32 [m]. Number of windows of each example, in order; their sum is n.
        row_length: int. Maximum number of tokens of a row.
        example_slots: int or int32 scalar, M, at least m.
        most_windows: int. Maximum number of windows per example.
        static_shapes: bool. The same shape for every batch, one row per window unless `static_rows` is given; else
            windows share rows.
        windows_per_step: int or None. Number of windows encoded at a time: each gets a row of its own, and the number
            of rows is a multiple of this. None: all at once.
        static_rows: int or None. With static shapes, the number of rows that the windows share; at least as many as
            needed.

    Returns:
        dict of the features listed at the top of this file.
    """
    lengths = tf.cast(windows.row_lengths(), tf.int32)
    together = windows_per_step or 1
    used = example_slots * most_windows
    if not static_shapes and most_windows > 1:
        used = tf.maximum(tf.size(lengths), example_slots)
    window_slots = -(-used // together) * together
    if static_rows:
        placement = (*pack_rows(lengths, tf.constant(row_length))[:3], static_rows, row_length)
    elif static_shapes:
        placement = pad_rows(lengths, row_length, window_slots)
    elif windows_per_step:
        placement = pad_rows(lengths, tf.reduce_max(tf.pad(lengths, [[0, 1]], constant_values=1)), window_slots)
    else:
        placement = pack_rows(lengths, _shortest_row(lengths, row_length))
    return fill_rows(windows, first_lengths, counts, placement, window_slots, example_slots)


def _shortest_row(lengths, row_length):
    """Returns the first of ROW_LENGTHS that holds the longest window, or `row_length` if that is less."""
    longest = tf.reduce_max(tf.pad(lengths, [[0, 1]]))
    return tf.reduce_min([row_length, *(tf.where(longest <= most, most, row_length) for most in ROW_LENGTHS)])


@tf.function(autograph=False, reduce_retracing=True)  # shared by all pipelines, as tracing takes 0.4 s
def pack_rows(lengths, row_length):
    """Distributes windows over few rows, evenly if that does not take more rows.

    With as few rows as the tokens could fill, the longest window goes first, each to the row with the most room; the
    fullest row sets the row length. If that row would be too long, best-fit packing finds the number of rows, over
    which the windows are then distributed evenly if they fit.

    Args:
        lengths: int32 [W]. Tokens of each window, at most `row_length`.
        row_length: int or int32 scalar. Maximum number of tokens of a row.

    Returns:
        (rows, columns, numbers, row_count, width): int32 [W] each window's row, first column and number in its row
        (from 1); int32 scalars: the number of rows and their length, a multiple of 8 or `row_length`.

    Source: longest-processing-time-first list scheduling (Graham 1969), best-fit decreasing (Johnson 1973).
    """
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    sizes, count = tf.gather(lengths, order), tf.size(lengths)

    def place(rows, choose):
        def step(i, loads, chosen):
            size = tf.gather(sizes, i)
            row = choose(loads, size)
            loads = tf.tensor_scatter_nd_add(loads, tf.reshape(row, [1, 1]), tf.reshape(size, [1]))
            return i + 1, loads, chosen.write(i, row)

        start = (0, tf.zeros([rows], tf.int32), tf.TensorArray(tf.int32, count))
        _, loads, chosen = tf.while_loop(lambda i, *_: i < count, step, start)
        return loads, chosen.stack()

    def evenly(rows):
        return place(rows, lambda loads, _: tf.argmin(loads, output_type=tf.int32))

    def tightly():
        def fullest_with_room(loads, size):
            return tf.argmax(tf.where(loads + size <= row_length, loads, -1), output_type=tf.int32)

        loads, chosen = place(count, fullest_with_room)
        return loads[: tf.math.count_nonzero(loads, dtype=tf.int32)], chosen

    def fits(loads, _):
        return tf.reduce_max(loads) <= row_length

    def in_more_rows():
        tight = tightly()
        even = evenly(tf.size(tight[0]))
        return tf.cond(fits(*even), lambda: even, lambda: tight)

    placed = evenly(tf.maximum(1, -(-tf.reduce_sum(lengths) // row_length)))
    loads, chosen = tf.cond(fits(*placed), lambda: placed, in_more_rows)
    width = tf.minimum(tf.maximum(-(-tf.reduce_max(loads) // _MULTIPLE), 1) * _MULTIPLE, row_length)
    # Row by row, the windows of each in the order of placement.
    by_row = tf.argsort(chosen, stable=True)
    rows = tf.gather(chosen, by_row)
    filled = tf.math.bincount(chosen, minlength=tf.size(loads))
    columns = tf.cumsum(tf.gather(sizes, by_row), exclusive=True) - tf.gather(tf.cumsum(loads, exclusive=True), rows)
    numbers = tf.range(1, count + 1) - tf.gather(tf.cumsum(filled, exclusive=True), rows)
    back = tf.argsort(tf.gather(order, by_row))
    return tf.gather(rows, back), tf.gather(columns, back), tf.gather(numbers, back), tf.size(loads), width


def pad_rows(lengths, row_length, row_count):
    """Places each window in a row of its own, of fixed length: returns what `pack_rows` does, with static shapes."""
    rows = tf.range(tf.size(lengths))
    return rows, tf.zeros_like(rows), tf.ones_like(rows), row_count, row_length


def fill_rows(windows, first_lengths, counts, placement, window_slots, example_slots):
    """Writes windows into rows: the features of a batch.

    Args:
        windows: RaggedTensor int32 [n, (tokens)].
        first_lengths: int32 [n]. Tokens of each window in segment 0.
        counts: int32 [m]. Number of windows of each example, in order; their sum is n.
        placement: what `pack_rows` or `pad_rows` returned for the windows.
        window_slots: int or int32 scalar, W, at least n.
        example_slots: int or int32 scalar, M, at least m.

    Returns:
        dict of the features listed at the top of this file.
    """
    rows, columns, numbers, row_count, row_length = placement
    starts = rows * row_length + columns
    window = tf.cast(windows.value_rowids(), tf.int32)
    position = tf.range(tf.size(window)) - tf.gather(tf.cast(windows.row_starts(), tf.int32), window)
    where = (tf.gather(starts, window) + position)[:, tf.newaxis]

    def rows_of(values):
        flat = tf.scatter_nd(where, values, [row_count * row_length])
        return tf.reshape(flat, [row_count, row_length])

    spare = window_slots - tf.size(rows)
    examples = tf.repeat(tf.range(tf.size(counts)), counts)
    static_windows, static_examples = (
        slots if isinstance(slots, int) else None for slots in (window_slots, example_slots)
    )
    return {
        "token_ids": rows_of(windows.flat_values),
        "segment_ids": rows_of(tf.cast(position >= tf.gather(first_lengths, window), tf.int32)),
        "positions": rows_of(position),
        "window_ids": rows_of(tf.gather(numbers, window)),
        "window_start": tf.ensure_shape(tf.pad(starts, [[0, spare]]), [static_windows]),
        "window_example": tf.ensure_shape(
            tf.pad(examples, [[0, spare]], constant_values=example_slots), [static_windows]
        ),
        "example_windows": tf.ensure_shape(tf.pad(counts, [[0, example_slots - tf.size(counts)]]), [static_examples]),
    }
