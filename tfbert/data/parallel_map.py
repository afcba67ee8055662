"""tf.data's map on several cores, without the thread that tunes it."""

import tensorflow as tf


def parallel_map(dataset, function):
    """Returns what a function makes of a dataset's elements, in their order, some of them made beforehand.

    tf.data tunes how many, in a thread that sleeps ever longer; whoever lets go of an iterator often waits until it
    wakes, which can take as long as the iterator has lived (TensorFlow 2.21). The number of cores does as well.

    Args:
        dataset: tf.data.Dataset.
        function: callable on the tensors of an element.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # To rewrite pipelines this short takes a tenth of a second each, and finds nothing to rewrite.
    options.experimental_optimization.apply_default_optimizations = False
    # Nothing in it needs autograph, whose rewriting of the code takes seconds.
    function = tf.autograph.experimental.do_not_convert(function)
    mapped = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return mapped.prefetch(2).with_options(options)
