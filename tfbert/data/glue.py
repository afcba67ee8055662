"""Raw GLUE folders: the file of each split and the names of its columns."""

import os

import tensorflow as tf

from tfbert.core.errors import InputError


def glue_file(location, split):
    """Returns the file of a raw GLUE folder's split, or None if the location is not such a folder.

    Args:
        location: str. `FOLDER` or `FOLDER:SPLIT`.
        split: str. The split to use if the location names none.

    Returns:
        (path, columns, header): str; dict, role -> name; list of str, or None if the file has a header line.

    Raises:
        InputError: the folder has no such split.
    """
    folder, _, named = location.rpartition(":") if not tf.io.gfile.exists(location) else (location, "", "")
    if not _is_glue_folder(folder):
        return None
    split = named or split
    path = os.path.join(folder, f"{split}.tsv")
    if not tf.io.gfile.exists(path):
        found = ", ".join(sorted(name for name in tf.io.gfile.listdir(folder) if name.endswith(".tsv"))) or "no .tsv"
        raise InputError(f"{path}: no such file; the GLUE folder {folder} holds {found}.")
    columns, header = GLUE[_task_of(folder)]
    return path, columns, None if split.startswith("test") else header


def scored_splits(location):
    """Returns the splits of a data location that a model may be scored on: all but train of a GLUE folder, else one.

    Args:
        location: str, as `read_examples` takes it.

    Returns:
        list of str, each a `split` for `read_examples`; ["test"] if the location names its split, or has none.
    """
    if tf.io.gfile.isdir(location) and _is_glue_folder(location):
        names = (os.path.splitext(name) for name in tf.io.gfile.listdir(location))
        return sorted(name for name, ending in names if ending == ".tsv" and not name.startswith("train")) or ["test"]
    return ["test"]


def is_glue(location):
    """Returns whether a data location is a raw GLUE folder, whose column names are fixed."""
    return _is_glue_folder(location if tf.io.gfile.exists(location) else location.rpartition(":")[0])


def _is_glue_folder(folder):
    return _task_of(folder) in GLUE and tf.io.gfile.isdir(folder)


def _task_of(folder):
    return os.path.basename(folder.rstrip("/"))


# Task -> the columns of its raw files, and the names of all columns if train and dev have no header.
GLUE = {
    "CoLA": ({"text": "sentence", "label": "label", "id": "index"}, ["source", "label", "star", "sentence"]),
    "MNLI": ({"text": "sentence1", "text_pair": "sentence2", "label": "gold_label", "id": "index"}, None),
    "MRPC": ({"text": "#1 String", "text_pair": "#2 String", "label": "Quality", "id": "index"}, None),
    "QNLI": ({"text": "question", "text_pair": "sentence", "label": "label", "id": "index"}, None),
    "QQP": ({"text": "question1", "text_pair": "question2", "label": "is_duplicate", "id": "id"}, None),
    "RTE": ({"text": "sentence1", "text_pair": "sentence2", "label": "label", "id": "index"}, None),
    "SST-2": ({"text": "sentence", "label": "label", "id": "index"}, None),
    "STS-B": ({"text": "sentence1", "text_pair": "sentence2", "label": "score", "id": "index"}, None),
    "WNLI": ({"text": "sentence1", "text_pair": "sentence2", "label": "label", "id": "index"}, None),
}
