"""A model folder: Hugging Face's layout, which transformers reads where it knows the head, with what tfbert adds."""

import os

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_tensors, write_whole
from tfbert.core.paths import read_path
from tfbert.data.windows import LongText
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.hugging_face import has_berts_head, hugging_face_files
from tfbert.inference.saved_about import about_of, about_of_ensemble, read_about, task_of
from tfbert.models.checkpoint_tensors import (
    SafetensorsReader,
    as_float32,
    encoder_tensors,
    hugging_face_tensors,
    load_tensors,
)
from tfbert.models.presets import find_preset
from tfbert.models.text_model import build_model
from tfbert.tasks.masked_lm.model import PretrainingModel, build_pretraining_model


def save_model(model, folder):
    """Writes all that prediction needs: weights, configuration, vocabulary, labels, lengths.

    The weights come last, and each file is whole once it has its name: a folder that holds `model.safetensors` is
    complete. This needs no renaming of folders, which object stores do not have.

    Args:
        model: TextModel or PretrainingModel.
        folder: str or path. Local, or with a scheme that `tf.io.gfile` knows. Another model there is replaced.
    """
    folder = read_path(folder)
    files = hugging_face_files(model) | {"tfbert.json": about_of(model)}
    weights = os.path.join(folder, "model.safetensors")
    tf.io.gfile.makedirs(folder)
    changed = {name: text for name, text in files.items() if _read(folder, name) != text}
    if changed and tf.io.gfile.exists(weights):
        tf.io.gfile.remove(weights)
    for name, text in changed.items():
        write_whole(os.path.join(folder, name), text.encode())
    write_tensors(weights, _tensors(model), {"format": "pt"})


def save_decision(model, folder):
    """Writes how a model decides, such as its threshold, to the folder where its weights are already."""
    for name, text in {"config.json": hugging_face_files(model)["config.json"], "tfbert.json": about_of(model)}.items():
        write_whole(os.path.join(folder, name), text.encode())


def save_ensemble(model, folder):
    """Writes the members, each a model of its own in FOLDER/members, and what makes them one.

    Args:
        model: EnsembleModel.
        folder: str.
    """
    names = [f"members/{number + 1}" for number in range(len(model.members))]
    for name, member in zip(names, model.members):
        save_model(member, os.path.join(folder, name))
    write_whole(os.path.join(folder, "tfbert.json"), about_of_ensemble(model, names).encode())


def load_model(folder, dropout=None, dtype="float32"):
    """Returns the model of a folder that `save_model` or `save_ensemble` wrote, with labels, tokenizer, lengths.

    Args:
        folder: str or path.
        dropout: float or None. None: the rate it was trained with.
        dtype: str or keras.DTypePolicy. "float32" or "mixed_bfloat16".

    Raises:
        InputError: it is no such folder, or it is damaged.
    """
    folder = read_path(folder)
    if not tf.io.gfile.exists(os.path.join(folder, "tfbert.json")):
        raise InputError(f"{folder} is no model saved by tfbert: it has no tfbert.json. Train one with --mode=train.")
    about = read_about(folder)
    if "members" in about:
        return _load_ensemble(folder, about, dropout, dtype)
    encoder = find_preset(folder).encoder(dropout, dtype, clean=about["clean_text"])
    task, reader = task_of(about, folder), SafetensorsReader(folder, encoder.family)
    if about["task"] == "masked_lm":
        return build_pretraining_model(
            encoder, task, None, about["max_seq_length"], about["text_columns"], reader=reader, folder=folder
        )
    _check_head(reader, about, task, folder)
    model = build_model(
        encoder,
        task,
        None,
        about["pooling"],
        about["max_seq_length"],
        about["text_columns"],
        head_layers=about["head_layers"],
        head_activation=about["head_activation"],
        long_text=LongText(**about["long_text"]),
    )
    _load_head(model, reader, folder)
    return model


def _load_ensemble(folder, about, dropout, dtype):
    if about["task"] == "masked_lm":
        raise InputError(f"{folder}/tfbert.json is damaged: there are no ensembles of masked_lm models.")
    task, members = task_of(about, folder), []
    for name in about["members"]:
        own = read_about(os.path.join(folder, name))
        if "members" in own or (own["task"], own.get("labels")) != (about["task"], about["labels"]):
            raise InputError(f"{folder}/{name} is no member of this ensemble: its task or its labels are others.")
        members.append(load_model(os.path.join(folder, name), dropout, dtype))
    return EnsembleModel(members, task)


def load_weights(model, folder):
    """Puts the weights of a folder that `save_model` wrote into a model of the same kind."""
    reader = SafetensorsReader(folder, model.encoder.family)
    load_tensors(model.encoder, reader, folder)
    _load_head(model, reader, folder)


def _check_head(reader, about, task, folder):
    """Raises InputError where tfbert.json describes another head than that of the weights, before one is made."""
    widths = {f"tfbert.head.{number}.bias": units for number, units in enumerate(about["head_layers"])}
    for name, units in (widths | {_name_in(reader, "tfbert.classifier.bias"): task.outputs}).items():
        if reader.shape(name) != [units]:
            raise InputError(
                f"{folder} does not fit its tfbert.json: {name} has the shape {reader.shape(name)}, where [{units}] is "
                "needed."
            )


def _load_head(model, reader, folder):
    if isinstance(model, PretrainingModel):
        return model.head.load(reader, "the model")
    for name, (variable, transposed) in _own_variables(model).items():
        name = _name_in(reader, name)
        value = as_float32(reader.tensor(name), name, folder)
        value = value.T if transposed else value
        if value.shape != tuple(variable.shape):
            raise InputError(f"{folder} is damaged: {name} has the shape {list(reader.tensor(name).shape)}.")
        variable.assign(value)


def _name_in(reader, name):
    """Returns the name of a tensor of the head in a file; earlier versions wrote every classifier as transformers'."""
    return name if reader.has(name) else name.replace("tfbert.classifier", "classifier")


def _tensors(model):
    if isinstance(model, PretrainingModel):  # transformers ties the decoder to the embeddings by itself
        return encoder_tensors(model.encoder) | hugging_face_tensors(model.head.named_variables(), model.encoder.family)
    own = {
        name: np.array(variable.numpy().T if transposed else variable.numpy(), order="C")
        for name, (variable, transposed) in _own_variables(model).items()
    }
    return encoder_tensors(model.encoder) | own


def _own_variables(model):
    """Returns what stands on the encoder: name in the file -> (variable, whether it is transposed there)."""
    head, name = model.head, "classifier" if has_berts_head(model) else "tfbert.classifier"
    own = {f"{name}.weight": (head.kernel, True), f"{name}.bias": (head.bias, False)}
    for number, (kernel, bias) in enumerate(head.hidden):
        own |= {f"tfbert.head.{number}.weight": (kernel, True), f"tfbert.head.{number}.bias": (bias, False)}
    merge = model.merge
    if merge and merge.merge == "attention":
        own |= {
            "tfbert.window_merge.weight": (merge.kernel, True),
            "tfbert.window_merge.bias": (merge.bias, False),
            "tfbert.window_merge.context": (merge.context, False),
        }
    if model.pooling == "scalar_mix":
        own |= {"tfbert.mix": (model.pool.mix, False), "tfbert.mix_scale": (model.pool.scale, False)}
    return own


def _read(folder, name):
    path = os.path.join(folder, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return file.read()
