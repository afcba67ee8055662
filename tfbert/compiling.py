"""Parts of a step that XLA compiles where the step as a whole is not."""

import functools

import tensorflow as tf


def compile_part(function):
    """Returns a function of tensors compiled by XLA, for each shape of its arguments anew."""
    return tf.function(function, jit_compile=True, autograph=False)


@functools.cache
def can_compile():
    """Says whether XLA can compile for the host: not that of the TPU wheels."""
    try:
        with tf.init_scope():
            compile_part(lambda: tf.zeros([]))()
    except tf.errors.NotFoundError:
        return False
    return True
