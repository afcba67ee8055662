"""Rematerialisation (gradient checkpointing): trading computation for memory."""

import tensorflow as tf


def recomputed(function, x, seed):
    """Returns function(x, seed), keeping only x for the backward pass, which recomputes the rest.

    Args:
        function: callable (x, seed) -> float tensor; it may use variables.
        x: float tensor.
        seed: int32 [2], or None.

    Source: Chen et al. 2016 (1604.06174). Deviation from keras.remat and tf.recompute_grad: XLA merges their second
    computation with the first, so nothing is saved (measured with the TPU compiler). Here the second one starts from
    x + 0 · dy, which XLA cannot simplify to x, as dy need not be finite, and which does not exist before dy.
    """

    @tf.custom_gradient
    def run(x):
        def gradient(dy, variables=()):
            zero = 0.0 * tf.reshape(dy, [-1])[0]
            again = x + tf.cast(zero, x.dtype)
            again_seed = None if seed is None else seed + tf.cast(zero, seed.dtype)  # otherwise the masks would be kept
            with tf.GradientTape() as tape:
                tape.watch(again)
                y = function(again, again_seed)
            dx, *of_variables = tape.gradient(y, [again, *variables], dy)
            return dx, of_variables

        return function(x, seed), gradient

    return run(x)
