"""Groups of variables: ordered (regex, value) pairs, matched in full on variable paths, the first match winning."""

import re

from tfbert.errors import InputError

# Biases and the scales and shifts of LayerNorm (gamma, beta) do not decay, as in google-research/bert.
NO_DECAY = (r".*/bias", r".*/(gamma|beta)")

EMBEDDINGS = r"(token_embedding|position_embedding|segment_embedding|embeddings_layer_norm)/.*"
POOLER = r"pooled_dense/.*"
HEAD = r"head/.*"


def value_of(pairs, path, default):
    """Returns the value of the first pattern that matches the whole path, else the default."""
    return next((value for pattern, value in pairs if re.fullmatch(pattern, path)), default)


def match_all(pairs, paths, default):
    """Returns the value of every path; InputError if a pattern matches none of them.

    Args:
        pairs: list of (regex, value).
        paths: list of str.
        default: value of a path that no pattern matches.
    """
    for pattern, _ in pairs:
        if not any(re.fullmatch(pattern, path) for path in paths):
            some = ", ".join(paths[:: max(1, len(paths) // 8)])
            raise InputError(f"The pattern {pattern!r} matches no variable in full. The variables are like: {some}.")
    return [value_of(pairs, path, default) for path in paths]


def layer_decay(encoder, decay):
    """Returns multipliers that fall from the top layer to the embeddings: list of (regex, value).

    Layer l of L (from 0) has decay^(L - 1 - l), so the top layer has 1; the embeddings have decay^L. Pooler and head
    are not matched: they keep 1 unless another pattern says otherwise.

    Source: Howard and Ruder 2018 (1801.06146), section 3.2; Sun et al. 2019 (1905.05583), section 3.4.3, whose
    η^(k-1) = ξ η^k this is.

    Args:
        encoder: BertEncoder.
        decay: float, ξ.
    """
    top = encoder.num_layers - 1
    layers = [(rf"transformer_layer_{layer}/.*", decay ** (top - layer)) for layer in range(encoder.num_layers)]
    return layers + [(EMBEDDINGS, decay**encoder.num_layers)]


def parse_multipliers(texts):
    """Returns (regex, value) pairs from texts REGEX=VALUE; the last equals sign separates them."""
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
                f"--lr_multipliers takes REGEX=VALUE with a value of 0 or more, as .*bias=2. Received: {text!r}."
            )
        pairs.append(pair)
    return pairs


def describe_groups(variables, lr_multipliers, weight_decay, no_decay=NO_DECAY):
    """Returns a table of the groups in which variables are trained: how many, multiplier, decay, one of them.

    Args:
        variables: list of Keras variables.
        lr_multipliers: list of (regex, value).
        weight_decay: float.
        no_decay: list of regex.
    """
    groups = {}
    for variable in variables:
        multiplier = value_of(lr_multipliers, variable.path, 1.0)
        decay = value_of([(pattern, 0.0) for pattern in no_decay], variable.path, weight_decay)
        groups.setdefault((multiplier, decay), []).append(variable)
    lines = [f"{'variables':>9} {'weights':>12} {'lr multiplier':>13} {'decay':>6}  such as"]
    for (multiplier, decay), members in sorted(groups.items(), reverse=True):
        weights = sum(int(variable.value.shape.num_elements()) for variable in members)
        state = "frozen" if multiplier == 0 else f"{multiplier:.4g}"
        lines.append(f"{len(members):9d} {weights:12,d} {state:>13} {decay:6.4g}  {members[0].path}")
    return "\n".join(lines)
