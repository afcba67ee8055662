"""Pooling: one vector per window from the encoder's outputs, and one per example from its windows."""

import functools
import re

import keras
from keras import ops

from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean
from tfbert.models.initialization import new_kernel


class Pooling(keras.layers.Layer):
    """Computes one vector per window, from its tokens or from its [CLS] in several layers.

    | name | vector |
    |---|---|
    | `pooler` | BERT's own: dense + tanh over the last layer's [CLS] |
    | `cls` | the last layer's [CLS] |
    | `mean`, `max` | over all tokens of the last layer, special ones included |
    | `layer:K` | [CLS] of layer K, from 0; the layers above are not computed |
    | `first_last` | mean of [CLS] in the first and the last layer |
    | `last4_concat`, `last4_mean`, `last4_max` | [CLS] of the last four layers |
    | `all_concat`, `all_mean` | [CLS] of all layers |
    | `scalar_mix` | γ Σ softmax(w)_l [CLS]_l over all layers, with learned w and γ |

    Source: Devlin et al. 2018 (1810.04805) for `pooler`; Sun et al. 2019 (1905.05583), section 5.3.2 and table 3, for
    the layers' [CLS]; Peters et al. 2018 (1802.05365), equation 1, for `scalar_mix`.

    Attributes:
        pooling: str.
        depth: int. Number of layers that are computed.
        width: int. Size of the vector.
    """

    def __init__(self, pooling, encoder, **kwargs):
        """Creates the pooling for an encoder.

        Args:
            pooling: str.
            encoder: BertEncoder.

        Raises:
            InputError: the name is unknown, or the encoder does not have this layer.
        """
        super().__init__(**kwargs)
        self.pooling, self.depth, self.width = pooling, encoder.num_layers, encoder.hidden_dim
        layer = re.fullmatch(r"layer:(\d+)", pooling)
        if layer:
            if int(layer[1]) >= encoder.num_layers:
                raise InputError(
                    f"--pooling=layer:K takes a layer from 0 to {encoder.num_layers - 1}. Received: {pooling!r}."
                )
            self.depth = int(layer[1]) + 1
        elif pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            hint = did_you_mean(pooling, POOLINGS)
            raise InputError(f"--pooling must be one of {known}, layer:K. Received: {pooling!r}.{hint}")
        if pooling in ("last4_concat", "all_concat"):
            self.width *= min(4, encoder.num_layers) if pooling == "last4_concat" else encoder.num_layers
        if pooling == "scalar_mix":
            self.mix = self.add_weight(name="mix", shape=(encoder.num_layers,), initializer="zeros", autocast=False)
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones", autocast=False)
        self.built = True

    def call(self, features, encoder, training=False, seed=None):
        """Computes the windows' vectors from the batch's features and the encoder: float [W, width]."""
        call = {"training": training, "seed": seed, "depth": self.depth}
        if self.pooling in _OF_TOKENS:
            return _OF_TOKENS[self.pooling](encoder, features, **call)
        start = features["window_start"]
        _, *below, last = encoder(features, last_layer_at=start, **call)
        if self.pooling == "pooler":
            return encoder.pool(last, training=training, seed=seed)
        if self.pooling not in (*_OF_LAYERS, "scalar_mix"):
            return last
        layers = [ops.take(ops.reshape(x, (-1, encoder.hidden_dim)), start, axis=0) for x in below] + [last]
        if self.pooling == "scalar_mix":
            shares = ops.softmax(ops.cast(self.mix, "float32")) * ops.cast(self.scale, "float32")
            mixed = ops.einsum("l,lwh->wh", shares, ops.cast(ops.stack(layers), "float32"))
            return ops.cast(mixed, layers[-1].dtype)
        return _OF_LAYERS[self.pooling](layers)

    def shares(self):
        """Returns the weight of each layer in a scalar mix: np.float32 [layers]; None for other poolings."""
        return ops.convert_to_numpy(ops.softmax(self.mix)) if self.pooling == "scalar_mix" else None


class WindowMerge(keras.layers.Layer):
    """Merges the vectors of an example's windows into one by mean, maximum or attention.

    Attention: u = tanh(v W + b) for each window's vector v, and the weights softmax(u · c) over an example's windows,
    with learned W, b and c. Sun et al. mention self-attention but give no formula.

    Source: Sun et al. 2019 (1905.05583), section 5.3.1; Yang et al. 2016 ("Hierarchical Attention Networks for Document
    Classification"), equations 5 to 7.
    """

    def __init__(self, merge, width, init_seed=0, **kwargs):
        """Initialises new weights with small random values.

        Args:
            merge: str. "mean", "max" or "attention".
            width: int. Size of a window's vector.
            init_seed: int.
        """
        super().__init__(**kwargs)
        self.merge = merge
        if merge == "attention":
            small = [new_kernel(init_seed + number) for number in range(2)]
            self.kernel = self.add_weight(name="kernel", shape=(width, width), initializer=small[0], autocast=False)
            self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros", autocast=False)
            self.context = self.add_weight(name="context", shape=(width,), initializer=small[1], autocast=False)
        self.built = True

    def call(self, vectors, features):
        """Merges the vectors of a batch: float [W, width] -> float [M, width], zeros for padding examples."""
        x, example, counts = ops.cast(vectors, "float32"), features["window_example"], features["example_windows"]
        if self.merge == "max":
            merged = _segments(_segment_max, vectors, example, ops.shape(counts)[0])
            merged = ops.where((counts > 0)[:, None], merged, 0)
        elif self.merge == "mean":
            merged = _segments(ops.segment_sum, x, example, ops.shape(counts)[0])
            merged /= ops.maximum(ops.cast(counts, "float32"), 1.0)[:, None]
        else:
            merged = _segments(ops.segment_sum, self.shares(x, features)[:, None] * x, example, ops.shape(counts)[0])
        return ops.cast(merged, vectors.dtype)

    def shares(self, x, features):
        """Returns each window's weight within its example: float32 [W, width] -> float32 [W]; arbitrary if unused."""
        example, count = features["window_example"], ops.shape(features["example_windows"])[0]
        kernel, bias, context = (ops.cast(each, "float32") for each in (self.kernel, self.bias, self.context))
        score = ops.sum(ops.tanh(ops.matmul(x, kernel) + bias) * context, axis=-1)
        highest = ops.segment_max(ops.stop_gradient(score), example, num_segments=count + 1)
        exp = ops.exp(score - ops.take(highest, example))
        total = ops.segment_sum(exp, example, num_segments=count + 1)
        return exp / ops.take(total, example)


def _segments(reduce, x, segments, count):
    """Reduces the rows of each segment, ignoring segment number `count`: float [n, width] -> float [count, width]."""
    return reduce(x, segments, num_segments=count + 1)[:-1]


def _segment_max(x, segments, num_segments):
    """Computes `keras.ops.segment_max` with a gradient that does not test for equality.

    TensorFlow distributes the gradient over the values that equal the maximum. But XLA may compute the values twice
    with different rounding: then none is equal, and the gradient is 0 / 0. Here, values within a few roundings share
    it.
    """
    fixed = ops.stop_gradient(x)
    highest = ops.segment_max(fixed, segments, num_segments=num_segments)
    least = highest - (1e-6 if x.dtype == "float32" else 2**-7) * ops.maximum(ops.abs(highest), 1)
    chosen = ops.cast(fixed >= ops.take(least, segments, axis=0), x.dtype)
    count = ops.maximum(ops.segment_sum(chosen, segments, num_segments=num_segments), 1)
    shared = ops.segment_sum(x * chosen / ops.take(count, segments, axis=0), segments, num_segments=num_segments)
    return highest + (shared - ops.stop_gradient(shared))


def _mean(encoder, features, **call):
    return mean_of_tokens(encoder(features, **call)[-1], features)


def _max(encoder, features, **call):
    return max_of_tokens(encoder(features, **call)[-1], features)


def mean_of_tokens(layer, features):
    """Returns the mean over each window's tokens: float [R, S, hidden] -> float [W, hidden], zeros for unused."""
    x = ops.cast(ops.reshape(layer, (-1, ops.shape(layer)[-1])), "float32")
    slots, count = _slots_of_tokens(features)
    total = _segments(ops.segment_sum, x, slots, count)
    tokens = _segments(ops.segment_sum, ops.ones_like(x[:, :1]), slots, count)
    return ops.cast(total / ops.maximum(tokens, 1.0), layer.dtype)


def max_of_tokens(layer, features):
    """Returns the maximum over each window's tokens: float [R, S, hidden] -> float [W, hidden], zeros for unused."""
    slots, count = _slots_of_tokens(features)
    highest = _segments(_segment_max, ops.reshape(layer, (-1, ops.shape(layer)[-1])), slots, count)
    return ops.where(_is_used(features)[:, None], highest, ops.zeros_like(highest))


def _is_used(features):
    """Returns which of the W windows belong to an example: bool [W]."""
    return features["window_example"] < ops.shape(features["example_windows"])[0]


def _slots_of_tokens(features):
    """Returns each token's window: int32 [R * S] of indices into the W windows, W for padding; and W."""
    window_ids, start = features["window_ids"], features["window_start"]
    rows, length = ops.shape(window_ids)
    count = ops.shape(start)[0]
    used = _is_used(features)
    number = ops.where(used, ops.take(ops.reshape(window_ids, (-1,)), start), 0)
    where = ops.where(used, start // length, 0) * (length + 1) + number
    # Window numbers restart in each row: a table of row x number holds the window; number 0, padding, maps to W.
    slots = ops.scatter(
        where[:, None], ops.where(used, ops.arange(count, dtype="int32") - count, 0), (rows * (length + 1),)
    )
    of_token = ops.arange(rows, dtype="int32")[:, None] * (length + 1) + window_ids
    return ops.take(slots, ops.reshape(of_token, (-1,))) + count, count


_OF_TOKENS = {"mean": _mean, "max": _max}
_OF_LAYERS = {
    "first_last": lambda layers: (layers[0] + layers[-1]) / 2,
    "last4_concat": lambda layers: ops.concatenate(layers[-4:], axis=-1),
    "last4_mean": lambda layers: ops.mean(ops.stack(layers[-4:]), axis=0),
    "last4_max": lambda layers: functools.reduce(ops.maximum, layers[-4:]),  # ops.max would test for equality, too
    "all_concat": lambda layers: ops.concatenate(layers, axis=-1),
    "all_mean": lambda layers: ops.mean(ops.stack(layers), axis=0),
}
POOLINGS = ("pooler", "cls", *_OF_TOKENS, *_OF_LAYERS, "scalar_mix")
