"""What BERT computes between its matrix products.

On a CPU these operations, one at a time, take longer than the products themselves, in bfloat16 several times as long.
`compiled` makes a part one program: a pass over the memory forward and one back, which computes the part again rather
than keep what is inside. Not where the whole step is compiled. Either way the insides are float32.
"""

import functools

import tensorflow as tf

_MASKED = -1e9


def biased_activation(x, bias, activation, compiled=False):
    """Returns activation(x + bias).

    Args:
        x: float [T, units].
        bias: float [units].
        activation: callable, of a float32 tensor.
        compiled: bool.
    """
    return _run(_biased_activation, (x, bias), None, (activation,), compiled)


def residual_norm(x, y, bias, gamma, beta, kept, rate, epsilon, compiled=False):
    """Returns norm(x + dropout(y + bias)), the norm Ba et al.'s (2016, 1607.06450): float like x.

    Args:
        x, y: float [T, hidden].
        bias, gamma, beta: float [hidden].
        kept: bool [T, hidden], what dropout keeps; None: everything.
        rate: float. The share that is dropped.
        epsilon: float. What the variance is raised by.
        compiled: bool.
    """
    return _run(_residual_norm, (x, y, bias, gamma, beta), kept, (rate, epsilon), compiled)


def attention(q, k, v, window_ids, kept, rate, compiled=False):
    """Returns dropout(softmax(q k' / √d)) v within each window of a row: float [R, heads, S, d].

    Args:
        q, k, v: float [R, heads, S, d].
        window_ids: int32 [R, S].
        kept: bool [R, heads, S, S], what dropout keeps; None: everything.
        rate: float. The share that is dropped.
        compiled: bool.
    """
    scale = q.shape[-1] ** -0.5
    if not compiled:
        scores = tf.matmul(q, k, transpose_b=True)
        probabilities = _dropped(tf.nn.softmax(_masked(scores, window_ids, scale)), kept, rate)
        return tf.matmul(tf.cast(probabilities, v.dtype), v)

    @tf.custom_gradient
    def run(q, k, v):
        scores = tf.matmul(q, k, transpose_b=True)
        probabilities, log_sums = _softmax(scores, window_ids, kept, rate, scale)
        y = tf.matmul(probabilities, v)

        def gradient(dy):
            d_probabilities = tf.matmul(dy, v, transpose_b=True)
            d_scores = _softmax_gradient(scores, window_ids, kept, log_sums, d_probabilities, y, dy, rate, scale)
            dv = tf.matmul(probabilities, dy, transpose_a=True)
            return tf.matmul(d_scores, k), tf.matmul(d_scores, q, transpose_a=True), dv

        return y, gradient

    return run(q, k, v)


def _run(function, inputs, kept, constants, compiled):
    """Returns function(*inputs, kept, *constants), compiled or not."""
    if not compiled:
        return function(*inputs, kept, *constants)
    forward, backward = _programs(function, constants)

    @tf.custom_gradient
    def run(*inputs):
        return forward(inputs, kept), lambda dy: backward(inputs, kept, dy)

    return run(*inputs)


@functools.cache
def _programs(function, constants):
    """Returns (inputs, kept) -> y and (inputs, kept, dy) -> the inputs' gradients, compiled; all layers share them."""

    def forward(inputs, kept):
        return function(*inputs, kept, *constants)

    def backward(inputs, kept, dy):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = forward(inputs, kept)
        return tape.gradient(y, inputs, dy)

    return _compile(forward), _compile(backward)


def _compile(function):
    return tf.function(function, jit_compile=True, autograph=False)


def _biased_activation(x, bias, _, activation):
    return tf.cast(activation(tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)), x.dtype)


def _residual_norm(x, y, bias, gamma, beta, kept, rate, epsilon):
    dtype = x.dtype
    x, y, bias, gamma, beta = (tf.cast(value, tf.float32) for value in (x, y, bias, gamma, beta))
    x += _dropped(y + bias, kept, rate)
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    return tf.cast(centred * tf.math.rsqrt(variance + epsilon) * gamma + beta, dtype)


@_compile
def _softmax(scores, window_ids, kept, rate, scale):
    """Returns what dropout leaves of the probabilities, and log Σ exp of each row of scores: float32 [..., S, 1]."""
    masked = _masked(scores, window_ids, scale)
    highest = tf.reduce_max(masked, axis=-1, keepdims=True)
    powers = tf.exp(masked - highest)
    total = tf.reduce_sum(powers, axis=-1, keepdims=True)
    return tf.cast(_dropped(powers / total, kept, rate), scores.dtype), highest + tf.math.log(total)


@_compile
def _softmax_gradient(scores, window_ids, kept, log_sums, d_probabilities, y, dy, rate, scale):
    """Returns the gradient of the scores: p (dropout(dp) - Σ p dropout(dp)), where the sum over a row is that of y dy.

    Source: Dao et al. 2022 (2205.14135), appendix B.2.
    """
    probabilities = tf.exp(_masked(scores, window_ids, scale) - log_sums)
    row_sums = tf.reduce_sum(tf.cast(y, tf.float32) * tf.cast(dy, tf.float32), axis=-1, keepdims=True)
    inner = _dropped(tf.cast(d_probabilities, tf.float32), kept, rate) - row_sums
    return tf.cast(probabilities * inner * scale, scores.dtype)


def _masked(scores, window_ids, scale):
    """Returns scale * scores, far below 0 between different windows: float32."""
    same_window = tf.equal(window_ids[:, tf.newaxis, :, tf.newaxis], window_ids[:, tf.newaxis, tf.newaxis, :])
    return tf.cast(scores, tf.float32) * scale + tf.where(same_window, 0.0, _MASKED)


def _dropped(x, kept, rate):
    return x if kept is None else tf.where(kept, x * (1 / (1 - rate)), tf.zeros([], x.dtype))
