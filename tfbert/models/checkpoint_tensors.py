"""Tensors of pre-trained BERTs: their names, the files that hold them, and the variables where they belong."""

import json
import math
import os
import re
import tempfile

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError


def named_variables(encoder):
    """Returns the encoder's variables by the names of Google's checkpoints, without their `bert/`: dict."""
    parts = encoder.parts
    variables = {
        "embeddings/word_embeddings": parts.tokens.embeddings,
        "embeddings/position_embeddings": parts.positions.position_embeddings,
    }
    if parts.segments:
        variables["embeddings/token_type_embeddings"] = parts.segments.embeddings
    variables |= _norm_variables("embeddings", parts.embeddings_norm)
    for number, block in enumerate(parts.blocks):
        layer = f"encoder/layer_{number}"
        for name, dense in zip(_DENSE, block.dense):
            variables |= _dense_variables(f"{layer}/{name}", dense)
        variables |= _norm_variables(f"{layer}/attention/output", block.attention_norm)
        variables |= _norm_variables(f"{layer}/output", block.ffn_norm)
    return variables | _dense_variables("pooler/dense", parts.pooler)


# Google's names of a Block's dense layers, in the order of `Block.dense`.
_DENSE = (
    "attention/self/query",
    "attention/self/key",
    "attention/self/value",
    "attention/output/dense",
    "intermediate/dense",
    "output/dense",
)


def _dense_variables(name, layer):
    return {f"{name}/kernel": layer.kernel, f"{name}/bias": layer.bias}


def _norm_variables(name, layer):
    return {f"{name}/LayerNorm/gamma": layer.gamma, f"{name}/LayerNorm/beta": layer.beta}


def load_tensors(encoder, reader, folder):
    """Puts every tensor into its variable; a missing pooler stays new, any other missing tensor is an InputError."""
    load_variables(named_variables(encoder), reader, folder, {"pooler/": "pooler"})


def load_variables(variables, reader, folder, optional):
    """Puts tensors into variables; a part that is missing as a whole may stay new, and is told of.

    Args:
        variables: dict of Google's name -> variable.
        reader: SafetensorsReader or CheckpointReader.
        folder: str. For messages.
        optional: dict of str. What may be missing: the beginning of its names -> what it is called.

    Raises:
        InputError: another tensor is missing, or one has the wrong shape.
    """
    values = {name: reader.get(name) for name in variables}
    for prefix, part in optional.items():
        names = [name for name in variables if name.startswith(prefix)]
        if names and all(values[name] is None for name in names):
            print(f"{folder} has no {part}; it starts from new weights.")
            variables = {name: variable for name, variable in variables.items() if name not in names}
    for name, variable in variables.items():
        value = values[name]
        if value is None:
            raise InputError(f"{folder} is incomplete: there is no tensor {name} (nor by Hugging Face's name for it).")
        if reader.transposed and name.endswith("kernel"):
            value = value.T
        if value.shape != _flat_shape(name, variable):
            raise InputError(
                f"{folder} does not fit its configuration: {name} has the shape {list(value.shape)}, where "
                f"{list(_flat_shape(name, variable))} is needed."
            )
        variable.assign(value.astype(np.float32).reshape(variable.shape))


def encoder_tensors(encoder):
    """Returns the encoder's weights by Hugging Face's names, in its shapes: dict of np.ndarray."""
    return {"bert." + name: value for name, value in hugging_face_tensors(named_variables(encoder)).items()}


def hugging_face_tensors(variables):
    """Returns what a dict of Google's names to variables holds, by Hugging Face's names and in its shapes: dict."""
    tensors = {}
    for name, variable in variables.items():
        value = variable.numpy().reshape(_flat_shape(name, variable))
        value = value.T if name.endswith("kernel") else value
        tensors[hugging_face_name(name)] = np.ascontiguousarray(value)
    return tensors


def _flat_shape(name, variable):
    """Returns a variable's shape as checkpoints have it; Keras keeps those of attention split by head."""
    shape = tuple(variable.shape)
    if name.endswith("bias"):
        return (math.prod(shape),)
    if name.endswith("attention/output/dense/kernel"):
        return math.prod(shape[:2]), shape[2]
    return (shape[0], math.prod(shape[1:])) if name.endswith("kernel") else shape


class SafetensorsReader:
    """Reads tensors by Google's name from a Hugging Face folder: `model.safetensors`, or its shards."""

    transposed = True

    def __init__(self, folder):
        self._folder, self._opened = folder, {}
        index = os.path.join(folder, "model.safetensors.index.json")
        if tf.io.gfile.exists(index):
            self._files = read_json(folder, "model.safetensors.index.json")["weight_map"]
        else:
            self._files = dict.fromkeys(self._open("model.safetensors").keys(), "model.safetensors")

    def _open(self, file):
        from safetensors import SafetensorError, safe_open

        path = os.path.join(self._folder, file)
        if not tf.io.gfile.exists(path):
            hint = " (pytorch_model.bin is not read: save the model again with safe_serialization=True)"
            has_bin = tf.io.gfile.exists(os.path.join(self._folder, "pytorch_model.bin"))
            raise InputError(f"{path}: no such file{hint if has_bin else ''}; it must hold the weights.")
        try:
            if file not in self._opened:
                self._opened[file] = safe_open(_local(path), framework="numpy")
            return self._opened[file]
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged: {error}") from None

    def get(self, name):
        """Returns a tensor by Google's name for it, or None where there is none."""
        today = hugging_face_name(name)
        early = re.sub("LayerNorm.weight$", "LayerNorm.gamma", re.sub("LayerNorm.bias$", "LayerNorm.beta", today))
        names = [prefix + spelled for prefix in ("", "bert.") for spelled in (today, early)]
        return next((self.tensor(name) for name in names if name in self._files), None)

    def tensor(self, name):
        """Returns a tensor by its own name."""
        if name not in self._files:
            raise InputError(f"{self._folder} is incomplete: there is no tensor {name}.")
        return self._open(self._files[name]).get_tensor(name)


def hugging_face_name(name):
    """Returns the name that Hugging Face gives to one of Google's."""
    name = re.sub(r"layer_(\d+)", r"layer.\1", name).replace("/", ".")
    name = re.sub(r"(kernel|gamma)$", "weight", name)
    name = re.sub(r"beta$", "bias", name)
    name = re.sub(r"^(cls\.predictions|cls\.seq_relationship)\.output_", r"\1.", name).replace(".weights", ".weight")
    return name + ".weight" if name.endswith("_embeddings") else name


class CheckpointReader:
    """Reads tensors from `bert_model.ckpt`."""

    transposed = False

    def __init__(self, folder):
        prefix = os.path.join(folder, "bert_model.ckpt")
        for pattern in (prefix + ".index", prefix + ".data-00000-of-*"):
            if not tf.io.gfile.glob(pattern):
                raise InputError(f"{pattern}: no such file; a TF1 checkpoint has both its .index and its .data file.")
        try:
            self._reader = tf.train.load_checkpoint(prefix)
        except (tf.errors.OpError, ValueError) as error:
            raise InputError(f"{prefix} is damaged: {first_line(error)}") from None
        self._prefix = prefix

    def get(self, name):
        """Returns a tensor, or None where there is none of this name."""
        for prefix in ("bert/", ""):
            if self._reader.has_tensor(prefix + name):
                try:
                    return self._reader.get_tensor(prefix + name)
                except (tf.errors.OpError, ValueError, IndexError) as error:
                    raise InputError(f"{self._prefix} is damaged at {prefix + name}: {first_line(error)}") from None
        return None


def read_json(folder, file):
    """Returns the content of a JSON file of a model folder; InputError names what is missing or damaged."""
    path = os.path.join(folder, file)
    try:
        with tf.io.gfile.GFile(path) as stream:
            return json.load(stream)
    except tf.errors.NotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _local(path):
    """Returns a local path with the content of `path`, copied if it is remote: safetensors maps files."""
    if "://" not in path:
        return path
    copy = os.path.join(tempfile.mkdtemp(), os.path.basename(path))
    tf.io.gfile.copy(path, copy)
    return copy


def first_line(error):
    """Returns the first line of an error's message, ending in a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(".") if lines else type(error).__name__) + "."
