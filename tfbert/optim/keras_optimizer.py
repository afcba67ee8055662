"""Keras' optimizer, made right for gradients in slices, several replicas, variables of 16 bits and loaded models."""

import re

import keras
import tensorflow as tf

from tfbert.optim.gradients import DifferentRows, dense, is_narrow, wide_dtype
from tfbert.optim.parameter_groups import path_of


class KerasOptimizer(keras.optimizers.Optimizer):
    """What `AdamWeightDecay` rests on: all that keras.optimizers.Optimizer does but for these.

    - A gradient in slices is made dense before anything is done to it.
    - The base class clips before the sum over replicas, and decays without a multiplier: both are left to the subclass.
    - Variables beside one of 16 bits have 32, and it is trained as a copy of 32 bits: what a step adds to it may be
      less than it can hold.
    - A saved optimizer keeps the paths of the variables it was built with. Those of a loaded model may be others:
      without the model's name, or with other numbers.
    - What `exclude_from_weight_decay` is told is saved.
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
        """Decides what holds for each variable from its path; the subclass's."""

    def add_variable(self, shape, initializer="zeros", dtype=None, **kwargs):
        """Adds a variable to the optimizer, as in Keras, of 32 bits or more."""
        return super().add_variable(shape, initializer, dtype and wide_dtype(dtype), **kwargs)

    def _slots(self, variables, name, start=False):
        """Returns a variable beside each one given, None beside None: 0, or with `start` the one's present value."""
        slots = [v if v is None else self.add_variable_from_reference(v, name=name) for v in variables]
        if start:
            with tf.init_scope():
                for slot, variable in zip(slots, variables):
                    if slot is not None:
                        slot.assign(variable)
        return slots

    def _make_copies(self, variables):
        """Creates the copies of the variables of 16 bits, and none beside None."""
        narrow = [v if v is not None and is_narrow(v.dtype) else None for v in variables]
        self._copies = self._slots(narrow, "copy", start=True)

    def _exact(self, index, variable):
        """Returns what a variable is trained as: itself, or its copy, which follows what has been assigned to it."""
        if self._copies[index] is None:
            return variable
        copy = self._copies[index].value
        same = tf.cast(copy, variable.dtype) == variable
        copy.assign(tf.where(same, copy, tf.cast(variable, copy.dtype)))
        return copy

    def _round(self, index, variable):
        """Gives a variable the value of its copy."""
        if self._copies[index] is not None:
            variable.assign(tf.cast(self._copies[index].value, variable.dtype))

    def apply(self, grads, trainable_variables=None):
        """Updates variables by their gradients, as in Keras; one without a gradient (None) stays as it is."""
        super().apply([g if isinstance(g, DifferentRows) else dense(g) for g in grads], trainable_variables)

    def _clip_gradients(self, grads):
        return grads

    def _apply_weight_decay(self, variables):
        pass

    def _overwrite_model_variables_with_average_value(self, trainable_variables):
        """Gives variables the averages of `use_ema`; they may be some of those that the optimizer was built with."""
        for variable in map(tensor_of, trainable_variables):
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            self._distribution_strategy.extended.update(variable, self.assign, args=(average.value,))

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Excludes variables from weight decay, as in Keras: those given, and those with one of the names in theirs."""
        super().exclude_from_weight_decay(var_list, var_names)
        self._excluded = [re.escape(path_of(variable)) for variable in var_list or ()]
        self._excluded += [f".*({name}).*" for name in var_names or ()]

    def get_compile_config(self):
        """Returns what Keras saves beside the arguments of the constructor: the variables' paths, once built."""
        return {"paths": list(self._paths)} if self.built else None

    def compile_from_config(self, config):
        """Takes what `get_compile_config` returned: at `build` the patterns are matched on those paths."""
        self._paths = config["paths"]


def tensor_of(variable):
    """Returns the tf.Variable of a variable of Keras, or the one given."""
    return variable.value if isinstance(variable, keras.Variable) else variable
