"""Loading pre-trained BERTs by name: a BertEncoder and its BertTokenizer."""

from __future__ import annotations

import dataclasses
import os

import keras
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.paths import read_path
from tfbert.models.checkpoint_config import check_config
from tfbert.models.checkpoint_tensors import CheckpointReader, SafetensorsReader, check_size, load_tensors
from tfbert.models.encoder import BertEncoder
from tfbert.models.families import FAMILIES
from tfbert.models.initialization import initialize, reinitialize
from tfbert.models.keras_presets import read_keras_preset
from tfbert.models.minilm import fetch_minilm
from tfbert.models.model_files import first_line, has_file, read_json
from tfbert.models.preset_names import source_of
from tfbert.models.tokenizers.checkpoint_tokenizer import check_table, looks_lowercase, read_tokenizer
from tfbert.models.tokenizers.tokenizer_files import TokenizerFiles
from tfbert.models.tokenizers.wordpiece import BertTokenizer, read_vocabulary


@dataclasses.dataclass(frozen=True)
class Preset:
    """A pre-trained BERT that has been found but not loaded yet.

    Attributes:
        name: str. As given by the user.
        tokenizer_files: TokenizerFiles. The arguments of BertTokenizer.
        build: callable (dropout, dtype, remat) -> BertEncoder with the weights.
        new: bool. Whether its weights are newly initialised.
        rows: int. Rows of its embedding table.
        reader: callable () -> reader of its tensors by name (`tfbert.models.checkpoint_tensors`); None: Keras reads
            them itself.
        notes: sequence of str. Messages to print when it is loaded.
    """

    name: str
    tokenizer_files: TokenizerFiles
    build: object
    rows: int
    reader: object = None
    new: bool = False
    notes: tuple = ()

    def tokenizer(self, lowercase=None, clean=False):
        """Returns the BertTokenizer; `lowercase` overrides the preset's."""
        files = self.tokenizer_files
        return BertTokenizer(
            files.vocabulary,
            files.lowercase if lowercase is None else lowercase,
            clean,
            files.strip_accents,
            files.tokenize_chinese_chars,
            files.added_tokens,
        )

    def encoder(self, dropout=None, dtype="float32", lowercase=None, clean=False, remat=False):
        """Returns the BertEncoder, its tokenizer beside it as `encoder.tokenizer`; `remat` as BertEncoder takes it."""
        tokenizer = self.tokenizer(lowercase, clean)  # first, as it is cheap and may be refused
        print(*(note + "\n" for note in (*self.notes, *self.tokenizer_files.notes)), sep="", end="")
        encoder = self.build(dropout, dtype, remat)
        encoder.tokenizer = tokenizer
        return encoder


def find_preset(name, cache_dir=None, vocab_file=None):
    """Finds a pre-trained BERT by name.

    Args:
        name: str or path. `minilm`; a folder (Hugging Face's layout, which is also that of models saved by tfbert;
            Google's TF1 layout; a Keras preset's); `hf://ORG/NAME` or ORG/NAME; `config:FILE.json`, new weights of the
            shape that Hugging Face's configuration says; the name or handle of a Keras preset; else one of
            PRESET_NAMES, such as bert-base-uncased.
        cache_dir: str. Where `minilm` is kept.
        vocab_file: str. The vocabulary of new weights, one token per line.

    Returns:
        Preset.

    Raises:
        InputError: it cannot be loaded; a file is missing or damaged; its vocabulary does not match its weights.
    """
    preset = _find(name, cache_dir, vocab_file)
    check_table(preset.tokenizer_files.vocabulary, preset.rows, name)
    return preset


def _find(name, cache_dir=None, vocab_file=None):
    name = read_path(name)
    if name.startswith("config:"):
        return _from_config(name, vocab_file)
    if vocab_file:
        raise InputError(
            f"--vocab_file={vocab_file} goes with --preset=config:FILE.json; --preset={name} has its own."
        )
    if name == "minilm":
        return _from_hugging_face(name, fetch_minilm(cache_dir))
    on_a_hub = name.startswith(("hf://", "kaggle://"))
    if not on_a_hub and tf.io.gfile.isdir(name):
        return _from_folder(name, name)
    if not on_a_hub and (tf.io.gfile.exists(name) or name.startswith((".", "/", "~")) or "://" in name):
        raise InputError(
            f"--preset={name}: no such folder; it must hold a model in Hugging Face's, Google's TF1 or Keras' layout."
        )
    source = source_of(name)
    if source.startswith("hf://"):
        return _from_folder(name, _with_weights(source, _download_hugging_face(name, source)))
    return _from_keras(name, source=source)


def load_encoder(
    preset: str | os.PathLike,
    dropout: float | None = None,
    dtype: str | keras.DTypePolicy = "float32",
    lowercase: bool | None = None,
    cache_dir: str | None = None,
    vocab_file: str | None = None,
) -> BertEncoder:
    """Returns the pre-trained BertEncoder that `preset` names (see `find_preset`), a Keras model.

    Args:
        preset: str.
        dropout: float or None. Dropout rate; None: the preset's own.
        dtype: str or keras.DTypePolicy. "float32" or "mixed_bfloat16".
        lowercase: bool or None. Overrides how the tokenizer treats case.
        cache_dir: str or None. Where fetched weights are kept.
        vocab_file: str or None. The vocabulary of `config:FILE.json`.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> encoder.num_layers, encoder.hidden_dim
        (6, 384)
    """
    return find_preset(preset, cache_dir, vocab_file).encoder(dropout, dtype, lowercase)


def load_tokenizer(
    preset: str | os.PathLike, lowercase: bool | None = None, cache_dir: str | None = None
) -> BertTokenizer:
    """Returns the BertTokenizer of a pre-trained BERT, without loading its weights.

    Example:
        >>> tokenizer = tfbert.load_tokenizer("minilm")
        >>> tokenizer(["I loved it."]).to_list()
        [[1045, 3866, 2009, 1012]]
    """
    return _find(preset, cache_dir).tokenizer(lowercase)


def _from_config(name, vocab_file):
    path = name.removeprefix("config:")
    vocab_file = vocab_file and read_path(vocab_file)
    if not vocab_file:
        raise InputError(
            f"--preset={name} needs --vocab_file, one token per line; --mode=vocabulary learns one from text."
        )
    if not tf.io.gfile.exists(vocab_file):
        raise InputError(f"--vocab_file={vocab_file}: no such file.")
    vocabulary = read_vocabulary(vocab_file)
    config = read_json(os.path.dirname(path), os.path.basename(path)) | {"vocab_size": len(vocabulary)}
    family = _family_of(config, name)
    config = check_config(family.bert_config(config), path, silent=family.fixed)

    def build(dropout, dtype, remat):
        encoder = _new_encoder(config, dropout, dtype, remat, family)
        initialize(encoder)
        return encoder

    files = TokenizerFiles(vocabulary, looks_lowercase(vocabulary))
    return Preset(name, files, build, config["vocab_size"], new=True, notes=config.notes)


def _from_folder(name, folder):
    found = [read for file, read in _LAYOUTS.items() if has_file(folder, file)]
    if not found:
        raise InputError(
            f"--preset={name}: not a model folder; it contains neither {' nor '.join(_LAYOUTS)} "
            "(Hugging Face's, Google's TF1 and Keras' layouts have one of them)."
        )
    if len(found) > 1 and not has_file(folder, "bert_model.ckpt.index"):
        return _from_hugging_face(name, folder)
    preset = found[0](name, folder)
    if len(found) > 1:
        note = f"{folder} contains two models; bert_model.ckpt is read, not the one of config.json."
        preset = dataclasses.replace(preset, notes=(note, *preset.notes))
    return preset


def _from_hugging_face(name, folder):
    config = read_json(folder, "config.json")
    if "registered_name" in config or "class_name" in config:
        return _from_keras(name, folder)
    family = _family_of(config, name)
    checked = check_config(family.bert_config(config), folder, silent=family.fixed)
    files = read_tokenizer(folder, config)
    return _with_tensors(name, folder, checked, files, lambda: SafetensorsReader(folder, family), family)


def _family_of(config, name):
    """Returns the family of a configuration: dict, str -> Family; InputError if there is none."""
    model_type = config.get("model_type", "bert")
    if model_type not in FAMILIES:
        raise InputError(f"--preset={name} is a model of type {model_type!r}; tfbert supports {', '.join(FAMILIES)}.")
    return FAMILIES[model_type]


def _download_hugging_face(name, source):
    try:
        from huggingface_hub import snapshot_download

        return snapshot_download(
            source.removeprefix("hf://"),
            ignore_patterns=["*.bin", "*.msgpack", "*.onnx", "*.ot", "tf_model.h5", "onnx/*", "openvino/*"],
        )
    except Exception as error:  # the hub's client raises its own errors, those of its HTTP library, and OSError
        what = name if name == source else f"{name} is not a folder, and {source}"
        raise InputError(
            f"--preset={what} cannot be fetched from the Hugging Face hub: {first_line(error)} "
            "Check the name and the network, or give a folder that contains the model."
        ) from None


def _with_weights(name, folder):
    """Returns the folder; raises InputError if its repository has only other weight files, which were not fetched."""
    if not any(has_file(folder, file) for file in _WEIGHTS):
        raise InputError(
            f"--preset={name} has none of {', '.join(_WEIGHTS)}. If its weights are pytorch_model.bin or tf_model.h5, "
            "load it with transformers, save it with safe_serialization=True, and give that folder."
        )
    return folder


_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "bert_model.ckpt.index", "model.weights.h5")


def _from_google(name, folder):
    config = read_json(folder, "bert_config.json")
    # google-research/bert's modeling.py computes what its configuration calls "gelu" by the tanh approximation.
    if config.get("hidden_act", "gelu") == "gelu":
        config["hidden_act"] = "gelu_new"
    config = check_config(config, folder, silent=("hidden_act", "layer_norm_eps"))
    path = os.path.join(folder, "vocab.txt")
    if not tf.io.gfile.exists(path):
        raise InputError(f"{path}: no such file; it must hold the vocabulary.")
    vocabulary = read_vocabulary(path)
    files = TokenizerFiles(vocabulary, looks_lowercase(vocabulary))
    return _with_tensors(name, folder, config, files, lambda: CheckpointReader(folder))


def _with_tensors(name, folder, config, files, reader, family=FAMILIES["bert"]):
    def build(dropout, dtype, remat):
        tensors = reader()  # first, as it reports what is wrong with the folder
        check_size(tensors, config, folder)
        encoder = _new_encoder(config, dropout, dtype, remat, family)
        reinitialize(encoder, pooler=True)  # as the folder may lack it
        load_tensors(encoder, tensors, folder)
        layers = encoder.num_layers
        if tensors.get(f"encoder/layer_{layers}/attention/self/query/kernel") is not None:
            known = f"more layers than the {layers} of their configuration"
            print(f"The weights in {folder} have {known}: the lowest are kept.")
        return encoder

    return Preset(name, files, build, config["vocab_size"], reader, notes=config.notes)


def _from_keras(name, folder=None, source=None):
    files, rows, backbone = read_keras_preset(source or name, folder)

    def build(dropout, dtype, remat):
        # keras-hub's BertBackbone computes gelu by the tanh approximation, as google-research/bert does.
        return BertEncoder(backbone(dtype), "gelu_new", dropout_rate=dropout, remat=remat, dtype=dtype)

    return Preset(name, files, build, rows)


# The file that identifies a layout -> its reader. Hugging Face and Keras both have config.json.
_LAYOUTS = {"bert_config.json": _from_google, "config.json": _from_hugging_face}


def _new_encoder(config, dropout, dtype, remat, family):
    """Returns an encoder of a configuration, before its weights are loaded."""
    return BertEncoder(
        family.backbone(config.backbone, dtype),
        config["hidden_act"],
        config["layer_norm_eps"],
        dropout,
        config["attention_probs_dropout_prob"] if dropout is None else dropout,
        family=family.model_type,
        remat=remat,
        dtype=dtype,
    )
