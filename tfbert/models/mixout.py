"""Mixout: dropout that falls back to the pre-trained weights instead of 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
from keras import ops

from tfbert.core.arguments import check_encoder
from tfbert.core.errors import InputError
from tfbert.models.dropout import dropout, site_seed
from tfbert.models.initialization import check_layers

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder

_SITE = 20_000


class Mixout(keras.layers.Layer):
    """Mixes the kernels of an encoder's dense layers with the values they had when it was made.

        W_mix = ( M̄ U + M W - p U ) / (1 - p) = U + M / (1 - p) ⊙ (W - U)

    where U is the initial value of the kernel, M has a 1 for each input unit that keeps its weights and, with
    probability p, a 0 for each that falls back to U with all its outgoing weights, and M̄ = 1 - M. E[W_mix] = W. M is
    drawn for each kernel in each step from the step's seed; like dropout masks it depends on the replica and on the
    part of an accumulated step. Outside training nothing is mixed.

    Source: Lee et al. 2019 (1909.11299), section 3 and figure 1. As there, biases are not mixed, and new weights (the
    head) have dropout. Deviation from the authors' code: the gradient is that of the formula, M / (1 - p) times that of
    W_mix, where the code leaves out the 1 / (1 - p). Deviation from Zhang et al. 2020 (2006.05987), who also mix the
    head, with its initial weights.

    Args:
        encoder: BertEncoder, with its pre-trained weights.
        probability: float, p; kept to within 2^-17, as `dropout` keeps its rate.
        layers: iterable of int. Layers to mix.
        pooler: bool. Whether to mix the pooler.

    Raises:
        InputError: the probability is out of range.
    """

    def __init__(self, encoder, probability, layers, pooler):
        super().__init__(name="mixout", dtype="float32")
        if not 0 <= probability < 1:
            raise InputError(f"The probability of mixout must be at least 0 and below 1. Received: {probability}.")
        self.probability, self.layers, self.pooler = probability, frozenset(layers), pooler
        mixed = [dense for layer in sorted(self.layers) for dense in encoder.parts.blocks[layer].dense]
        mixed += [encoder.pooler] if pooler else []
        self._sites = {dense.path: _SITE + number for number, dense in enumerate(mixed)}
        self._references = {}
        for dense in mixed:
            reference = self.add_weight(
                name=dense.path.replace("/", "_"),
                shape=dense.kernel.shape,
                dtype=dense.kernel.dtype,
                initializer="zeros",
                trainable=False,
                autocast=False,
            )
            reference.assign(dense.kernel)
            self._references[dense.path] = reference
        self.built = True

    def arguments(self):
        """Returns the constructor's arguments except the encoder: dict, JSON-serialisable."""
        return {"probability": self.probability, "layers": sorted(self.layers), "pooler": self.pooler}

    def mix(self, dense, kernel, seed):
        """Returns the kernel to compute with: float [inputs, outputs] -> the same, mixed in 32 bits or more.

        W - U may be too small for the precision of 16-bit W, so casting is done afterwards.

        Args:
            dense: layer of the encoder.
            kernel: its kernel, in two dimensions.
            seed: int32 [2], the step's; None outside training.
        """
        if seed is None or dense.path not in self._sites:
            return kernel
        wide = "float64" if kernel.dtype == "float64" else "float32"
        kernel = ops.cast(kernel, wide)
        reference = ops.cast(ops.reshape(self._references[dense.path], kernel.shape), wide)
        ones = ops.ones((kernel.shape[0], 1), kernel.dtype)
        kept = dropout(ones, self.probability, site_seed(seed, self._sites[dense.path]))
        return reference + kept * (kernel - reference)


def add_mixout(encoder: BertEncoder, probability: float, reinit_layers: int = 0, reinit_pooler: bool = False) -> None:
    """Replaces dropout by mixout in an encoder; see `Mixout`.

    The mixed layers, and the embeddings, have no dropout. Re-initialised layers have no pre-trained weights to fall
    back to and keep their dropout.

    Args:
        encoder: BertEncoder, changed in place.
        probability: float, p.
        reinit_layers: int. Number of newly initialised top layers.
        reinit_pooler: bool. Whether the pooler is new.

    Raises:
        InputError: the probability is out of range, or there are fewer layers than `reinit_layers`.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> tfbert.add_mixout(encoder, 0.1)
        >>> len(encoder.mixout.layers)
        6
    """
    check_encoder(encoder)
    check_layers(encoder, reinit_layers)
    encoder.adapt(Mixout(encoder, probability, range(encoder.num_layers - reinit_layers), not reinit_pooler))
