"""Preparing gradients: summing slices, casting to at least 32 bits, and clipping."""

import keras
import tensorflow as tf


class DifferentRows(tf.IndexedSlices):
    """The gradient of a table as slices of distinct rows, which can be clipped without being made dense."""

    @classmethod
    def of(cls, slices):
        """Sums the slices of each row: tf.IndexedSlices -> DifferentRows, whose shape depends on the values."""
        rows, row = tf.unique(slices.indices)
        sums = tf.math.unsorted_segment_sum(wide(slices.values), row, tf.size(rows))
        return cls(sums, rows, slices.dense_shape)


def is_narrow(dtype):
    """Returns whether a dtype has fewer than 32 bits."""
    return keras.backend.standardize_dtype(dtype) in ("bfloat16", "float16")


def wide_dtype(dtype):
    """Returns the compute dtype for variables of a dtype: float32 if it has fewer bits, else the dtype; a str."""
    return "float32" if is_narrow(dtype) else keras.backend.standardize_dtype(dtype)


def wide(tensor):
    """Casts a tensor of fewer than 32 bits to float32."""
    return tf.cast(tensor, wide_dtype(tensor.dtype))


def dense(gradient):
    """Returns a gradient with the slices of each row summed: Tensor, tf.IndexedSlices or None -> Tensor or None.

    The gradient of an embedding has one slice per token; a repeated token must be summed before it is squared.
    """
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        gradient = tf.IndexedSlices(wide(gradient.values), gradient.indices, gradient.dense_shape)
    return wide(tf.convert_to_tensor(gradient))


def half_square(gradient):
    """Returns half of a gradient's squared norm: Tensor or DifferentRows -> scalar of its dtype."""
    return tf.nn.l2_loss(gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient)


def clip(gradients, half_squares, clipnorm=None, clipvalue=None, global_clipnorm=None):
    """Clips gradients as Keras does: each to a norm, or each element to a value, or all to a global norm.

    Args:
        gradients: list of Tensor or DifferentRows.
        half_squares: list of scalars, `half_square` of each.
        clipnorm, clipvalue, global_clipnorm: float or None. At most one of them; None and 0: no clipping.

    Returns:
        list of Tensor or tf.IndexedSlices.

    Source: tf.clip_by_norm, tf.clip_by_value and tf.clip_by_global_norm.
    """
    if clipnorm:
        return [tf.clip_by_norm(gradient, clipnorm) for gradient in gradients]
    if clipvalue:
        return [tf.clip_by_value(gradient, -clipvalue, clipvalue) for gradient in gradients]
    if not global_clipnorm:
        return gradients
    widest = max(half.dtype.name for half in half_squares)  # "float32" or "float64"
    norm = tf.sqrt(2.0 * tf.reduce_sum(tf.stack([tf.cast(half, widest) for half in half_squares])))
    clipped = list(gradients)
    for dtype in {gradient.dtype for gradient in gradients}:
        places = [place for place, gradient in enumerate(gradients) if gradient.dtype == dtype]
        of_dtype, _ = tf.clip_by_global_norm([gradients[i] for i in places], global_clipnorm, tf.cast(norm, dtype))
        for place, gradient in zip(places, of_dtype):
            clipped[place] = gradient
    return clipped
