"""Fused operations: what BERT computes between its matrix products.

On a CPU these operations, run one at a time, take longer than the products themselves, in bfloat16 several times as
long. `compiled` turns a part, and its gradient, into a program of a few passes over the memory, with float32 inside;
the gradient recomputes intermediate values instead of keeping them. It is not used if the whole step is compiled.
"""

import functools

import tensorflow as tf

from tfbert.core.xla import compile_part
from tfbert.models.dropout import dropout, kept

_MASKED = -1e9


def biased_activation(x, bias, activation, compiled=False):
    """Returns activation(x + bias): float like x.

    Args:
        x: float [T, units].
        bias: float [units].
        activation: callable, tensor -> tensor.
        compiled: bool.
    """
    if not compiled:
        return activation(x + bias)
    forward, backward = _programs(activation)

    @tf.custom_gradient
    def run(x, bias):
        def gradient(dy):
            dx = backward(x, bias, dy)
            return dx, tf.reduce_sum(dx, axis=0)

        return forward(x, bias), gradient

    return run(x, bias)


def norm(x, gamma, beta, epsilon):
    """Normalises the rows of x in float32 (Ba et al. 2016, 1607.06450): float [..., hidden] -> float32."""
    x = tf.cast(x, tf.float32)
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True)
    x = centred * tf.math.rsqrt(variance + epsilon)
    return x * tf.cast(gamma, tf.float32) + tf.cast(beta, tf.float32)


def residual_norm(x, y, bias, gamma, beta, rate, seed, epsilon, compiled=False):
    """Returns norm(x + dropout(y + bias)): float like x.

    Args:
        x, y: float [T, hidden].
        bias, gamma, beta: float [hidden].
        rate, seed: those of `dropout`.
        epsilon: float. Added to the variance.
        compiled: bool.
    """
    if not compiled:
        return tf.cast(norm(x + dropout(y + bias, rate, seed), gamma, beta, epsilon), x.dtype)
    mask = _mask(tf.shape(y), rate, seed)

    @tf.custom_gradient
    def run(x, y, bias, gamma, beta):
        normed, *moments = _normed(x, y, bias, gamma, beta, mask, rate, epsilon)

        def gradient(d_normed):
            dx, dy, d_gamma = _normed_gradient(x, y, bias, gamma, mask, rate, *moments, d_normed)
            return dx, dy, tf.reduce_sum(dy, axis=0), d_gamma, tf.reduce_sum(d_normed, axis=0)

        return normed, gradient

    return run(x, y, bias, gamma, beta)


def attention(q, k, v, window_ids, rate, seed, compiled=False):
    """Returns dropout(softmax(q k' / √d)) v within each window of a row: float [R, heads, S, d].

    Args:
        q, k, v: float [R, heads, S, d].
        window_ids: int32 [R, S].
        rate, seed: those of `dropout`.
        compiled: bool.
    """
    scale = q.shape[-1] ** -0.5
    if not compiled:
        scores = _masked(tf.matmul(q * scale, k, transpose_b=True), window_ids)
        return tf.matmul(dropout(tf.cast(tf.nn.softmax(scores), v.dtype), rate, seed), v)
    mask = _mask(tf.concat([tf.shape(q)[:-1], tf.shape(q)[2:3]], axis=0), rate, seed)

    @tf.custom_gradient
    def run(q, k, v):
        scores = tf.matmul(q, k, transpose_b=True)
        probabilities, log_sums = _softmax(scores, window_ids, mask, rate, scale)
        y = tf.matmul(probabilities, v)

        def gradient(dy):
            d_probabilities = tf.matmul(dy, v, transpose_b=True)
            d_scores = _softmax_gradient(scores, window_ids, mask, log_sums, d_probabilities, y, dy, rate, scale)
            dv = tf.matmul(probabilities, dy, transpose_a=True)
            return tf.matmul(d_scores, k), tf.matmul(d_scores, q, transpose_a=True), dv

        return y, gradient

    return run(q, k, v)


def _mask(shape, rate, seed):
    """Returns the mask of elements kept by dropout: bool; None: all."""
    return None if seed is None or rate == 0 else kept(shape, rate, seed)


@functools.cache
def _programs(activation):
    """Returns a compiled activation and its gradient: (x, bias) -> y and (x, bias, dy) -> dx."""

    def forward(x, bias):
        return tf.cast(activation(tf.cast(x, tf.float32) + tf.cast(bias, tf.float32)), x.dtype)

    def gradient(x, bias, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = forward(x, bias)
        return tape.gradient(y, x, dy)

    return compile_part(forward), compile_part(gradient)


def _summed(x, y, bias, mask, rate):
    return tf.cast(x, tf.float32) + _dropped(tf.cast(y, tf.float32) + tf.cast(bias, tf.float32), mask, rate)


@compile_part
def _normed(x, y, bias, gamma, beta, mask, rate, epsilon):
    """Returns the result of `residual_norm`, and the mean and 1 / √(variance + epsilon) of its rows: float32 [T, 1]."""
    summed = _summed(x, y, bias, mask, rate)
    mean = tf.reduce_mean(summed, axis=-1, keepdims=True)
    scale = tf.math.rsqrt(tf.reduce_mean(tf.square(summed - mean), axis=-1, keepdims=True) + epsilon)
    normed = (summed - mean) * scale * tf.cast(gamma, tf.float32) + tf.cast(beta, tf.float32)
    return tf.cast(normed, x.dtype), mean, scale


@compile_part
def _normed_gradient(x, y, bias, gamma, mask, rate, mean, scale, d_normed):
    """Returns the gradients of x, y and gamma.

    With h = (summed - mean) * scale and dh = gamma * d_normed, that of summed is scale (dh - mean(dh) - h mean(h dh)),
    means over a row.
    """
    d_normed = tf.cast(d_normed, tf.float32)
    h, dh = (_summed(x, y, bias, mask, rate) - mean) * scale, tf.cast(gamma, tf.float32) * d_normed
    mean_dh, mean_h_dh = (tf.reduce_mean(value, axis=-1, keepdims=True) for value in (dh, h * dh))
    d_summed = scale * (dh - mean_dh - h * mean_h_dh)
    dy = _dropped(d_summed, mask, rate)
    return tf.cast(d_summed, x.dtype), tf.cast(dy, x.dtype), tf.cast(tf.reduce_sum(h * d_normed, axis=0), gamma.dtype)


@compile_part
def _softmax(scores, window_ids, mask, rate, scale):
    """Returns the probabilities after dropout, and log Σ exp of each row of scores: float32 [..., S, 1]."""
    masked = _masked(tf.cast(scores, tf.float32) * scale, window_ids)
    highest = tf.reduce_max(masked, axis=-1, keepdims=True)
    powers = tf.exp(masked - highest)
    total = tf.reduce_sum(powers, axis=-1, keepdims=True)
    return tf.cast(_dropped(powers / total, mask, rate), scores.dtype), highest + tf.math.log(total)


@compile_part
def _softmax_gradient(scores, window_ids, mask, log_sums, d_probabilities, y, dy, rate, scale):
    """Returns the gradient of the scores: p (dropout(dp) - Σ p dropout(dp)), where the sum over a row is that of y dy.

    Source: Dao et al. 2022 (2205.14135), appendix B.2.
    """
    probabilities = tf.exp(_masked(tf.cast(scores, tf.float32) * scale, window_ids) - log_sums)
    row_sums = tf.reduce_sum(tf.cast(y, tf.float32) * tf.cast(dy, tf.float32), axis=-1, keepdims=True)
    inner = _dropped(tf.cast(d_probabilities, tf.float32), mask, rate) - row_sums
    return tf.cast(probabilities * inner * scale, scores.dtype)


def _masked(scores, window_ids):
    """Returns scores that are far below 0 between different windows: float32."""
    same_window = tf.equal(window_ids[:, tf.newaxis, :, tf.newaxis], window_ids[:, tf.newaxis, tf.newaxis, :])
    return tf.cast(scores, tf.float32) + tf.where(same_window, 0.0, _MASKED)


def _dropped(x, mask, rate):
    return x if mask is None else tf.where(mask, x * (1 / (1 - rate)), tf.zeros([], x.dtype))
