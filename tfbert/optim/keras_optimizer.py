"""Keras' optimizer with fixes for sparse gradients, several replicas, 16-bit variables and loaded models."""

import re

import keras
import tensorflow as tf

from tfbert.optim.gradients import DifferentRows, dense, is_narrow, wide_dtype
from tfbert.optim.parameter_groups import path_of


class KerasOptimizer(keras.optimizers.Optimizer):
    """The base class of `AdamWeightDecay`: keras.optimizers.Optimizer with these differences.

    - A sparse gradient is made dense before anything else.
    - The base class clips before the sum over replicas, and decays without a multiplier: both are left to the subclass
    here. - The slots of a 16-bit variable have 32 bits, and it is trained as a 32-bit copy, as an update may be too
    small for
      its precision.
    - A saved optimizer keeps the paths of the variables it was built with. In a loaded model they may differ: they may
      lack the model's name or have other numbers.
    - What was passed to `exclude_from_weight_decay` is saved.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._excluded, self._paths = [], []

    def build(self, variables):
        """Matches the patterns on the variables' paths, or the saved ones, and creates the base class's variables."""
        saved = len(self._paths) == len(variables)
        paths = self._paths if saved else [path_of(variable) for variable in variables]
        self._match(paths)  # raises before anything is built
        self._paths = paths
        super().build(variables)

    def _match(self, paths):
        """Derives the settings of each variable from its path; implemented by the subclass."""

    def add_variable(self, shape, initializer="zeros", dtype=None, **kwargs):
        """Adds a variable to the optimizer, as in Keras, but with at least 32 bits."""
        return super().add_variable(shape, initializer, dtype and wide_dtype(dtype), **kwargs)

    def _slots(self, variables, name, start=False):
        """Returns a slot for each variable, None for None: zeros, or with `start` the variable's current value."""
        slots = [v if v is None else self.add_variable_from_reference(v, name=name) for v in variables]
        if start:
            with tf.init_scope():
                for slot, variable in zip(slots, variables):
                    if slot is not None:
                        slot.assign(variable)
        return slots

    def _make_copies(self, variables):
        """Creates the copies of 16-bit variables, None for the others."""
        narrow = [v if v is not None and is_narrow(v.dtype) else None for v in variables]
        self._copies = self._slots(narrow, "copy", start=True)

    def _exact(self, index, variable):
        """Returns the variable to train, itself or its copy, updated if the variable was assigned to."""
        if self._copies[index] is None:
            return variable
        copy = self._copies[index].value
        same = tf.cast(copy, variable.dtype) == variable
        copy.assign(tf.where(same, copy, tf.cast(variable, copy.dtype)))
        return copy

    def _round(self, index, variable):
        """Assigns the value of its copy to a variable."""
        if self._copies[index] is not None:
            variable.assign(tf.cast(self._copies[index].value, variable.dtype))

    def apply(self, grads, trainable_variables=None):
        """Updates variables by their gradients, as in Keras; one without a gradient (None) is left unchanged."""
        super().apply([g if isinstance(g, DifferentRows) else dense(g) for g in grads], trainable_variables)

    def _clip_gradients(self, grads):
        return grads

    def _apply_weight_decay(self, variables):
        pass

    def _overwrite_model_variables_with_average_value(self, trainable_variables):
        """Assigns the averages of `use_ema` to variables, all or some of those that the optimizer was built with."""
        for variable in map(tensor_of, trainable_variables):
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            self._distribution_strategy.extended.update(variable, self.assign, args=(average.value,))

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Excludes variables from weight decay, as in Keras: those given, and those with one of the names in theirs."""
        super().exclude_from_weight_decay(var_list, var_names)
        self._excluded = [re.escape(path_of(variable)) for variable in var_list or ()]
        self._excluded += [f".*({name}).*" for name in var_names or ()]

    def get_compile_config(self):
        """Returns what Keras saves besides the constructor's arguments: the variables' paths, once built."""
        return {"paths": list(self._paths)} if self.built else None

    def compile_from_config(self, config):
        """Restores what `get_compile_config` returned: `build` matches the patterns on those paths."""
        self._paths = config["paths"]


def tensor_of(variable):
    """Returns the tf.Variable of a Keras variable, or the argument itself."""
    return variable.value if isinstance(variable, keras.Variable) else variable
