"""Groups of variables: ordered (regex, value) pairs, matched in full on variable paths; the first match wins."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from tfbert.core.arguments import check_encoder
from tfbert.core.errors import InputError

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder

# Biases and the scale and shift of LayerNorm (gamma, beta) do not decay, as in google-research/bert; nor does a scalar
# mix, whose layer weights would become equal.
NO_DECAY = (r".*/(\w+_)?bias", r".*/(gamma|beta)", r"pooling/.*")

# What holds where nothing was asked for.
_PLAIN = {"lr multiplier": 1, "toward": "0", "from step": 0}

HEAD = r"(head|pooling|window_merge)/.*"


def value_of(pairs, path, default):
    """Returns the value of the first pattern that matches the whole path, else the default."""
    return next((value for pattern, value in pairs if re.fullmatch(pattern, path)), default)


def path_of(variable):
    """Returns the path of a Keras variable, or the name of a tf.Variable without ":0": str."""
    return variable.path if hasattr(variable, "path") else variable.name.split(":")[0]


def unmatched(patterns, paths):
    """Returns the patterns that match no whole path, list of str, and examples of paths, str."""
    some = ", ".join(paths[:: max(1, len(paths) // 8)])
    return [pattern for pattern in patterns if not any(re.fullmatch(pattern, path) for path in paths)], some


def match_all(pairs, paths, default):
    """Returns the value of every path; InputError if a pattern matches none of them.

    Args:
        pairs: list of (regex, value).
        paths: list of str.
        default: value for paths that no pattern matches.
    """
    missing, some = unmatched([pattern for pattern, _ in pairs], paths)
    if missing:
        raise InputError(f"The pattern {missing[0]!r} matches no whole variable path. Examples of paths: {some}.")
    return [value_of(pairs, path, default) for path in paths]


def encoder_patterns(encoder):
    """Returns the patterns of an encoder's parts: dict of "embeddings", "layer 0", "layer 1", …, "pooler" to regex.

    Args:
        encoder: BertEncoder.

    Raises:
        ValueError: a variable of the encoder is in none of the parts of its family.
    """
    patterns = {}
    for name, layers in encoder.parts.groups().items():
        paths = "|".join(re.escape(layer.path) for layer in layers)
        patterns[name] = rf"({paths})/.*" if len(layers) > 1 else rf"{paths}/.*"
    for variable in encoder.trainable_variables:
        if value_of([(pattern, True) for pattern in patterns.values()], variable.path, default=False) is False:
            raise ValueError(f"{encoder.family.__name__}.parts lacks the layer of the variable {variable.path}.")
    return patterns


def layer_decay(encoder: BertEncoder, decay: float) -> list[tuple[str, float]]:
    """Returns multipliers that fall from the top layer to the embeddings: list of (regex, value).

    Layer l of L (from 0) has decay^(L - 1 - l), so the top layer has 1; the embeddings have decay^L. Pooler and head
    are not matched: they have 1 unless another pattern matches.

    Source: Howard and Ruder 2018 (1801.06146), section 3.2; Sun et al. 2019 (1905.05583), section 3.4.3, whose
    η^(k-1) = ξ η^k this is.

    Args:
        encoder: BertEncoder.
        decay: float, ξ.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> [round(value, 3) for _, value in tfbert.layer_decay(encoder, 0.9)]
        [0.59, 0.656, 0.729, 0.81, 0.9, 1.0, 0.531]
    """
    check_encoder(encoder)
    top = encoder.num_layers - 1
    layers = [(pattern, decay ** (top - layer)) for layer, pattern in _trained_layers(encoder)]
    return layers + [(_embeddings(encoder), decay**encoder.num_layers)]


def freeze(encoder, part="none", layers=0, reinit_layers=0):
    """Returns multipliers of 0 for frozen variables: list of (regex, 0.0).

    Args:
        encoder: BertEncoder.
        part: "none", "embeddings", or "encoder": the embeddings, every layer and the pooler.
        layers: int. Number of lowest layers to freeze, together with the embeddings.
        reinit_layers: int. Number of top layers that are newly initialised and must be trained.

    Raises:
        InputError: `layers` exceeds the number of layers below the new ones.
    """
    most = encoder.num_layers - reinit_layers
    if layers > most:
        raise InputError(f"--freeze_layers must be at most {most}, the pre-trained layers. Received: {layers}.")
    if part == "encoder":
        return [("|".join(encoder_patterns(encoder).values()), 0.0)]
    embeddings = [(_embeddings(encoder), 0.0)] if part == "embeddings" or layers else []
    return embeddings + [(pattern, 0.0) for layer, pattern in _trained_layers(encoder) if layer < layers]


def gradual_unfreezing(encoder, steps):
    """Returns the step from which each part is trained, from the top down: list of (regex, step).

    Head and pooler train from the first step, the top layer after `steps`, the one below after twice as many, and so
    on; layer l of L (from 0) after steps · (L - l), the embeddings after steps · (L + 1).

    Source: Howard and Ruder 2018 (1801.06146), section 3.3. Deviation: by steps instead of epochs.

    Args:
        encoder: BertEncoder.
        steps: int.
    """
    count = encoder.num_layers
    layers = [(pattern, steps * (count - layer)) for layer, pattern in _trained_layers(encoder)]
    return layers + [(_embeddings(encoder), steps * (count + 1))]


def pretrained(encoder, reinit_layers=0, reinit_pooler=False):
    """Returns patterns of the variables that have a pre-trained value, for prior weight decay: list of regex.

    The head and re-initialised layers have none and decay toward 0.

    Args:
        encoder: BertEncoder, in its model.
        reinit_layers: int. Number of newly initialised top layers.
        reinit_pooler: bool. Whether the pooler is new.
    """
    old = encoder.num_layers - reinit_layers
    layers = [pattern for layer, pattern in _trained_layers(encoder) if layer < old]
    pooler = [encoder_patterns(encoder)["pooler"]] if encoder.pooler.trainable and not reinit_pooler else []
    return [_embeddings(encoder), *layers, *pooler]


def parts_of(paths, encoder):
    """Returns variable paths grouped by part of the model, from the bottom up: name -> list of path.

    The parts are "embeddings", "layer 0", "layer 1", …, "pooler" and "head".
    """
    patterns = [(pattern, name) for name, pattern in encoder_patterns(encoder).items()]
    parts = {}
    for path in paths:
        parts.setdefault(value_of(patterns, path, default="head"), []).append(path)
    return parts


def _embeddings(encoder):
    return encoder_patterns(encoder)["embeddings"]


def _trained_layers(encoder):
    """Returns the layers with trainable variables, those up to the pooled layer: list of (number, regex)."""
    patterns = encoder_patterns(encoder)
    blocks = enumerate(encoder.parts.blocks)
    return [(number, patterns[f"layer {number}"]) for number, block in blocks if block.layer.trainable]


def parse_multipliers(texts):
    """Returns (regex, value) pairs parsed from REGEX=VALUE, split at the last equals sign."""
    pairs = []
    for text in texts:
        pattern, separator, value = text.rpartition("=")
        try:
            re.compile(pattern)
            pair = pattern, float(value)
        except (re.error, ValueError):
            separator = ""
        if not separator or not pattern or pair[1] < 0:
            raise InputError(
                f"--lr_multipliers takes REGEX=VALUE with a value of 0 or more, such as .*bias=2. Received: {text!r}."
            )
        pairs.append(pair)
    return pairs


def describe_groups(groups):
    """Returns a table of the groups of variables: their number, their settings and an example.

    Args:
        groups: list of (variable, dict of str to number or str), as `AdamWeightDecay.groups` returns it.

    Returns:
        list of rows of str, the titles first; what is of no consequence in any group has no column.
    """
    names = [name for name in groups[0][1] if any(values[name] != _PLAIN.get(name) for _, values in groups)]
    members = {}
    for variable, values in groups:
        cells = [f"{value:.4g}" if isinstance(value, (int, float)) else value for value in map(values.get, names)]
        if values["lr multiplier"] == 0:
            cells = ["frozen", *([""] * (len(cells) - 1))]
        members.setdefault(tuple(cells), []).append(variable)
    rows = [["weights such as", "variables", "weights", *names]]
    for cells, variables in sorted(members.items(), reverse=True):
        weights = sum(math.prod(variable.shape) for variable in variables)
        rows.append([path_of(variables[0]), f"{len(variables):,}", f"{weights:,}", *cells])
    return rows
