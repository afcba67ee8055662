"""In what order an epoch takes the training examples."""

import tensorflow as tf


def epoch_order(positions, epoch, size, seed):
    """Returns which examples stand at some positions of an epoch: a permutation of all, seeded, in no memory.

    Every position can be asked for alone, so that any device, and a run that resumes, finds its share without reading
    what comes before it.

    Args:
        positions: int64 [n]. Positions within the epoch, 0 to size - 1.
        epoch: int64 scalar. The epoch's number; each has an order of its own.
        size: int. Number of examples.
        seed: int.

    Returns:
        int64 [n]. Indices of examples.

    Source: `tf.random.experimental.index_shuffle` (a Simon cipher walked in cycles).
    """
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    return tf.random.experimental.index_shuffle(positions, seed=key, max_index=tf.constant(size - 1, tf.int64))
