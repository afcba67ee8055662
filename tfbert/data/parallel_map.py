"""tf.data's map on several cores, without its autotuning thread."""

import tensorflow as tf


def parallel_map(dataset, function):
    """Maps a function over a dataset in parallel, in order, with prefetching.

    tf.data's autotuning runs in a thread with ever longer sleeps; destroying an iterator often waits until it wakes,
    which can take as long as the iterator has lived (TensorFlow 2.21). A fixed parallelism works just as well.

    Args:
        dataset: tf.data.Dataset.
        function: callable on the tensors of an element.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # Optimising such short pipelines takes 0.1 s each and finds nothing to rewrite.
    options.experimental_optimization.apply_default_optimizations = False
    # The function does not need autograph, which takes seconds to convert it.
    function = tf.autograph.experimental.do_not_convert(function)
    mapped = dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return mapped.prefetch(2).with_options(options)
