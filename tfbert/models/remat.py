"""Rematerialisation: memory for work."""

import tensorflow as tf


def recomputed(function, x, seed):
    """Returns function(x, seed), whose backward pass computes it again and so keeps nothing of it but x.

    Args:
        function: callable (x, seed) -> float tensor; it may use variables.
        x: float tensor.
        seed: int32 [2], or None.

    Source: Chen et al. 2016 (1604.06174). Under keras.remat (tf.recompute_grad) the TPU compiler's temporaries did not
    shrink by a byte, presumably because it merges the two computations. Here the second depends on 0 * dy, which a
    compiler may not fold, as dy might not be finite.
    """

    @tf.custom_gradient
    def run(x):
        def gradient(dy, variables=()):
            zero = 0.0 * tf.reshape(dy, [-1])[0]
            again = x + tf.cast(zero, x.dtype)
            again_seed = None if seed is None else seed + tf.cast(zero, seed.dtype)  # else the masks would be kept
            with tf.GradientTape() as tape:
                tape.watch(again)
                y = function(again, again_seed)
            dx, *of_variables = tape.gradient(y, [again, *variables], dy)
            return dx, of_variables

        return function(x, seed), gradient

    return run(x)
