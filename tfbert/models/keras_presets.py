"""BERTs in keras-hub's layout: presets by name, and folders."""

import os

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean
from tfbert.models.checkpoint_config import check_config
from tfbert.models.families import FAMILIES
from tfbert.models.families.family import DIMENSIONS
from tfbert.models.model_files import first_line, local_file, read_json
from tfbert.models.preset_names import PRESET_NAMES
from tfbert.models.tokenizers.tokenizer_files import TokenizerFiles
from tfbert.models.tokenizers.wordpiece import read_vocabulary

# Allowed values in a BERT's tokenizer.json; other values would split words differently.
_BERT_TOKENIZER = {"split": True, "split_on_cjk": True, "suffix_indicator": "##", "oov_token": "[UNK]"}


def read_keras_preset(name, folder=None):
    """Finds a Keras preset.

    Args:
        name: str. As given by the user: the name or handle of a preset, or a folder.
        folder: str or None. The folder, if it is one.

    Returns:
        (TokenizerFiles, rows of the embedding table, callable dtype -> keras_hub.models.BertBackbone with weights).

    Raises:
        InputError: it cannot be loaded, or is damaged.
    """
    return _from_folder(folder) if folder else _by_name(name)


def _by_name(name):
    import keras_hub

    try:
        tokenizer = keras_hub.models.BertTokenizer.from_preset(name)
    except Exception as error:  # keras-hub and its downloaders raise many kinds
        presets = sorted(keras_hub.models.BertBackbone.presets)
        problem = f"--preset={name} is not a folder, and cannot be loaded as a Keras preset: {first_line(error)}"
        if name in presets:
            raise InputError(f"{problem} Check the network, or give a folder that contains the model.") from None
        raise InputError(
            f"{problem}{did_you_mean(name, [*presets, *PRESET_NAMES, 'minilm'])} Give a folder, hf://ORG/NAME, minilm, "
            f"or one of keras-hub's: {', '.join(presets)}."
        ) from None

    def backbone(dtype):
        try:
            return keras_hub.models.BertBackbone.from_preset(name, dtype=dtype)
        except Exception as error:
            raise InputError(f"--preset={name} is incomplete: {first_line(error)}") from None

    vocabulary = list(tokenizer.vocabulary)  # keras-hub's own presets are complete
    return TokenizerFiles(vocabulary, tokenizer.lowercase), len(vocabulary), backbone


def _from_folder(folder):
    """Reads a folder without Keras' deserialisation, which would instantiate any object named in the files."""
    sizes = _settings_of(folder, "config.json", "BertBackbone")
    config = check_config({theirs: sizes.get(ours) for ours, theirs in DIMENSIONS.items()}, folder, _UNSAID)
    settings = {"lowercase": False, **_settings_of(folder, "tokenizer.json", "BertTokenizer")}
    for key, value in _BERT_TOKENIZER.items():
        if settings.get(key, value) != value:
            raise InputError(f"tokenizer.json in {folder} has {key}={settings[key]!r}; BERT's is {value!r}.")
    if not isinstance(settings["lowercase"], bool):
        raise InputError(f"tokenizer.json in {folder} has lowercase={settings['lowercase']!r}, not true or false.")
    vocabulary = read_vocabulary(os.path.join(folder, "assets", "tokenizer", "vocabulary.txt"))
    files = TokenizerFiles(vocabulary, settings["lowercase"])
    return files, config["vocab_size"], lambda dtype: _backbone(folder, config, dtype)


_UNSAID = ("hidden_act", "layer_norm_eps", "attention_probs_dropout_prob")


def _settings_of(folder, file, name):
    """Returns the `config` of a file that describes a keras-hub object of some name: dict."""
    about = read_json(folder, file)
    if about.get("registered_name") not in (f"keras_hub>{name}", f"keras_nlp>{name}"):
        raise InputError(f"{file} in {folder} describes {about.get('registered_name')!r}; tfbert needs a {name}.")
    if not isinstance(about.get("config"), dict):
        raise InputError(f"{file} in {folder} is damaged: it has no config.")
    return about["config"]


def _backbone(folder, config, dtype):
    path = os.path.join(folder, "model.weights.h5")
    if not tf.io.gfile.exists(path):
        raise InputError(f"{path}: no such file; it must hold the weights.")
    if tf.io.gfile.stat(path).length < config.parameters:
        raise InputError(f"{path} is too small for the {config.parameters:,} weights of its configuration.")
    backbone = FAMILIES["bert"].backbone(config.backbone, dtype)
    try:
        backbone.load_weights(local_file(path))
    except Exception as error:  # HDF5 and Keras raise many kinds
        raise InputError(f"{path} is damaged, or does not fit its configuration: {first_line(error)}") from None
    bad = [variable.path for variable in backbone.weights if not np.isfinite(variable.numpy()).all()]
    if bad:
        raise InputError(f"{path} has non-finite values in {bad[0]}; it is damaged.")
    return backbone
