"""Adam with decoupled weight decay, optional bias correction, and per-variable learning rates."""

from __future__ import annotations

import contextlib
import math
import typing
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.keras_setup import check_keras
from tfbert.core.xla import can_compile, compile_part
from tfbert.optim.arguments import number, pairs, patterns
from tfbert.optim.gradients import clip, half_square, wide_dtype
from tfbert.optim.keras_optimizer import KerasOptimizer, tensor_of
from tfbert.optim.parameter_groups import NO_DECAY, match_all, path_of, unmatched, value_of


class _Factors(typing.NamedTuple):
    """Factors of a step shared by a group of variables: ηλ, c1, √c2 (see `_corrections`), (1-d) / (1-d^t)."""

    rate: tf.Tensor
    c1: tf.Tensor
    root_c2: tf.Tensor
    average_share: tf.Tensor


# Number of elements from which a variable does not fit in a core's cache.
_TABLE = 2**22
# Used for ε = 0: far below any nonzero √v̂, so that 0 / 0 is 0 where there never was a gradient.
_NO_EPSILON = 1e-30


@keras.saving.register_keras_serializable("tfbert")
class AdamWeightDecay(KerasOptimizer):
    """Adam with decoupled weight decay, bias correction as an option, and per-variable learning-rate multipliers.

    For a variable θ with gradient g (dense, summed over replicas, then clipped by global norm) at step t = 1, 2, …

        m ← β1 m + (1 - β1) g            v ← β2 v + (1 - β2) g²
        m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t)   if bias_correction, else m̂ = m, v̂ = v
        θ ← θ - η(t) λ(θ) ( m̂ / (√v̂ + ε) + w(θ) (θ - θ_ref) )

    η is the learning rate, λ the multiplier, w the weight decay (0 for LayerNorm and biases), θ_ref is 0, or with prior
    weight decay the value θ had before the first step.

    Source: Kingma and Ba 2014 (1412.6980), algorithm 1; Loshchilov and Hutter 2017 (1711.05101), algorithm 2. With
    bias_correction it is torch.optim.AdamW step for step; without, google-research/bert `optimization.py`, whose
    lack of it makes fine-tuning fail, as Zhang et al. 2020 (2006.05987), section 4, found.

    Prior weight decay: Zhang et al. 2020, section 7.1 (pre-trained weight decay), after Daumé III 2007 and Wiese et al.
    2017. Deviation: as with ordinary decay, LayerNorm and biases are exempt.

    Gradual unfreezing: Howard and Ruder 2018 (1801.06146), section 3.3. Before its start step s, a variable is
    not updated and does not contribute to the clipped norm, and m and v stay 0; afterwards t counts from s, as if the
    optimiser started there. Deviation: by steps instead of epochs.

    Average of the weights: Kingma and Ba 2014, section 7.2, with its correction, written as a running mean:
    a ← a + (1 - d) / (1 - d^t) (θ - a), which is Σ d^(t-i) θ_i / Σ d^(t-i) over the steps i = 1 … t.

    Differences from keras.optimizers.AdamW: ε is the paper's, outside the bias correction (Keras' is "epsilon hat");
    the gradient of a repeated token is summed before it is squared; gradients are clipped after the sum over replicas;
    the decay follows the multiplier and matches patterns on whole paths. A variable of fewer than 32 bits is trained
    as a float32 copy kept by the optimizer, since an update may be too small for the variable's precision.

    Args:
        learning_rate: float, keras.optimizers.schedules.LearningRateSchedule, which is called with t - 1, or callable
            without arguments.
        weight_decay: float, w.
        beta_1, beta_2, epsilon: float.
        bias_correction: bool.
        global_clipnorm: float or None. Gradients are scaled down to this norm, taken over all trained variables.
            "auto": 1, or None if one of the next two is given.
        lr_multipliers: list of (regex, float). Matched in full on `variable.path`; the first match wins; without a
            match: 1. 0 freezes the variable: no update and no slots.
        exclude_from_weight_decay: list of regex, matched in full on `variable.path`.
        prior_weight_decay: list of regex, likewise. These decay toward the value they have at `build`; it is kept
            among the optimiser's variables.
        start_steps: list of (regex, int), matched as `lr_multipliers` are. Number of steps before a variable is
            trained.
        ema_decay: float or None. d; `averaged` swaps in the averages.
        name: str.
        clipnorm: float or None. Each variable's gradient is scaled down to this norm.
        clipvalue: float or None. Each element of a gradient is clipped to ± this value.
        use_ema, ema_momentum, ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps: as
            keras.optimizers.AdamW takes them. For `fit` and custom loops; `tfbert.train` has its own way for each.

    Raises:
        InputError: for an argument that is out of range or excludes another; at `build`, for a pattern of
            `lr_multipliers`, `prior_weight_decay` or `start_steps` that matches no variable.

    Example:
        >>> optimizer = tfbert.AdamWeightDecay(tfbert.linear_warmup(2e-5, total_steps=1000, warmup_steps=100))
        >>> optimizer.bias_correction, optimizer.weight_decay
        (True, 0.01)
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule | Callable[[], float] = 2e-5,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        bias_correction: bool = True,
        global_clipnorm: float | str | None = "auto",
        lr_multipliers: Sequence[tuple[str, float]] = (),
        exclude_from_weight_decay: Sequence[str] = NO_DECAY,
        prior_weight_decay: Sequence[str] = (),
        start_steps: Sequence[tuple[str, int]] = (),
        ema_decay: float | None = None,
        name: str = "adam_weight_decay",
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        **kwargs: Any,
    ) -> None:
        check_keras()
        if global_clipnorm == "auto":
            global_clipnorm = 1.0 if clipnorm is None and clipvalue is None else None
        super().__init__(
            learning_rate=number("learning_rate", learning_rate) if isinstance(learning_rate, float) else learning_rate,
            weight_decay=number("weight_decay", weight_decay),
            clipnorm=number("clipnorm", clipnorm, optional=True),
            clipvalue=number("clipvalue", clipvalue, optional=True),
            global_clipnorm=number("global_clipnorm", global_clipnorm, optional=True),
            name=name,
            **kwargs,
        )
        self.beta_1, self.beta_2 = number("beta_1", beta_1, below=1), number("beta_2", beta_2, below=1)
        self.epsilon, self.bias_correction = number("epsilon", epsilon), bool(bias_correction)
        self.ema_decay = number("ema_decay", ema_decay, below=1, optional=True)
        self.lr_multipliers = pairs("lr_multipliers", lr_multipliers)
        self.no_decay = patterns("exclude_from_weight_decay", exclude_from_weight_decay)
        self.prior_weight_decay = patterns("prior_weight_decay", prior_weight_decay)
        self.start_steps = pairs("start_steps", start_steps, whole=True)
        if self.ema_decay and self.use_ema:
            raise InputError("use_ema and ema_decay both keep averages of the weights; give only one of them.")
        if self.loss_scale_factor is not None and not number("loss_scale_factor", self.loss_scale_factor):
            raise InputError("loss_scale_factor must be more than 0, or None. Received: 0.")

    def build(self, variables):
        """Creates m and v of every trained variable, and its reference and average if needed."""
        if self.built:
            return
        super().build(variables)
        trained = [variable if multiplier else None for variable, multiplier in zip(variables, self._multipliers)]
        decayed = [v if there and decay else None for v, there, decay in zip(trained, self._priors, self._decayed)]
        self._momentums = self._slots(trained, "momentum")
        self._velocities = self._slots(trained, "velocity")
        self._references = self._slots(decayed, "reference", start=True)
        self._averages = self._slots(trained if self.ema_decay else [None] * len(trained), "average", start=True)
        self._make_copies(trained)
        with tf.init_scope():
            self._half_squares = tf.Variable(
                tf.zeros([len(variables)]),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def _match(self, paths):
        self._multipliers = match_all(self.lr_multipliers, paths, default=1.0)
        self._starts = match_all(self.start_steps, paths, default=0)
        self._priors = match_all([(pattern, True) for pattern in self.prior_weight_decay], paths, default=False)
        excluded = [(pattern, False) for pattern in self.no_decay]
        self._decayed = [value_of(excluded, path, default=True) for path in paths]
        missing, some = unmatched([pattern for pattern in self.no_decay if pattern not in NO_DECAY], paths)
        if missing:
            warnings.warn(
                f"These patterns of exclude_from_weight_decay match no whole variable path: {', '.join(missing)}. "
                f"Examples of paths: {some}."
            )

    @property
    def trained_variables(self):
        """The trained variables, those whose multiplier is not 0: list."""
        return [v for v, multiplier in zip(self._trainable_variables, self._multipliers) if multiplier]

    def gradient_norms(self):
        """Returns the norm of each trained variable's gradient in the last step, before clipping: path -> float.

        It is 0 for a variable without a gradient.
        """
        norms = zip(self._trainable_variables, np.sqrt(2.0 * self._half_squares.numpy()), self._multipliers)
        return {path_of(variable): float(norm) for variable, norm, multiplier in norms if multiplier}

    def groups(self):
        """Returns the group settings of each variable, once built: list of (variable, dict of str to number or str)."""
        return [
            (variable, {"lr multiplier": multiplier, "decay": decay, "toward": toward, "from step": start})
            for variable, multiplier, decay, toward, start in zip(
                self._trainable_variables,
                self._multipliers,
                (self._decay_of(index) for index in range(len(self._decayed))),
                ("0" if reference is None else "start" for reference in self._references),
                self._starts,
            )
        ]

    @contextlib.contextmanager
    def averaged(self):
        """Swaps the averages into the variables during a `with` block; does nothing without `ema_decay`."""
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _swap_averages(self):
        for index, average in enumerate(self._averages):
            if average is not None:
                variable = tensor_of(self._trainable_variables[index])
                exact = self._exact(index, variable)
                value = tf.identity(exact)
                exact.assign(average.value)
                average.assign(value)
                self._round(index, variable)

    def _decay_of(self, index):
        """Returns w(θ)."""
        decayed = self._decayed[index] and self._use_weight_decay(tensor_of(self._trainable_variables[index]))
        return self.weight_decay if decayed else 0.0

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Sums over replicas, clips and updates; Keras calls it once per step in each replica."""
        indices = [self._get_variable_index(variable) for variable in trainable_variables]
        trained = [place for place, index in enumerate(indices) if self._multipliers[index]]
        if not trained:
            return
        indices, grads = [indices[place] for place in trained], [grads[place] for place in trained]
        replica = tf.distribute.get_replica_context()
        if replica and replica.num_replicas_in_sync > 1:
            grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        grads = [self._once_started(gradient, index) for gradient, index in zip(grads, indices)]
        half_squares = [half_square(gradient) for gradient in grads]
        of_index = dict(zip(indices, half_squares))
        places = range(len(self._multipliers))
        self._half_squares.assign(tf.stack([tf.cast(of_index.get(place, 0.0), tf.float32) for place in places]))
        grads = clip(grads, half_squares, self.clipnorm, self.clipvalue, self.global_clipnorm)
        # Averages cover every step, including those without a gradient.
        idle = [place for place in places if self._averages[place] is not None and place not in of_index]
        indices, grads = indices + idle, grads + [None] * len(idle)
        groups = sorted({self._group(index) for index in indices})
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._distributed_tf_update_step,
            self._distribution_strategy,
            [(gradient, tensor_of(self._trainable_variables[index])) for gradient, index in zip(grads, indices)],
            {group: self._factors(learning_rate, *group) for group in groups},
        )

    def _group(self, index):
        """Returns what a variable's `_factors` depend on: (multiplier, start step, name of the compute dtype)."""
        return self._multipliers[index], self._starts[index], wide_dtype(self._trainable_variables[index].dtype)

    def _once_started(self, value, index):
        """Returns a value from the step on in which its variable is trained, 0 before."""
        start = self._starts[index]
        if not start:
            return value
        value = tf.convert_to_tensor(value)
        return tf.where(tf.convert_to_tensor(self.iterations) >= start, value, tf.zeros_like(value))

    def _factors(self, learning_rate, multiplier, start, dtype):
        """Returns the factors of this step for all variables of one multiplier, start step and dtype.

        They are computed once, not per variable, which halves the number of operations to trace.
        """
        t = tf.cast(tf.convert_to_tensor(self.iterations), dtype) + 1
        rate = tf.cast(learning_rate, dtype) * multiplier
        if start:
            rate = tf.where(t > start, rate, tf.zeros_like(rate))
        c1, root_c2 = self._corrections(tf.maximum(t - start, 1) if start else t)
        share = (1 - self.ema_decay) / _one_minus_power(self.ema_decay, t) if self.ema_decay else tf.zeros([], dtype)
        return _Factors(rate, c1, root_c2, share)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its slots by the formulas above.

        Args:
            gradient: Tensor, or IndexedSlices of distinct rows; None: only the average is updated.
            variable: tf.Variable.
            learning_rate: dict, `_group` -> _Factors, which `_backend_update_step` passes in its place.
        """
        index = self._get_variable_index(variable)
        factors, exact = learning_rate[self._group(index)], self._exact(index, variable)
        if gradient is not None:
            self._move(index, tf.convert_to_tensor(gradient), exact, factors)
        if self.ema_decay:
            average = self._averages[index].value
            average.assign_add(factors.average_share * (exact - average))
        self._round(index, variable)

    def _move(self, index, gradient, variable, factors):
        """Updates θ, m and v of one variable.

        TensorFlow's Adam kernel does the whole step in one pass over the memory:
        m ← m + (1-β1)(g - m), v ← v + (1-β2)(g² - v), θ ← θ - α m / (√v + ε').
        It is the formula with α = ηλ √c2 / c1 and ε' = ε √c2, where c1 = 1 - β1^t and c2 = 1 - β2^t.
        """
        m, v = self._momentums[index].value, self._velocities[index].value
        decay = self._decay_of(index)
        if decay:  # before the kernel, which reads θ only to change it
            self._decay(index, variable, factors.rate * decay)
        zero, beta_1, beta_2 = (tf.constant(value, variable.dtype) for value in (0.0, self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=zero,  # the corrections are in lr and epsilon
            beta2_power=zero,
            lr=factors.rate * factors.root_c2 / factors.c1,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=(self.epsilon or _NO_EPSILON) * factors.root_c2,
            grad=gradient,
        )

    def _decay(self, index, variable, share):
        """Moves a variable by a fraction of the way toward its decay target."""
        if self._references[index] is None and variable.shape.num_elements() >= _TABLE and can_compile():
            variable.assign(_decayed(variable.read_value(), share))
        else:
            variable.assign_sub(share * self._from_reference(index, variable))

    def _from_reference(self, index, variable):
        """Returns θ - θ_ref."""
        reference = self._references[index]
        return variable.read_value() if reference is None else variable - reference.value

    def _corrections(self, t):
        """Returns c1 and √c2, by which the kernel's m and √v are divided: scalars of t's dtype.

        The kernel computes 1 - β in that dtype, which is off by 1e-5 for 0.999 in float32; this is compensated.
        """
        betas = [(beta, float(t.dtype.as_numpy_dtype(beta))) for beta in (self.beta_1, self.beta_2)]
        if self.bias_correction:
            c1, c2 = (_one_minus_power(held, t) for _, held in betas)
        else:
            c1, c2 = (tf.constant((1 - held) / (1 - beta), t.dtype) for beta, held in betas)
        return c1, tf.sqrt(c2)

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "lr_multipliers": list(self.lr_multipliers),
            "exclude_from_weight_decay": [*self.no_decay, *self._excluded],
            "prior_weight_decay": list(self.prior_weight_decay),
            "start_steps": list(self.start_steps),
            "ema_decay": self.ema_decay,
        }


def _one_minus_power(base, t):
    """Returns 1 - base^t: (float in [0, 1), float tensor) -> the same."""
    return -tf.math.expm1(t * math.log(base)) if base else tf.ones_like(t)


@compile_part
def _decayed(value, share):
    """Returns value - share * value in one pass over the memory; two operations would take three."""
    return value - share * value
