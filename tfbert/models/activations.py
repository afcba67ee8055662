"""The activations of a BERT, by their names in its configuration."""

import keras
from keras import ops

ACTIVATIONS = {
    # keras.activations.gelu computes erfc, which costs several times as much on a CPU.
    "gelu": lambda x: 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5)),
    "gelu_new": lambda x: keras.activations.gelu(x, approximate=True),
    "relu": keras.activations.relu,
}
