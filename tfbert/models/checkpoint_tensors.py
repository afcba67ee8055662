"""Tensors of pre-trained BERTs: their names and files, and assigning them to variables."""

import contextlib
import math
import os
import re

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.models.families import FAMILIES
from tfbert.models.model_files import file_inside, first_line, has_file, local_file, read_json

_FLOATS = ("float16", "bfloat16", "float32", "float64")
# Weight files that tfbert does not read -> how to convert them with transformers.
_OTHER_WEIGHTS = {
    "pytorch_model.bin": "save the model again with safe_serialization=True",
    "pytorch_model.bin.index.json": "save the model again with safe_serialization=True",
    "tf_model.h5": "load it with from_tf=True in transformers 4, and save it again",
    "flax_model.msgpack": "load it with from_flax=True in transformers 4, and save it again",
    "adapter_model.safetensors": "it is only an adapter: merge it into its model, and save that",
    "model.onnx": "use the checkpoint it was made from",
}


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
    """Assigns every tensor to its variable; a missing pooler stays new, other missing tensors raise InputError."""
    load_variables(named_variables(encoder), reader, folder, {"pooler/": "pooler"})


def load_variables(variables, reader, folder, optional):
    """Assigns tensors to variables; an optional part that is missing stays new, which is reported.

    Args:
        variables: dict of Google's name -> variable.
        reader: SafetensorsReader or CheckpointReader.
        folder: str. For messages.
        optional: dict of str. Parts that may be missing: prefix of their names -> description.

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
            raise InputError(f"{folder} is incomplete: there is no tensor {name} (nor under Hugging Face's name).")
        value = as_float32(value, name, folder)
        if reader.transposed and name.endswith("kernel"):
            value = value.T
        if value.shape != _flat_shape(name, variable):
            raise InputError(
                f"{folder} does not fit its configuration: {name} has the shape {list(value.shape)}, but "
                f"{list(_flat_shape(name, variable))} is needed."
            )
        variable.assign(value.reshape(variable.shape))


def head_tensors(named):
    """Returns the weights of a head for a file: dict of name -> (variable, transposed there) -> dict of arrays."""
    return {
        name: np.array(variable.numpy().T if transposed else variable.numpy(), order="C")
        for name, (variable, transposed) in named.items()
    }


def load_head_tensors(named, reader, folder):
    """Loads the weights of a head.

    Args:
        named: dict of name -> (variable, whether it is transposed in the file).
        reader: SafetensorsReader.
        folder: str. For messages.

    Raises:
        InputError: a tensor is missing, or has another shape.
    """
    for name, (variable, transposed) in named.items():
        value = as_float32(reader.tensor(name), name, folder)
        value = value.T if transposed else value
        if value.shape != tuple(variable.shape):
            raise InputError(f"{folder} is damaged: {name} has the shape {list(reader.tensor(name).shape)}.")
        variable.assign(value)


def as_float32(value, name, folder):
    """Returns a tensor as np.float32; raises InputError for integers (quantised models), NaN and inf."""
    kind = value.dtype.name
    if kind not in _FLOATS:
        raise InputError(
            f"{folder} has the tensor {name} of type {kind}; tfbert reads {', '.join(_FLOATS)}. A quantised model "
            "must be saved again in one of these."
        )
    with np.errstate(over="ignore"):  # float64 may overflow, which is refused
        value = value.astype(np.float32)
    if not np.isfinite(value).all():
        raise InputError(f"{folder} has non-finite values in {name}: its training failed, or it is damaged.")
    return value


def check_size(reader, config, folder):
    """Raises InputError if a configuration needs far more memory than the checkpoint has weights.

    Args:
        reader: SafetensorsReader or CheckpointReader.
        config: BertConfig.
        folder: str. For the message.
    """
    if config.parameters > 2 * reader.size() + 10_000:
        raise InputError(
            f"{folder} does not fit its configuration, which is that of {config.parameters:,} weights; it holds "
            f"{reader.size():,}."
        )


def encoder_tensors(encoder):
    """Returns the encoder's weights by Hugging Face's names, in its shapes: dict of np.ndarray."""
    return hugging_face_tensors(named_variables(encoder), encoder.family)


def hugging_face_tensors(variables, family):
    """Returns the values of variables keyed by Google's names, by a family's names and in Hugging Face's shapes."""
    tensors = {}
    for name, variable in variables.items():
        value = variable.numpy().reshape(_flat_shape(name, variable))
        value = value.T if name.endswith("kernel") else value
        tensors[family.stored_name(name)] = np.ascontiguousarray(value)
    return tensors


def _flat_shape(name, variable):
    """Returns the shape of a variable in checkpoints; Keras splits attention variables by head."""
    shape = tuple(variable.shape)
    if name.endswith("bias"):
        return (math.prod(shape),)
    if name.endswith("attention/output/dense/kernel"):
        return math.prod(shape[:2]), shape[2]
    return (shape[0], math.prod(shape[1:])) if name.endswith("kernel") else shape


class SafetensorsReader:
    """Reads tensors by Google's name from a Hugging Face folder: `model.safetensors`, or its shards.

    Source: huggingface/transformers, `PreTrainedModel.from_pretrained`, which prefers the single file if both exist.
    """

    transposed = True

    def __init__(self, folder, family=None):
        """Finds the tensors.

        Args:
            folder: str.
            family: Family. Determines the names; None: BERT.
        """
        self._folder, self._opened, self._family = folder, {}, family or FAMILIES["bert"]
        if has_file(folder, _INDEX) and not has_file(folder, "model.safetensors"):
            self._files = read_json(folder, _INDEX).get("weight_map")
            if not isinstance(self._files, dict):
                raise InputError(f"{folder}/{_INDEX} is damaged: it has no weight_map.")
            for file in self._files.values():
                file_inside(folder, file, _INDEX)
        else:
            self._files = dict.fromkeys(self._open("model.safetensors").keys(), "model.safetensors")
        self._roots = _roots(self._files, folder, self._family)

    def _open(self, file):
        from safetensors import SafetensorError, safe_open

        path = os.path.join(self._folder, file)
        if not tf.io.gfile.exists(path):
            others = {name: how for name, how in _OTHER_WEIGHTS.items() if has_file(self._folder, name)}
            hints = [f"{name} is not read: {remedy}" for name, remedy in others.items()]
            hint = f" ({'; '.join(hints)})" if hints else ""
            raise InputError(f"{path}: no such file{hint}; it must hold the weights.")
        try:
            if file not in self._opened:
                self._opened[file] = safe_open(local_file(path), framework="numpy")
            return self._opened[file]
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged: {error}") from None

    def get(self, name):
        """Returns a tensor by Google's name for it, or None if there is none."""
        today = self._family.tensor_name(name)
        early = re.sub("LayerNorm.weight$", "LayerNorm.gamma", re.sub("LayerNorm.bias$", "LayerNorm.beta", today))
        names = [root + spelled for root in self._roots for spelled in (today, early)]
        return next((self.tensor(name) for name in names if name in self._files), None)

    def tensor(self, name):
        """Returns a tensor by its own name."""
        if name not in self._files:
            raise InputError(f"{self._folder} is incomplete: there is no tensor {name}.")
        return self._read(name, lambda file: file.get_tensor(name))

    def has(self, name):
        """Returns whether there is a tensor with exactly this name."""
        return name in self._files

    def shape(self, name):
        """Returns the shape of the tensor with exactly this name: list of int."""
        if name not in self._files:
            raise InputError(f"{self._folder} is incomplete: there is no tensor {name}.")
        return self._read(name, lambda file: file.get_slice(name).get_shape())

    def size(self):
        """Returns the total number of elements of the tensors, int."""
        return sum(math.prod(self.shape(name)) for name in self._files)

    def _read(self, name, read):
        from safetensors import SafetensorError

        try:
            return read(self._open(self._files[name]))
        except (SafetensorError, OSError, TypeError, AttributeError) as error:  # a type that NumPy lacks
            raise InputError(f"{self._folder} is damaged at {name}, or of a type that is not read: {error}") from None


_INDEX = "model.safetensors.index.json"


def _roots(names, folder, family):
    """Returns the prefixes of the names of encoder and head tensors: "" and "bert.", or those of a wrapper.

    torch's DataParallel writes `module.`, sentence-transformers `0.auto_model.`.

    Args:
        names: iterable of str.
        folder: str. For messages.
        family: Family.
    """
    own, table = f"{family.model_type}.", family.tensor_name("embeddings/word_embeddings")
    found = {name.removesuffix(table) for name in names if name == table or name.endswith("." + table)}
    roots = {prefix.removesuffix(own) for prefix in found}
    if "" in roots or not roots:
        return "", own
    if len(roots) > 1:
        raise InputError(
            f"{folder} holds several encoders, whose tensors begin with {', '.join(sorted(roots))}; tfbert reads one, "
            "so save it separately."
        )
    [root] = roots
    return root, root + own


class CheckpointReader:
    """Reads tensors from `bert_model.ckpt`."""

    transposed = False

    def __init__(self, folder):
        prefix = os.path.join(folder, "bert_model.ckpt")
        for pattern in (prefix + ".index", prefix + ".data-00000-of-*"):
            if not tf.io.gfile.glob(pattern):
                raise InputError(f"{pattern}: no such file; a TF1 checkpoint has both its .index and its .data file.")
        self._prefix = prefix
        with self._damage_named():
            self._reader = tf.train.load_checkpoint(prefix)
            self._shapes = self._reader.get_variable_to_shape_map()
        files = tf.io.gfile.glob(prefix + ".data-*")
        self._bytes = sum(tf.io.gfile.stat(file).length for file in files)

    def size(self):
        """Returns the total number of elements of the tensors, int."""
        return sum(math.prod(shape) for shape in self._shapes.values())

    def get(self, name):
        """Returns a tensor, or None if there is none of this name."""
        name = next((prefix + name for prefix in ("bert/", "") if prefix + name in self._shapes), None)
        if name is None:
            return None
        if math.prod(self._shapes[name]) > self._bytes:  # TensorFlow would allocate memory first
            raise InputError(f"{self._prefix} is damaged at {name}: its shape is {self._shapes[name]}.")
        with self._damage_named(f" at {name}"):
            return self._reader.get_tensor(name)

    @contextlib.contextmanager
    def _damage_named(self, where=""):
        try:
            yield
        except (tf.errors.OpError, ValueError, IndexError, RuntimeError, TypeError) as error:  # TensorFlow raises any
            raise InputError(f"{self._prefix} is damaged{where}: {first_line(error)}") from None
