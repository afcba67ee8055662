"""Parts of a step that XLA compiles where the step as a whole is not."""

import functools
import os

import tensorflow as tf

# Each shape of a batch is compiled anew. So a part takes half the time to compile, and runs as fast (float32 and
# bfloat16, AVX2). A whole step compiled so runs slower: there XLA's defaults stay.
_QUICK = "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false"
_KNOWN_SINCE = (2, 20)  # XLA ends the process at a flag that it does not know


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


@functools.cache
def can_compile_parts():
    """Says what `can_compile` does, and has XLA compile quickly from then on.

    Not where XLA_FLAGS are given, there is a GPU, or the process has compiled something already: XLA reads its flags
    once. The environment stays as it is, for child processes.
    """
    version = tuple(int(number) for number in tf.__version__.split(".")[:2])
    if version < _KNOWN_SINCE or "XLA_FLAGS" in os.environ or tf.config.list_physical_devices("GPU"):
        return can_compile()
    os.environ["XLA_FLAGS"] = _QUICK
    try:
        return can_compile()
    finally:
        del os.environ["XLA_FLAGS"]
