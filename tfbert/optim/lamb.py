"""LAMB: AdamWeightDecay with each variable's update scaled to the norm of the variable."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfbert.optim.adam_weight_decay import _NO_EPSILON, AdamWeightDecay


@keras.saving.register_keras_serializable("tfbert")
class Lamb(AdamWeightDecay):
    """Layer-wise adaptive Adam for large batches; takes the arguments of `AdamWeightDecay` and has all its features.

        u = m̂ / (√v̂ + ε) + w (θ - θ_ref)
        θ ← θ - η(t) λ(θ) r u,    r = ‖θ‖ / ‖u‖, or 1 if either norm is 0

    with m̂, v̂ and the other symbols as there. A "layer" of the paper is a variable.

    Source: You et al. 2019 (1904.00962), algorithm 2, with φ(z) = z. Deviations: variables without weight decay
    (LayerNorm and biases) have r = 1, as in the authors' own code, since a bias that starts at 0 would hardly change
    otherwise; gradients are clipped by their global norm first, as there too.

    Example:
        >>> optimizer = tfbert.Lamb(1e-3, weight_decay=0.01)
        >>> optimizer.name
        'lamb'
    """

    def __init__(self, *args: Any, name: str = "lamb", **kwargs: Any) -> None:
        super().__init__(*args, name=name, **kwargs)

    def _move(self, index, gradient, variable, factors):
        """Updates θ, m and v of one variable."""
        m, v = self._momentums[index].value, self._velocities[index].value
        beta_1, beta_2 = map(variable.dtype.as_numpy_dtype, (self.beta_1, self.beta_2))  # as _corrections expects them
        m.assign_add((1 - beta_1) * (gradient - m))
        v.assign_add((1 - beta_2) * (tf.square(gradient) - v))
        epsilon = self.epsilon or _NO_EPSILON
        update, rate = (m / factors.c1) / (tf.sqrt(v) / factors.root_c2 + epsilon), factors.rate
        decay = self._decay_of(index)
        if decay:
            update += decay * self._from_reference(index, variable)
            size, step = tf.norm(variable), tf.norm(update)
            rate = rate * tf.where((size > 0) & (step > 0), tf.math.divide_no_nan(size, step), 1.0)
        variable.assign_sub(rate * update)
