"""Dropout from a seed that is given, so that a step's randomness is a function of the step alone."""

import tensorflow as tf
from keras import ops

_LEVELS = 2**16


def dropout(x, rate, seed):
    """Zeroes a share of the elements and scales the rest to keep the expectation (Srivastava et al. 2014).

    Args:
        x: float tensor of any shape.
        rate: float. The share, kept to within 2^-17: the mask is drawn from 16 random bits an element.
        seed: int32 [2], or None for no dropout.
    """
    mask = kept(ops.shape(x), rate, seed)
    return x if mask is None else x * ops.cast(mask, x.dtype) * ops.cast(1 / (1 - rate_of(rate)), x.dtype)


def kept(shape, rate, seed):
    """Draws what dropout keeps: bool of a shape, of arguments as `dropout` has them; None: everything."""
    if seed is None or rate == 0:
        return None
    size = ops.prod(ops.stack(shape))
    words = tf.random.stateless_uniform([(size + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32)
    bits = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:size], shape)
    return bits >= tf.constant(round(rate * _LEVELS), tf.uint16)


def rate_of(rate):
    """Returns the share that is really dropped: float."""
    return round(rate * _LEVELS) / _LEVELS


def site_seed(seed, site):
    """Returns the seed of one place in the model: (int32 [2] or None, int) -> int32 [2] or None."""
    # An odd factor spreads the sites over all 32 bits, far from the seeds that people choose.
    return None if seed is None else seed + tf.constant([(site * 0x3C6EF35F) % 2**31, 0], tf.int32)
