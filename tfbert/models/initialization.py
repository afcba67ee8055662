"""Re-initialisation of the top of a pre-trained encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

from tfbert.core.arguments import check_encoder
from tfbert.core.errors import InputError

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder

# Streams of the initial seed: that of a layer is its number; the head uses the seed itself, which equals no stream.
_POOLER_STREAM, _EMBEDDINGS_STREAM = 10_000, 20_000


def reinitialize(encoder: BertEncoder, layers: int = 0, pooler: bool = False, init_seed: int = 0) -> None:
    """Re-initialises the top layers, and the pooler, with the weights of an untrained BERT.

    Kernels are drawn from BERT's truncated normal (standard deviation 0.02, truncated at two), biases and shifts of
    LayerNorm are 0, its scales 1. The new weights of a layer depend only on its number and the seed, not on the number
    of new layers or the head.

    Source: Zhang et al. 2020 (2006.05987), section 5 (the pooler and the top L layers); Devlin et al. 2018
    (1810.04805), google-research/bert `modeling.py`, `create_initializer`. Deviation: Zhang et al. draw from a normal
    that is not truncated, as Hugging Face does, and always include the pooler.

    Args:
        encoder: BertEncoder, changed in place.
        layers: int. Number of layers, counted from the top.
        pooler: bool.
        init_seed: int.

    Raises:
        InputError: `layers` is negative, or exceeds the number of layers.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> tfbert.reinitialize(encoder, layers=1, pooler=True)
        >>> float(encoder.pooler.bias.numpy().sum())
        0.0
    """
    check_encoder(encoder)
    check_layers(encoder, layers)
    count = encoder.num_layers
    for number in range(count - layers, count):
        _renew(encoder.parts.blocks[number].layer, (init_seed, number))
    if pooler:
        _renew(encoder.pooler, (init_seed, _POOLER_STREAM))


def new_kernel(seed):
    """Returns an initializer that draws BERT's truncated normal, in float32 regardless of the variable's dtype."""
    draw = keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)
    return lambda shape, dtype=None: keras.ops.cast(draw(shape, "float32"), dtype or "float32")


def check_layers(encoder, layers):
    """Raises InputError if an encoder does not have this number of layers."""
    count = encoder.num_layers
    if not 0 <= layers <= count:
        raise InputError(
            f"--reinit_layers must be at most {count}, the layers of this encoder, and at least 0. Received: {layers}."
        )


def initialize(encoder, init_seed=0):
    """Initialises the whole encoder like an untrained BERT; arguments as for `reinitialize`."""
    reinitialize(encoder, encoder.num_layers, True, init_seed)
    for number, part in enumerate(encoder.parts.embeddings):
        _renew(part, (init_seed, _EMBEDDINGS_STREAM + number))


def _renew(layer, stream):
    seeds = np.random.SeedSequence(stream).generate_state(len(layer.weights))
    for variable, seed in zip(layer.weights, seeds):
        kind = variable.path.split("/")[-1]
        if kind == "kernel" or kind.endswith("embeddings"):
            initializer = new_kernel(int(seed))
        else:
            initializer = {"bias": keras.initializers.Zeros(), "beta": keras.initializers.Zeros(),
                           "gamma": keras.initializers.Ones()}[kind]  # fmt: skip
        variable.assign(initializer(variable.shape, variable.dtype))
