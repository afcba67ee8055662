"""From an example's vector to the task's outputs."""

import keras
from keras import ops

from tfbert.models.dropout import dropout, site_seed

_SITE = 9999


class Head(keras.layers.Layer):
    """Dropout and one dense layer, as in google-research/bert `run_classifier.py`.

    Call it with float [M, hidden] and a dropout seed (int32 [2] or None); returns float32 [M, outputs].
    """

    def __init__(self, outputs, hidden_dim, dropout_rate, init_seed=0, **kwargs):
        super().__init__(**kwargs)
        self.outputs, self.dropout_rate = outputs, dropout_rate
        initializer = keras.initializers.TruncatedNormal(stddev=0.02, seed=init_seed)
        self.kernel = self.add_weight(name="kernel", shape=(hidden_dim, outputs), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
        self.built = True

    def call(self, vectors, seed=None):
        vectors = dropout(vectors, self.dropout_rate, site_seed(seed, _SITE))
        return ops.cast(ops.matmul(vectors, ops.cast(self.kernel, vectors.dtype)), "float32") + self.bias
