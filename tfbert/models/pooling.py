"""From the encoder to one vector a window."""

from keras import ops


def pool_windows(name, encoder, features, training=False, seed=None):
    """Returns the windows' vectors: float [W, hidden].

    Args:
        name: str, a key of POOLINGS.
        encoder: BertEncoder.
        features: dict. The batch's features.
        training, seed: as `BertEncoder` takes them.
    """
    return POOLINGS[name](encoder, features, training=training, seed=seed)


def _cls(encoder, features, **call):
    return encoder(features, last_layer_at=features["window_start"], **call)[-1]


def _pooler(encoder, features, **call):
    """BERT's own: dense + tanh over the last layer's [CLS]."""
    return encoder.pool(_cls(encoder, features, **call), **call)


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


POOLINGS = {"pooler": _pooler, "cls": _cls, "mean": _mean, "max": _max}
