"""Adam with decoupled weight decay, bias correction as an option, and a learning rate for each variable."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfbert.optim.multipliers import NO_DECAY, match_all, value_of


@keras.saving.register_keras_serializable("tfbert")
class AdamWeightDecay(keras.optimizers.Optimizer):
    """Adam with decoupled weight decay, bias correction as an option, and per-variable learning-rate multipliers.

    For a variable θ with gradient g (dense, summed over replicas, then clipped by global norm) at step t = 1, 2, …

        m ← β1 m + (1 - β1) g            v ← β2 v + (1 - β2) g²
        m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t)   if bias_correction, else m̂ = m, v̂ = v
        θ ← θ - η(t) λ(θ) ( m̂ / (√v̂ + ε) + w(θ) θ )

    η is the learning rate, λ the multiplier, w the weight decay (0 for LayerNorm and biases).

    Source: Kingma and Ba 2014 (1412.6980), algorithm 1; Loshchilov and Hutter 2017 (1711.05101), algorithm 2. With
    bias_correction it is torch.optim.AdamW step for step; without, google-research/bert `optimization.py`, whose
    lack of it Zhang et al. 2020 (2006.05987), section 4, found to make fine-tuning fail.

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

    Raises:
        ValueError: at `build`, for a pattern that matches no variable of `lr_multipliers`.
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

    def build(self, variables):
        """Creates the slots m and v of every variable that is trained."""
        if self.built:
            return
        super().build(variables)
        paths = [variable.path for variable in variables]
        self._multipliers = match_all(self.lr_multipliers, paths, default=1.0)
        no_decay = [(pattern, 0.0) for pattern in self.no_decay]
        self._decays = [value_of(no_decay, path, default=self.decay) for path in paths]
        trained = [variable if multiplier else None for variable, multiplier in zip(variables, self._multipliers)]
        self._momentums = self._slots(trained, "momentum")
        self._velocities = self._slots(trained, "velocity")

    def _slots(self, variables, name):
        return [v if v is None else self.add_variable_from_reference(v, name=name) for v in variables]

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Densifies, sums over replicas, clips, updates: Keras calls it once a step, within each replica."""
        variables = [v.value if isinstance(v, keras.Variable) else v for v in trainable_variables]
        trained = [i for i, v in enumerate(variables) if self._multipliers[self._get_variable_index(v)]]
        variables = [variables[i] for i in trained]
        # An embedding's gradient comes in slices, one a token: a repeated token must be summed before it is squared.
        grads = [tf.convert_to_tensor(grads[i]) for i in trained]
        replica = tf.distribute.get_replica_context()
        if replica and replica.num_replicas_in_sync > 1:
            grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        if self.max_norm:
            grads, _ = tf.clip_by_global_norm(grads, self.max_norm)
        tf.__internal__.distribute.interim.maybe_merge_call(
            self._distributed_tf_update_step, self._distribution_strategy, list(zip(grads, variables)), learning_rate
        )

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its slots, as in the formula above.

        TensorFlow's Adam kernel does the whole step in one pass over the memory:
        m ← m + (1-β1)(g - m), v ← v + (1-β2)(g² - v), θ ← θ - α m / (√v + ε').
        It is the formula with α = ηλ √c2 / c1 and ε' = ε √c2, where c1 = 1 - β1^t and c2 = 1 - β2^t.
        """
        index = self._get_variable_index(variable)
        m, v = self._momentums[index].value, self._velocities[index].value
        rate = tf.cast(learning_rate, tf.float32) * self._multipliers[index]
        if self._decays[index]:  # before the kernel, which does not read θ but to change it
            variable.assign_sub(rate * self._decays[index] * variable)
        c1, root_c2 = self._corrections()
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=0.0,  # the corrections are in lr and epsilon
            beta2_power=0.0,
            lr=rate * root_c2 / c1,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon * root_c2,
            grad=gradient,
        )

    def _corrections(self):
        """Returns c1 and √c2: by what the kernel's m and v are to be divided, as floats or scalar tensors.

        The kernel holds β in float32 and takes 1 - β from that, which for 0.999 is off by 1e-5: both are allowed for.
        """
        betas = [(beta, float(np.float32(beta))) for beta in (self.beta_1, self.beta_2)]
        if self.bias_correction:
            t = tf.cast(self.iterations.value, tf.float32) + 1
            c1, c2 = (-tf.math.expm1(t * math.log(held)) for _, held in betas)
        else:
            c1, c2 = ((1 - held) / (1 - beta) for beta, held in betas)
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
        }
