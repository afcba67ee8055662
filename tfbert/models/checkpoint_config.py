"""The configuration of a pre-trained BERT: required and optional entries, and what tfbert does not support."""

import dataclasses
import math
import reprlib

from tfbert.core.errors import InputError
from tfbert.models.activations import ACTIVATIONS
from tfbert.models.families.family import DIMENSIONS

# Maximum values, far beyond any trained model; a larger value means a damaged file or another architecture.
_SIZES = {
    "vocab_size": 10_000_000,
    "num_hidden_layers": 1_000,
    "num_attention_heads": 1_000,
    "hidden_size": 100_000,
    "intermediate_size": 1_000_000,
    "max_position_embeddings": 1_000_000,
    "type_vocab_size": 1_000,
}
_MOST_PARAMETERS = 10**10
# Defaults of optional entries: huggingface/transformers' BertConfig and google-research/bert have the same.
_USUAL = {
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
# Settings that change what BERT computes -> the values that tfbert supports.
_ONLY = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The configuration of a BERT that tfbert can run.

    Attributes:
        values: dict. Every setting, by Hugging Face's name.
        notes: list of str. Messages about it.
    """

    values: dict
    notes: list

    def __getitem__(self, name):
        return self.values[name]

    @property
    def backbone(self):
        """Returns the arguments of keras-hub's BertBackbone: dict."""
        return {ours: self.values[theirs] for ours, theirs in DIMENSIONS.items()}

    @property
    def parameters(self):
        """Number of weights of the encoder without its pooler, int."""
        hidden, inner = self["hidden_size"], self["intermediate_size"]
        rows = self["vocab_size"] + self["max_position_embeddings"] + self["type_vocab_size"]
        layer = 4 * hidden * (hidden + 1) + 2 * hidden * inner + inner + hidden + 4 * hidden
        return (rows + 2) * hidden + self["num_hidden_layers"] * layer


def check_config(config, where, silent=()):
    """Returns a configuration that tfbert can run, with the usual value for missing entries.

    Args:
        config: dict, by Hugging Face's names.
        where: str. For messages.
        silent: sequence of str. Settings that this kind of configuration never has, about which there is no message.

    Returns:
        BertConfig.

    Raises:
        InputError: a size is missing or impossible, or it requires something that tfbert does not compute.
    """
    missing = [name for name in (*_SIZES, *_USUAL) if config.get(name) is None]
    if needed := [name for name in missing if name not in _USUAL]:
        raise InputError(f"The configuration in {where} lacks {', '.join(needed)}.")
    told = [f"{name} ({_USUAL[name]})" for name in missing if name not in silent]
    note = f"The configuration in {where} does not set {', '.join(told)}; BERT's usual value is used."
    config = config | {name: _USUAL[name] for name in missing}
    for name, most in _SIZES.items():
        good = _is_whole(config[name]) and 1 <= config[name] <= most
        _check(good, config, name, f"a whole number from 1 to {most:,}", where)
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        _check(_is_number(config[name]) and 0 <= config[name] < 1, config, name, "a number ≥ 0 and < 1", where)
    _check(_is_number(config["layer_norm_eps"]) and 0 < config["layer_norm_eps"] < 1, config, "layer_norm_eps",
           "a number > 0 and < 1", where)  # fmt: skip
    _check(config["hidden_act"] in list(ACTIVATIONS), config, "hidden_act", f"one of {', '.join(ACTIVATIONS)}", where)
    for name, allowed in _ONLY.items():
        _check(config.get(name) in allowed, config, name, f"{allowed[0]!r}; other values are not plain BERT", where)
    if config["hidden_size"] % config["num_attention_heads"]:
        raise InputError(
            f"The configuration in {where} has hidden_size={config['hidden_size']}, which must be a multiple of "
            f"num_attention_heads={config['num_attention_heads']}."
        )
    if isinstance(config.get("auto_map"), dict) and "AutoModel" in config["auto_map"]:
        raise InputError(
            f"The configuration in {where} refers to its own code (auto_map), so it is not plain BERT; tfbert does not "
            "run code of a checkpoint."
        )
    found = BertConfig(config, [note] if told else [])
    if found.parameters > _MOST_PARAMETERS:
        raise InputError(
            f"The configuration in {where} describes {found.parameters:,} weights; tfbert supports "
            f"at most {_MOST_PARAMETERS:,}."
        )
    return found


def _check(good, config, name, allowed, where):
    if not good:
        raise InputError(f"The configuration in {where} has {name}={reprlib.repr(config[name])}; it must be {allowed}.")


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
