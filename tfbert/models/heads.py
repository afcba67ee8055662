"""Heads: from the vector of an example to the task's outputs."""

import functools

import keras
from keras import ops

from tfbert.models.activations import ACTIVATIONS
from tfbert.models.dropout import dropout, site_seed
from tfbert.models.initialization import new_kernel

_SITE = 9999


class Head(keras.layers.Layer):
    """Dropout and one dense layer, as in google-research/bert `run_classifier.py`; more layers if requested.

    Call it with float [M, width] and a dropout seed (int32 [2] or None); returns float32 [M, outputs].

    Attributes:
        outputs: int.
        hidden: list of (kernel, bias). The layers below the last, each after its own dropout.
        activation: str. Their activation, a key of ACTIVATIONS or "tanh".
    """

    def __init__(self, outputs, width, dropout_rate, init_seed=0, layers=(), activation="tanh", **kwargs):
        """Initialises new weights.

        Args:
            outputs: int.
            width: int. Size of an example's vector.
            dropout_rate: float.
            init_seed: int.
            layers: sequence of int. Sizes of the layers below the last.
            activation: str.
        """
        super().__init__(**kwargs)
        self.outputs, self.dropout_rate, self.activation = outputs, dropout_rate, activation
        self.hidden = []
        for number, units in enumerate(layers):
            self.hidden.append(self._dense(f"hidden_{number}", width, units, init_seed + number + 1))
            width = units
        self.kernel, self.bias = self._dense("", width, outputs, init_seed)
        self.built = True

    def call(self, vectors, seed=None):
        activation = ops.tanh if self.activation == "tanh" else ACTIVATIONS[self.activation]
        for number, (kernel, bias) in enumerate(self.hidden):
            vectors = dropout(vectors, self.dropout_rate, site_seed(seed, _SITE + 1 + number))
            vectors = activation(ops.matmul(vectors, ops.cast(kernel, vectors.dtype)) + ops.cast(bias, vectors.dtype))
        vectors = dropout(vectors, self.dropout_rate, site_seed(seed, _SITE))
        outputs = ops.cast(ops.matmul(vectors, ops.cast(self.kernel, vectors.dtype)), "float32")
        return outputs + ops.cast(self.bias, "float32")

    def _dense(self, name, inputs, units, seed):
        prefix = f"{name}_" if name else ""
        initializer = new_kernel(seed)
        # Not cast by Keras: outputs are float32, and so should be what is added to them.
        add = functools.partial(self.add_weight, autocast=False)
        kernel = add(name=f"{prefix}kernel", shape=(inputs, units), initializer=initializer)
        return kernel, add(name=f"{prefix}bias", shape=(units,), initializer="zeros")
