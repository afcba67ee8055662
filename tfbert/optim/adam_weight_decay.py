"""Adam with decoupled weight decay, bias correction as an option, and a learning rate for each variable."""

import contextlib
import math
import typing

import keras
import numpy as np
import tensorflow as tf

from tfbert.core.xla import can_compile, compile_part
from tfbert.optim.parameter_groups import NO_DECAY, match_all, value_of


class _Factors(typing.NamedTuple):
    """What some variables have in common in a step: ηλ, c1, √c2 (see `_corrections`), the average's (1-d) / (1-d^t)."""

    rate: tf.Tensor
    c1: tf.Tensor
    root_c2: tf.Tensor
    average_share: tf.Tensor


# Elements of a variable that no core's cache holds.
_TABLE = 2**22


class DifferentRows(tf.IndexedSlices):
    """A table's gradient as slices of rows that are all different: to clip it, they need not be made dense."""

    @classmethod
    def of(cls, slices):
        """Sums the slices of each row: tf.IndexedSlices -> DifferentRows, of a shape that depends on the values."""
        rows, row = tf.unique(slices.indices)
        sums = tf.math.unsorted_segment_sum(slices.values, row, tf.size(rows))
        return cls(sums, rows, slices.dense_shape)


@keras.saving.register_keras_serializable("tfbert")
class AdamWeightDecay(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay, bias correction as an option, and per-variable learning-rate multipliers.

    For a variable θ with gradient g (dense, summed over replicas, then clipped by global norm) at step t = 1, 2, …

        m ← β1 m + (1 - β1) g            v ← β2 v + (1 - β2) g²
        m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t)   if bias_correction, else m̂ = m, v̂ = v
        θ ← θ - η(t) λ(θ) ( m̂ / (√v̂ + ε) + w(θ) (θ - θ_ref) )

    η is the learning rate, λ the multiplier, w the weight decay (0 for LayerNorm and biases), θ_ref is 0, or with prior
    weight decay the value θ had before the first step.

    Source: Kingma and Ba 2014 (1412.6980), algorithm 1; Loshchilov and Hutter 2017 (1711.05101), algorithm 2. With
    bias_correction it is torch.optim.AdamW step for step; without, google-research/bert `optimization.py`, whose
    lack of it Zhang et al. 2020 (2006.05987), section 4, found to make fine-tuning fail.

    Prior weight decay: Zhang et al. 2020, section 7.1 (pre-trained weight decay), after Daumé III 2007 and Wiese et al.
    2017. Deviation: like ordinary decay it spares LayerNorm and biases.

    Gradual unfreezing: Howard and Ruder 2018 (1801.06146), section 3.3. Before its start step s a variable has no
    update and no part in the norm that is clipped, and m and v stay 0; from then on t counts from s, as if the
    optimiser began there. Deviation: it goes by steps, where the paper goes by epochs.

    Average of the weights: Kingma and Ba 2014, section 7.2, with its correction, written as a running mean:
    a ← a + (1 - d) / (1 - d^t) (θ - a), which is Σ d^(t-i) θ_i / Σ d^(t-i) over the steps i = 1 … t.

    Differences from keras.optimizers.AdamW: ε is the paper's, outside the bias correction (Keras' is "epsilon hat");
    the gradient of a repeated token is summed before it is squared; gradients are clipped after the sum over replicas;
    the decay follows the multiplier and matches patterns on whole paths.

    Args:
        learning_rate: float or keras.optimizers.schedules.LearningRateSchedule; the schedule is called with t - 1.
        weight_decay: float, w.
        beta_1, beta_2, epsilon: float.
        bias_correction: bool.
        global_clipnorm: float or None. Gradients are scaled down to this norm, taken over all that is trained.
        lr_multipliers: list of (regex, float). Matched in full on `variable.path`, first match wins, no match is 1.
            0 freezes the variable: no update and no slots.
        exclude_from_weight_decay: list of regex, matched in full on `variable.path`.
        prior_weight_decay: list of regex, likewise. These decay toward the value they have at `build`; it is kept
            among the optimiser's variables.
        start_steps: list of (regex, int), matched as `lr_multipliers` are. Steps done before a variable is trained.
        ema_decay: float or None. d; `averaged` puts the averages in place.

    Raises:
        InputError: at `build`, for a pattern of `lr_multipliers`, `prior_weight_decay` or `start_steps` that matches
            no variable.
    """

    def __init__(
        self,
        learning_rate=2e-5,
        weight_decay=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        bias_correction=True,
        global_clipnorm=1.0,
        lr_multipliers=(),
        exclude_from_weight_decay=NO_DECAY,
        prior_weight_decay=(),
        start_steps=(),
        ema_decay=None,
        name="adam_weight_decay",
        **kwargs,
    ):
        # The base class would clip before the sum over replicas and decay without the multiplier: both are done here.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.decay, self.beta_1, self.beta_2, self.epsilon = weight_decay, beta_1, beta_2, epsilon
        self.bias_correction = bias_correction
        self.max_norm = global_clipnorm
        self.lr_multipliers = [(pattern, float(value)) for pattern, value in lr_multipliers]
        self.no_decay = list(exclude_from_weight_decay)
        self.prior_weight_decay = list(prior_weight_decay)
        self.start_steps = [(pattern, int(step)) for pattern, step in start_steps]
        self.ema_decay = ema_decay

    def build(self, variables):
        """Creates m and v of every variable that is trained, and where they are wanted its reference and average."""
        if self.built:
            return
        super().build(variables)
        paths = [variable.path for variable in variables]
        self._multipliers = match_all(self.lr_multipliers, paths, default=1.0)
        self._starts = match_all(self.start_steps, paths, default=0)
        no_decay = [(pattern, 0.0) for pattern in self.no_decay]
        self._decays = [value_of(no_decay, path, default=self.decay) for path in paths]
        prior = match_all([(pattern, True) for pattern in self.prior_weight_decay], paths, default=False)
        trained = [variable if multiplier else None for variable, multiplier in zip(variables, self._multipliers)]
        decayed = [v if there and decay else None for v, there, decay in zip(trained, prior, self._decays)]
        self._momentums = self._slots(trained, "momentum")
        self._velocities = self._slots(trained, "velocity")
        self._references = self._slots(decayed, "reference", start=True)
        self._averages = self._slots(trained if self.ema_decay else [None] * len(trained), "average", start=True)
        with tf.init_scope():
            self._half_squares = tf.Variable(
                tf.zeros([len(self.trained_variables)]),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )

    def _slots(self, variables, name, start=False):
        """Returns a variable beside each one given, None beside None: 0, or with `start` the one's present value."""
        slots = [v if v is None else self.add_variable_from_reference(v, name=name) for v in variables]
        if start:
            with tf.init_scope():
                for slot, variable in zip(slots, variables):
                    if slot is not None:
                        slot.assign(variable)
        return slots

    @property
    def trained_variables(self):
        """The variables that are trained: those with a multiplier other than 0, a list."""
        return [v for v, multiplier in zip(self._trainable_variables, self._multipliers) if multiplier]

    def gradient_norms(self):
        """Returns the norm of each trained variable's gradient in the last step, before clipping: path -> float."""
        norms = np.sqrt(2.0 * self._half_squares.numpy())
        return {variable.path: float(norm) for variable, norm in zip(self.trained_variables, norms)}

    def groups(self):
        """Returns what holds for each variable, once built: list of (variable, dict of str to number or str)."""
        return [
            (variable, {"lr multiplier": multiplier, "decay": decay, "toward": toward, "from step": start})
            for variable, multiplier, decay, toward, start in zip(
                self._trainable_variables,
                self._multipliers,
                self._decays,
                ("0" if reference is None else "start" for reference in self._references),
                self._starts,
            )
        ]

    @contextlib.contextmanager
    def averaged(self):
        """Puts the averages into the variables for the length of a `with` block; nothing without `ema_decay`."""
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _swap_averages(self):
        for variable, average in zip(self._trainable_variables, self._averages):
            if average is not None:
                value = tf.identity(variable.value)
                variable.assign(average.value)
                average.assign(value)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Densifies, sums over replicas, clips, updates: Keras calls it once a step, within each replica."""
        variables = [v.value if isinstance(v, keras.Variable) else v for v in trainable_variables]
        trained = [i for i, v in enumerate(variables) if self._multipliers[self._get_variable_index(v)]]
        variables = [variables[i] for i in trained]
        # An embedding's gradient comes in slices, one a token: a repeated token must be summed before it is squared.
        grads = [grads[i] if isinstance(grads[i], DifferentRows) else tf.convert_to_tensor(grads[i]) for i in trained]
        replica = tf.distribute.get_replica_context()
        if replica and replica.num_replicas_in_sync > 1:
            grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        grads = [self._once_started(g, self._get_variable_index(v)) for g, v in zip(grads, variables)]
        half_squares = tf.stack([tf.nn.l2_loss(_values(gradient)) for gradient in grads])
        self._half_squares.assign(half_squares)
        if self.max_norm:
            norm = tf.sqrt(2.0 * tf.reduce_sum(half_squares))
            grads, _ = tf.clip_by_global_norm(grads, self.max_norm, use_norm=norm)
        factors = {
            group: self._factors(learning_rate, *group) for group in sorted(set(zip(self._multipliers, self._starts)))
        }
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._distributed_tf_update_step, self._distribution_strategy, list(zip(grads, variables)), factors
        )

    def _once_started(self, value, index):
        """Returns a value once its variable is trained, 0 before."""
        start = self._starts[index]
        if not start:
            return value
        value = tf.convert_to_tensor(value)
        return tf.where(self.iterations.value >= start, value, tf.zeros_like(value))

    def _factors(self, learning_rate, multiplier, start):
        """Returns what the variables of one multiplier and start step have in common in this step.

        It is computed once, not for each variable: that halves the operations of the optimiser, which are to be traced.
        """
        t = tf.cast(self.iterations.value, tf.float32) + 1
        rate = tf.cast(learning_rate, tf.float32) * multiplier
        if start:
            rate = tf.where(t > start, rate, 0.0)
        c1, root_c2 = self._corrections(tf.maximum(t - start, 1) if start else t)
        share = (1 - self.ema_decay) / -tf.math.expm1(t * math.log(self.ema_decay)) if self.ema_decay else tf.zeros([])
        return _Factors(rate, c1, root_c2, share)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and what is kept beside it, as in the formulas above.

        Args:
            gradient: Tensor, or IndexedSlices of rows that are all different.
            variable: tf.Variable.
            learning_rate: dict (multiplier, start step) -> _Factors, which `_backend_update_step` has put in its place.
        """
        index = self._get_variable_index(variable)
        factors = learning_rate[self._multipliers[index], self._starts[index]]
        self._move(index, tf.convert_to_tensor(gradient), variable, factors)
        if self.ema_decay:
            average = self._averages[index].value
            average.assign_add(factors.average_share * (variable - average))

    def _move(self, index, gradient, variable, factors):
        """Updates θ, m and v of one variable.

        TensorFlow's Adam kernel does the whole step in one pass over the memory:
        m ← m + (1-β1)(g - m), v ← v + (1-β2)(g² - v), θ ← θ - α m / (√v + ε').
        It is the formula with α = ηλ √c2 / c1 and ε' = ε √c2, where c1 = 1 - β1^t and c2 = 1 - β2^t.
        """
        m, v = self._momentums[index].value, self._velocities[index].value
        if self._decays[index]:  # before the kernel, which does not read θ but to change it
            self._decay(index, variable, factors.rate * self._decays[index])
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=0.0,  # the corrections are in lr and epsilon
            beta2_power=0.0,
            lr=factors.rate * factors.root_c2 / factors.c1,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon * factors.root_c2,
            grad=gradient,
        )

    def _decay(self, index, variable, share):
        """Moves a variable by a share of its way to what it decays toward."""
        if self._references[index] is None and variable.shape.num_elements() >= _TABLE and can_compile():
            variable.assign(_decayed(variable.read_value(), share))
        else:
            variable.assign_sub(share * self._from_reference(index, variable))

    def _from_reference(self, index, variable):
        """Returns θ - θ_ref."""
        reference = self._references[index]
        return variable.read_value() if reference is None else variable - reference.value

    def _corrections(self, t):
        """Returns c1 and √c2: by what the kernel's m and v are to be divided, float32 scalars.

        The kernel holds β in float32 and takes 1 - β from that, which for 0.999 is off by 1e-5: both are allowed for.
        """
        betas = [(beta, float(np.float32(beta))) for beta in (self.beta_1, self.beta_2)]
        if self.bias_correction:
            c1, c2 = (-tf.math.expm1(t * math.log(held)) for _, held in betas)
        else:
            c1, c2 = (tf.constant((1 - held) / (1 - beta)) for beta, held in betas)
        return c1, tf.sqrt(c2)

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        config = super().get_config()
        for unused in ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm"):
            config.pop(unused, None)
        return config | {
            "weight_decay": self.decay,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "global_clipnorm": self.max_norm,
            "lr_multipliers": self.lr_multipliers,
            "exclude_from_weight_decay": self.no_decay,
            "prior_weight_decay": self.prior_weight_decay,
            "start_steps": self.start_steps,
            "ema_decay": self.ema_decay,
        }


def _values(gradient):
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


@compile_part
def _decayed(value, share):
    """Returns value - share * value, in one pass over the memory where two operations would take three."""
    return value - share * value
