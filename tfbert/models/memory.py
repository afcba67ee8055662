"""Windows encoded some at a time: the memory of a few windows' activations, whatever the batch."""

import tensorflow as tf

_OF_ROWS = ("token_ids", "segment_ids", "positions", "window_ids")


def in_chunks(compute, features, seed, size, width, dtype):
    """Computes the windows' vectors, so many windows at a time, forward and again backward.

    The forward pass keeps the vectors alone; the backward pass computes each chunk once more, when the gradient of its
    vectors is known, and adds up the gradients of the weights. So training costs one more forward pass.

    Args:
        compute: callable (features, seed=...) -> float [size, width]; it may use variables.
        features: dict. Each window has a row of its own, and the rows are a multiple of `size`.
        seed: int32 [2] or None. Each chunk has a seed of its own.
        size: int.
        width: int.
        dtype: str. What the vectors are computed in.

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
        "window_start": tf.maximum(start, 0),  # unused ones point at the first row of all
        "window_example": tf.reshape(features["window_example"], [-1, size])[number],
        "example_windows": features["example_windows"],
    }
