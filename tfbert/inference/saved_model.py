"""A model folder: Hugging Face's layout, which transformers can read if it has the head, with additions by tfbert."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tfbert.core.arguments import check_model
from tfbert.core.errors import InputError
from tfbert.core.files import write_tensors, write_whole
from tfbert.core.paths import read_path
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.hugging_face import hugging_face_files
from tfbert.inference.saved_about import about_of, about_of_ensemble, read_about, task_of
from tfbert.models.checkpoint_tensors import SafetensorsReader, encoder_tensors, load_tensors
from tfbert.models.presets import find_preset
from tfbert.tasks import TASKS

if TYPE_CHECKING:
    from tfbert.models.keras_model import BatchModel


def save_model(model: BatchModel, folder: str | os.PathLike) -> None:
    """Writes everything that prediction needs: weights, configuration, vocabulary, labels, lengths.

    The weights are written last, and each file atomically, so a folder with `model.safetensors` is complete. This
    avoids renaming folders, which object stores do not support.

    Args:
        model: TextModel or PretrainingModel.
        folder: str or path. Local, or with a scheme that `tf.io.gfile` knows. An existing model is replaced.

    Example:
        >>> import os
        >>> task = tfbert.TASKS["regression"]()
        >>> tfbert.save_model(tfbert.build_model(tfbert.load_encoder("minilm"), task), "my_model")
        >>> sorted(os.listdir("my_model"))
        ['config.json', 'model.safetensors', 'tfbert.json', 'tokenizer_config.json', 'vocab.txt']
    """
    check_model(model)
    folder = read_path(folder)
    files = hugging_face_files(model) | {"tfbert.json": about_of(model)}
    weights = os.path.join(folder, "model.safetensors")
    tf.io.gfile.makedirs(folder)
    changed = {name: text for name, text in files.items() if _read(folder, name) != text}
    if changed and tf.io.gfile.exists(weights):
        tf.io.gfile.remove(weights)
    for name, text in changed.items():
        write_whole(os.path.join(folder, name), text.encode())
    write_tensors(weights, encoder_tensors(model.encoder) | model.head_tensors(), {"format": "pt"})


def save_decision(model, folder):
    """Writes a model's decision, such as its threshold, to a folder that already has its weights."""
    for name, text in {"config.json": hugging_face_files(model)["config.json"], "tfbert.json": about_of(model)}.items():
        write_whole(os.path.join(folder, name), text.encode())


def save_ensemble(model, folder):
    """Writes the members, each as a model in FOLDER/members, and the description of the ensemble.

    Args:
        model: EnsembleModel.
        folder: str.
    """
    names = [f"members/{number + 1}" for number in range(len(model.members))]
    for name, member in zip(names, model.members):
        save_model(member, os.path.join(folder, name))
    write_whole(os.path.join(folder, "tfbert.json"), about_of_ensemble(model, names).encode())


def load_model(
    folder: str | os.PathLike,
    dropout: float | None = None,
    dtype: str | keras.DTypePolicy = "float32",
    windows_per_step: int | None = None,
) -> BatchModel:
    """Loads the model of a folder written by `save_model` or `save_ensemble`, with labels, tokenizer and lengths.

    Args:
        folder: str or path.
        dropout: float or None. None: the rate it was trained with.
        dtype: str or keras.DTypePolicy. "float32" or "mixed_bfloat16".
        windows_per_step: int or None. Windows encoded at a time, to save memory; None: all of a batch.

    Raises:
        InputError: it is not such a folder, or damaged; or the task does not support `windows_per_step`.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> tfbert.save_model(tfbert.build_model(tfbert.load_encoder("minilm"), task), "my_model")
        >>> tfbert.load_model("my_model").task.labels
        ['calm', 'urgent']
    """
    folder = read_path(folder)
    if not tf.io.gfile.exists(os.path.join(folder, "tfbert.json")):
        raise InputError(f"{folder} is not a model saved by tfbert: it has no tfbert.json. Train one: --mode=train.")
    about = read_about(folder)
    if "members" in about:
        return _load_ensemble(folder, about, dropout, dtype, windows_per_step)
    task = task_of(about, folder)
    if windows_per_step and "windows_per_step" in task.rules.ignores:
        raise InputError(
            f"--windows_per_step={windows_per_step} has no effect with a model of --task={task.name}; lower "
            "--eval_batch_size to save memory."
        )
    encoder = find_preset(folder).encoder(dropout, dtype, clean=about["clean_text"])
    reader = SafetensorsReader(folder, encoder.family)
    return task.saved_model(encoder, about, reader, folder, windows_per_step)


def _load_ensemble(folder, about, *options):
    if "folds" in TASKS[about["task"]].rules.ignores:
        raise InputError(f"{folder}/tfbert.json is damaged: there are no ensembles of {about['task']} models.")
    task, members = task_of(about, folder), []
    for name in about["members"]:
        own = read_about(os.path.join(folder, name))
        if "members" in own or (own["task"], own.get("labels")) != (about["task"], about["labels"]):
            raise InputError(f"{folder}/{name} is not a member of this ensemble: its task or labels differ.")
        members.append(load_model(os.path.join(folder, name), *options))
    return EnsembleModel(members, task)


def load_weights(model, folder):
    """Loads the weights of a folder written by `save_model` into a model of the same kind."""
    reader = SafetensorsReader(folder, model.encoder.family)
    load_tensors(model.encoder, reader, folder)
    model.load_head(reader, folder)


def _read(folder, name):
    path = os.path.join(folder, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return file.read()
