"""Encoding windows in chunks, so that memory does not grow with the batch."""

import tensorflow as tf

_OF_ROWS = ("token_ids", "segment_ids", "positions", "window_ids")


def in_chunks(compute, features, seed, size, width, dtype):
    """Computes the vectors of windows in chunks, in the forward and again in the backward pass.

    The forward pass keeps only the vectors; the backward pass recomputes each chunk once the gradient of its vectors is
    known, and accumulates the gradients of the weights. So training costs one additional forward pass.

    Args:
        compute: callable (features, seed=...) -> float [size, width]; it may use variables.
        features: dict. Each window has a row of its own, and the rows are a multiple of `size`.
        seed: int32 [2] or None. Each chunk gets its own seed.
        size: int.
        width: int.
        dtype: str. The dtype of the vectors.

    Returns:
        float [W, width].

    Source: Gao et al. 2021 (2101.06983), section 3.1.
    """
    count = tf.shape(features["window_start"])[0] // size

    def of_chunk(number):
        own = None if seed is None else tf.random.experimental.stateless_fold_in(seed, number)
        return compute(_chunk(features, number, size), seed=own)

    @tf.custom_gradient
    def run(anchor):
        def gradient(dy, variables=()):
            dy = tf.reshape(dy, [count, size, dy.shape[-1]])

            def add(number, sums):
                with tf.GradientTape() as tape:
                    vectors = of_chunk(number)
                zero = tf.UnconnectedGradients.ZERO
                found = tape.gradient(vectors, variables, dy[number], unconnected_gradients=zero)
                return number + 1, [total + tf.convert_to_tensor(each) for total, each in zip(sums, found)]

            start = (0, [tf.zeros(variable.shape, variable.dtype) for variable in variables])
            _, sums = tf.while_loop(lambda number, _: number < count, add, start, parallel_iterations=1)
            return tf.zeros_like(anchor), sums

        def write(number, vectors):
            return number + 1, vectors.write(number, of_chunk(number))

        vectors = tf.TensorArray(dtype, count, element_shape=[size, width])
        _, vectors = tf.while_loop(lambda number, _: number < count, write, (0, vectors), parallel_iterations=1)
        return tf.reshape(vectors.stack(), [-1, width]), gradient

    return run(tf.zeros([]))


def _chunk(features, number, size):
    """Returns the features of some windows, numbered from 0."""
    length = tf.shape(features["token_ids"])[1]
    rows = {name: tf.reshape(features[name], [-1, size, length])[number] for name in _OF_ROWS}
    start = tf.reshape(features["window_start"], [-1, size])[number] - number * size * length
    return rows | {
        "window_start": tf.maximum(start, 0),  # unused ones point at the very first row
        "window_example": tf.reshape(features["window_example"], [-1, size])[number],
        "example_windows": features["example_windows"],
    }
