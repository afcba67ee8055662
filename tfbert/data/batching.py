"""From windows to rows: the one batch format of the project.

A batch holds M examples in W windows in R rows of S pieces (the features), with their labels and weights:

    token_ids, segment_ids, positions  int32 [R, S]   a row's pieces; positions restart in each window
    window_ids                         int32 [R, S]   0 = padding, else the window's number in its row
    window_start                       int32 [W]      flat index (row * S + column) of the window's [CLS]; unused: 0
    window_example                     int32 [W]      the example a window belongs to; unused: M
    labels, weights                    [M, ...], float32 [M]   weight 0 marks a padding example
"""

import tensorflow as tf


def pack_rows(lengths, row_length):
    """Distributes windows over as few rows as hold them, evenly: longest first, each to the row with the most room.

    Args:
        lengths: int32 [W]. Pieces of each window, at most `row_length`.
        row_length: int. The most pieces of a row.

    Returns:
        (rows, columns, numbers, row_count, fullest): int32 [W] each window's row, first column and number in its row
        (from 1); int32 scalars: how many rows there are, and how many pieces the fullest holds.

    Source: longest-processing-time-first list scheduling (Graham 1969).
    """
    order = tf.argsort(lengths, direction="DESCENDING", stable=True)
    count = tf.size(lengths)

    def place(rows):
        def step(i, loads, filled, chosen, columns, numbers):
            row = tf.argmin(loads, output_type=tf.int32)
            chosen, columns = chosen.write(i, row), columns.write(i, loads[row])
            numbers = numbers.write(i, filled[row] + 1)
            return (
                i + 1,
                tf.tensor_scatter_nd_add(loads, [[row]], [lengths[order[i]]]),
                tf.tensor_scatter_nd_add(filled, [[row]], [1]),
                chosen,
                columns,
                numbers,
            )

        arrays = [tf.TensorArray(tf.int32, count) for _ in range(3)]
        zeros = tf.zeros([rows], tf.int32)
        _, loads, _, chosen, columns, numbers = tf.while_loop(lambda i, *_: i < count, step, (0, zeros, zeros, *arrays))
        return tf.maximum(tf.reduce_max(loads), 1), chosen.stack(), columns.stack(), numbers.stack()

    least = tf.maximum(1, -(-tf.reduce_sum(lengths) // row_length))
    empty = tf.zeros([count], tf.int32)
    rows, fullest, chosen, columns, numbers = tf.while_loop(
        lambda rows, fullest, *_: fullest > row_length,
        lambda rows, *_: (rows + 1, *place(rows + 1)),
        (least - 1, tf.constant(row_length + 1), empty, empty, empty),
    )
    back = tf.argsort(order)
    return tf.gather(chosen, back), tf.gather(columns, back), tf.gather(numbers, back), rows, fullest


def pad_rows(lengths, row_length, row_count):
    """Gives each window a row of its own, of fixed length: what `pack_rows` returns, with static shapes for XLA."""
    rows = tf.range(tf.size(lengths))
    return rows, tf.zeros_like(rows), tf.ones_like(rows), row_count, row_length


def fill_rows(windows, first_lengths, placement, window_slots, example_slots):
    """Writes windows into rows: the features of a batch.

    Args:
        windows: RaggedTensor int32 [n, (pieces)].
        first_lengths: int32 [n]. Pieces of each window in segment 0.
        placement: what `pack_rows` or `pad_rows` returned for them.
        window_slots: int, W. n at most.
        example_slots: int, M. Each window is an example of its own, in order.

    Returns:
        dict of the features named at the top of this file.
    """
    rows, columns, numbers, row_count, row_length = placement
    starts = rows * row_length + columns
    window = tf.cast(windows.value_rowids(), tf.int32)
    position = tf.range(tf.size(window)) - tf.gather(tf.cast(windows.row_starts(), tf.int32), window)
    where = (tf.gather(starts, window) + position)[:, tf.newaxis]

    def rows_of(values):
        flat = tf.scatter_nd(where, values, [row_count * row_length])
        return tf.reshape(flat, [row_count, row_length])

    used = tf.size(rows)
    spare = window_slots - used
    return {
        "token_ids": rows_of(windows.flat_values),
        "segment_ids": rows_of(tf.cast(position >= tf.gather(first_lengths, window), tf.int32)),
        "positions": rows_of(position),
        "window_ids": rows_of(tf.gather(numbers, window)),
        "window_start": tf.ensure_shape(tf.pad(starts, [[0, spare]]), [window_slots]),
        "window_example": tf.ensure_shape(
            tf.concat([tf.range(used), tf.fill([spare], example_slots)], axis=0), [window_slots]
        ),
    }
