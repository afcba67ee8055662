"""Where pre-trained weights come from: each way of naming a BERT -> a BertEncoder and its BertTokenizer."""

import contextlib
import dataclasses
import os
import re

import keras
import tensorflow as tf
from keras import ops

from tfbert.models.tokenizers.wordpiece import BertTokenizer, read_vocabulary
from tfbert.core.errors import InputError
from tfbert.models.encoder import ACTIVATIONS, BertEncoder
from tfbert.models.minilm import fetch_minilm
from tfbert.models.initialization import initialize, reinitialize
from tfbert.models.checkpoint_tensors import CheckpointReader, SafetensorsReader, first_line, load_tensors, read_json


@dataclasses.dataclass(frozen=True)
class Preset:
    """A pre-trained BERT that was found but not loaded yet.

    Attributes:
        name: str. As the user gave it.
        vocabulary: list of str.
        lowercase: bool.
        build: callable (dropout, dtype) -> BertEncoder with the weights.
        new: bool. Whether its weights are new ones.
        reader: callable () -> what reads its tensors by name (`tfbert.models.checkpoint_tensors`); None: Keras reads them itself.
    """

    name: str
    vocabulary: list
    lowercase: bool
    build: object
    reader: object = None
    new: bool = False

    def tokenizer(self, lowercase=None, clean=False):
        """Returns the BertTokenizer; `lowercase` overrides the preset's."""
        return BertTokenizer(self.vocabulary, self.lowercase if lowercase is None else lowercase, clean)

    def encoder(self, dropout=None, dtype="float32", lowercase=None, clean=False):
        """Returns the BertEncoder, its tokenizer beside it as `encoder.tokenizer`."""
        encoder = self.build(dropout, dtype)
        encoder.tokenizer = self.tokenizer(lowercase, clean)
        return encoder


def find_preset(name, cache_dir=None, vocab_file=None):
    """Finds a pre-trained BERT by name.

    Args:
        name: str. `minilm`; a folder (Hugging Face's layout, which is also that of models saved by tfbert; Google's
            TF1 layout; a Keras preset's); `hf://ORG/NAME`; `config:FILE.json`, new weights of the shape that
            Hugging Face's configuration says; else the name or handle of a Keras preset.
        cache_dir: str. Where `minilm` is kept.
        vocab_file: str. The vocabulary of new weights, a piece a line.

    Returns:
        Preset.

    Raises:
        InputError: it cannot be had; a file is missing or damaged.
    """
    if name.startswith("config:"):
        return _from_config(name, vocab_file)
    if vocab_file:
        raise InputError(
            f"--vocab_file={vocab_file} goes with --preset=config:FILE.json; --preset={name} brings its own."
        )
    if name == "minilm":
        return _from_hugging_face(name, fetch_minilm(cache_dir))
    if name.startswith("hf://"):
        return _from_folder(name, _download_hugging_face(name))
    if tf.io.gfile.isdir(name):
        return _from_folder(name, name)
    if (
        tf.io.gfile.exists(name)
        or name.startswith((".", "/", "~"))
        or ("://" in name and not name.startswith("kaggle://"))
    ):
        raise InputError(
            f"--preset={name}: no such folder; it must hold a model in Hugging Face's, Google's TF1 or Keras' layout."
        )
    return _from_keras(name)


def load_encoder(preset, dropout=None, dtype="float32", lowercase=None, cache_dir=None, vocab_file=None):
    """Returns the pre-trained BertEncoder that `preset` names (see `find_preset`), a Keras model.

    Args:
        preset: str.
        dropout: float or None. Dropout rate; None: the preset's own.
        dtype: str or keras.DTypePolicy. "float32" or "mixed_bfloat16".
        lowercase: bool or None. Overrides how the tokenizer treats case.
        cache_dir: str or None. Where fetched weights are kept.
        vocab_file: str or None. The vocabulary of `config:FILE.json`.
    """
    return find_preset(preset, cache_dir, vocab_file).encoder(dropout, dtype, lowercase)


def load_tokenizer(preset, lowercase=None, cache_dir=None):
    """Returns the BertTokenizer of a pre-trained BERT, without loading its weights."""
    return find_preset(preset, cache_dir).tokenizer(lowercase)


def _from_config(name, vocab_file):
    path = name.removeprefix("config:")
    if not vocab_file:
        raise InputError(
            f"--preset={name} needs --vocab_file, a piece a line; --mode=vocabulary learns one from text."
        )
    if not tf.io.gfile.exists(vocab_file):
        raise InputError(f"--vocab_file={vocab_file}: no such file.")
    vocabulary = read_vocabulary(vocab_file)
    config = read_json(os.path.dirname(path), os.path.basename(path)) | {"vocab_size": len(vocabulary)}
    _check_config(config, path)

    def build(dropout, dtype):
        encoder = _new_encoder(config, dropout, dtype)
        initialize(encoder)
        return encoder

    return Preset(name, vocabulary, _looks_lowercase(vocabulary), build, new=True)


def _from_folder(name, folder):
    for file, read in _LAYOUTS.items():
        if tf.io.gfile.exists(os.path.join(folder, file)):
            return read(name, folder)
    raise InputError(
        f"--preset={name}: not a model folder; it holds neither {' nor '.join(_LAYOUTS)} "
        "(Hugging Face's, Google's TF1 and Keras' layouts have one of them)."
    )


def _from_hugging_face(name, folder):
    config = read_json(folder, "config.json")
    if "registered_name" in config or "class_name" in config:
        return _from_keras(name, folder)
    if config.get("model_type", "bert") != "bert":
        raise InputError(f"--preset={name} is a model of the type {config['model_type']!r}; tfbert runs BERT.")
    _check_config(config, folder)
    vocabulary, lowercase = _hugging_face_vocabulary(folder)

    return _with_tensors(name, folder, config, vocabulary, lowercase, lambda: SafetensorsReader(folder))


def _hugging_face_vocabulary(folder):
    settings = {}
    if tf.io.gfile.exists(os.path.join(folder, "tokenizer_config.json")):
        settings = read_json(folder, "tokenizer_config.json")
    if tf.io.gfile.exists(os.path.join(folder, "vocab.txt")):
        vocabulary = read_vocabulary(os.path.join(folder, "vocab.txt"))
        return vocabulary, settings.get("do_lower_case", _looks_lowercase(vocabulary))
    if not tf.io.gfile.exists(os.path.join(folder, "tokenizer.json")):
        raise InputError(f"{folder} has neither vocab.txt nor tokenizer.json; one of them must give the vocabulary.")
    tokenizer = read_json(folder, "tokenizer.json")
    pieces = tokenizer["model"]["vocab"]
    lowercase = (tokenizer.get("normalizer") or {}).get("lowercase", _looks_lowercase(pieces))
    return sorted(pieces, key=pieces.get), settings.get("do_lower_case", lowercase)


def _download_hugging_face(name):
    try:
        from huggingface_hub import snapshot_download

        return snapshot_download(
            name.removeprefix("hf://"),
            ignore_patterns=["*.bin", "*.msgpack", "*.onnx", "*.ot", "tf_model.h5", "onnx/*", "openvino/*"],
        )
    except Exception as error:  # the hub's client raises its own, its HTTP library's and the system's
        raise InputError(
            f"--preset={name} cannot be had from the Hugging Face hub: {first_line(error)} "
            "Check the name and the network, or give a folder that holds the model."
        ) from None


def _from_google(name, folder):
    config = read_json(folder, "bert_config.json")
    # google-research/bert's modeling.py computes what its configuration calls "gelu" by the tanh approximation.
    config["hidden_act"] = {"gelu": "gelu_new"}.get(config.get("hidden_act"), config.get("hidden_act"))
    _check_config(config, folder)
    path = os.path.join(folder, "vocab.txt")
    if not tf.io.gfile.exists(path):
        raise InputError(f"{path}: no such file; it must hold the vocabulary.")
    vocabulary = read_vocabulary(path)

    return _with_tensors(
        name, folder, config, vocabulary, _looks_lowercase(vocabulary), lambda: CheckpointReader(folder)
    )


def _with_tensors(name, folder, config, vocabulary, lowercase, reader):
    def build(dropout, dtype):
        tensors = reader()  # first, as it says what is wrong with the folder
        encoder = _new_encoder(config, dropout, dtype)
        reinitialize(encoder, pooler=True)  # which the folder may lack
        load_tensors(encoder, tensors, folder)
        return encoder

    return Preset(name, vocabulary, lowercase, build, reader)


def _from_keras(name, folder=None):
    import keras_hub

    source = folder or name
    try:
        tokenizer = keras_hub.models.BertTokenizer.from_preset(source)
    except Exception as error:  # keras-hub and its downloaders raise many kinds
        known = ", ".join(sorted(keras_hub.models.BertBackbone.presets))
        raise InputError(
            f"--preset={name} cannot be had as a Keras preset: {first_line(error)} Give a folder, hf://ORG/NAME, "
            f"minilm, or one of keras-hub's: {known}."
        ) from None

    def build(dropout, dtype):
        try:
            backbone = keras_hub.models.BertBackbone.from_preset(source, dtype=dtype)
        except Exception as error:
            raise InputError(f"--preset={name} is incomplete: {first_line(error)}") from None
        # keras-hub's BertBackbone computes gelu by the tanh approximation, as google-research/bert does.
        return BertEncoder(backbone, activation="gelu_new", dropout_rate=dropout, dtype=dtype)

    return Preset(name, list(tokenizer.vocabulary), tokenizer.lowercase, build)


# The file by which a layout is known -> its reader. Hugging Face and Keras both have config.json.
_LAYOUTS = {"bert_config.json": _from_google, "config.json": _from_hugging_face}

_DIMENSIONS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
}


def _check_config(config, folder):
    missing = [key for key in _DIMENSIONS.values() if key not in config]
    if missing:
        raise InputError(f"The configuration in {folder} lacks {', '.join(missing)}.")
    if config.get("hidden_act") not in ACTIVATIONS:
        raise InputError(
            f"The configuration in {folder} has hidden_act={config.get('hidden_act')!r}; "
            f"known: {', '.join(ACTIVATIONS)}."
        )


def _new_encoder(config, dropout, dtype):
    """Returns an encoder of a configuration, whose weights are yet to come."""
    import keras_hub

    with _zeros_for_random_weights():
        backbone = keras_hub.models.BertBackbone(
            **{ours: config[theirs] for ours, theirs in _DIMENSIONS.items()}, dtype=dtype
        )
    return BertEncoder(
        backbone, config["hidden_act"], config.get("layer_norm_eps", 1e-12), dropout_rate=dropout, dtype=dtype
    )


@contextlib.contextmanager
def _zeros_for_random_weights():
    """Has Keras make zeros where it would draw weights: that takes almost half the time in which a BERT is loaded.

    keras-hub's backbone takes no initializer of its own.
    """
    draw = keras.initializers.TruncatedNormal.__call__
    keras.initializers.TruncatedNormal.__call__ = lambda self, shape, dtype=None: ops.zeros(shape, dtype)
    try:
        yield
    finally:
        keras.initializers.TruncatedNormal.__call__ = draw


def _looks_lowercase(vocabulary):
    """Says whether a vocabulary is that of an uncased model: it has no piece of capital letters, special ones aside."""
    return not any(re.fullmatch(r"[A-Z][A-Za-z]*", piece) for piece in vocabulary)
