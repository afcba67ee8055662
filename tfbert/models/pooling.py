"""From the encoder to one vector a window."""

import re

import keras
from keras import ops

from tfbert.errors import InputError


class Pooling(keras.layers.Layer):
    """Makes one vector of a window, from its tokens or from its [CLS] in several layers.

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
        depth: int. Layers that are computed.
        width: int. Size of the vector.
    """

    def __init__(self, pooling, encoder, **kwargs):
        """Makes the pooling of an encoder's windows.

        Args:
            pooling: str.
            encoder: BertEncoder.

        Raises:
            InputError: an unknown name, or a layer that the encoder does not have.
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
            raise InputError(f"--pooling must be one of {', '.join(POOLINGS)}, layer:K. Received: {pooling!r}.")
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
        layers = _cls_of_layers(encoder, features, **call)
        if self.pooling == "pooler":
            return encoder.pool(layers[-1], training=training, seed=seed)
        if self.pooling == "scalar_mix":
            shares = ops.softmax(self.mix) * self.scale
            mixed = ops.einsum("l,lwh->wh", shares, ops.cast(ops.stack(layers), "float32"))
            return ops.cast(mixed, layers[-1].dtype)
        return _OF_LAYERS.get(self.pooling, _last)(layers)

    def shares(self):
        """Returns each layer's share in a scalar mix: np.float32 [layers]; None for other poolings."""
        return ops.convert_to_numpy(ops.softmax(self.mix)) if self.pooling == "scalar_mix" else None


def _cls_of_layers(encoder, features, **call):
    """Returns [CLS] of every layer, bottom first: list of float [W, hidden]."""
    start = features["window_start"]
    _, *below, last = encoder(features, last_layer_at=start, **call)
    return [ops.take(ops.reshape(x, (-1, encoder.hidden_dim)), start, axis=0) for x in below] + [last]


def _last(layers):
    return layers[-1]


def _mean(encoder, features, **call):
    layers = encoder(features, **call)
    x = ops.cast(ops.reshape(layers[-1], (-1, encoder.hidden_dim)), "float32")
    slots, count = _slots_of_tokens(features)
    total = ops.segment_sum(x, slots, num_segments=count + 1)[:-1]
    tokens = ops.segment_sum(ops.ones_like(slots, dtype="float32"), slots, num_segments=count + 1)[:-1]
    return ops.cast(total / ops.maximum(tokens, 1.0)[:, None], layers[-1].dtype)


def _max(encoder, features, **call):
    layers = encoder(features, **call)
    x = ops.reshape(layers[-1], (-1, encoder.hidden_dim))
    slots, count = _slots_of_tokens(features)
    highest = ops.segment_max(x, slots, num_segments=count + 1)[:-1]
    used = ops.less(features["window_example"], count)[:, None]
    return ops.where(used, highest, ops.zeros_like(highest))


def _slots_of_tokens(features):
    """Returns each token's window: int32 [R * S] of indices into the W windows, W for padding; and W."""
    window_ids, start = features["window_ids"], features["window_start"]
    rows, length = ops.shape(window_ids)
    count = ops.shape(start)[0]
    used = ops.less(features["window_example"], count)
    number = ops.where(used, ops.take(ops.reshape(window_ids, (-1,)), start), 0)
    where = ops.where(used, start // length, 0) * (length + 1) + number
    # Window numbers restart in each row: a table of row x number names the slot; number 0, padding, stays at W.
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
    "last4_max": lambda layers: ops.max(ops.stack(layers[-4:]), axis=0),
    "all_concat": lambda layers: ops.concatenate(layers, axis=-1),
    "all_mean": lambda layers: ops.mean(ops.stack(layers), axis=0),
}
POOLINGS = ("pooler", "cls", *_OF_TOKENS, *_OF_LAYERS, "scalar_mix")
