"""A model folder: Hugging Face's layout, which transformers and keras-hub read too, with what tfbert adds."""

import json
import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_tensors, write_whole
from tfbert.inference.ensemble import EnsembleModel
from tfbert.models.presets import find_preset
from tfbert.models.checkpoint_tensors import SafetensorsReader, encoder_tensors, load_tensors, read_json
from tfbert.tasks import TASKS


def save_model(model, folder):
    """Writes all that prediction needs: weights, configuration, vocabulary, labels, lengths.

    The weights come last, and each file is whole once it has its name: a folder that holds `model.safetensors` is
    complete. This needs no renaming of folders, which object stores do not have.

    Args:
        model: TextModel or PretrainingModel.
        folder: str. Local, or with a scheme that `tf.io.gfile` knows. Another model there is replaced.
    """
    files = {
        "config.json": json.dumps(_hugging_face_config(model), indent=2),
        "tokenizer_config.json": json.dumps(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": model.tokenizer.lowercase,
                "model_max_length": model.max_seq_length,
            },
            indent=2,
        ),
        "vocab.txt": "".join(piece + "\n" for piece in model.tokenizer.vocabulary),
        "tfbert.json": _about(model),
    }
    weights = os.path.join(folder, "model.safetensors")
    tf.io.gfile.makedirs(folder)
    changed = {name: text for name, text in files.items() if _read(folder, name) != text}
    if changed and tf.io.gfile.exists(weights):
        tf.io.gfile.remove(weights)
    for name, text in changed.items():
        write_whole(os.path.join(folder, name), text.encode())
    write_tensors(weights, encoder_tensors(model.encoder) | model.head_tensors(), {"format": "pt"})


def save_decision(model, folder):
    """Writes how a model decides, such as its threshold, to the folder where its weights are already."""
    write_whole(os.path.join(folder, "tfbert.json"), _about(model).encode())


def save_ensemble(model, folder):
    """Writes the members, each a model of its own in FOLDER/members, and what makes them one.

    Args:
        model: EnsembleModel.
        folder: str.
    """
    names = [f"members/{number + 1}" for number in range(len(model.members))]
    for name, member in zip(names, model.members):
        save_model(member, os.path.join(folder, name))
    about = {"members": names} | model.task.to_json()
    write_whole(os.path.join(folder, "tfbert.json"), json.dumps(about, indent=2, ensure_ascii=False).encode())


def load_model(folder, dropout=None, dtype="float32"):
    """Returns the model of a folder that `save_model` or `save_ensemble` wrote, with labels, tokenizer, lengths.

    Args:
        folder: str.
        dropout: float or None. None: the rate it was trained with.
        dtype: str or keras.DTypePolicy. "float32" or "mixed_bfloat16".

    Raises:
        InputError: it is no such folder, or it is damaged.
    """
    if not tf.io.gfile.exists(os.path.join(folder, "tfbert.json")):
        raise InputError(f"{folder} is no model saved by tfbert: it has no tfbert.json. Train one with --mode=train.")
    about = read_json(folder, "tfbert.json")
    if "members" in about:
        members = [load_model(os.path.join(folder, name), dropout, dtype) for name in about["members"]]
        return EnsembleModel(members, TASKS[about["task"]].from_json(about))
    encoder = find_preset(folder).encoder(dropout, dtype, clean=about["clean_text"])
    task = TASKS[about["task"]].from_json(about)
    return task.saved_model(encoder, about, SafetensorsReader(folder), folder)


def load_weights(model, folder):
    """Puts the weights of a folder that `save_model` wrote into a model of the same kind."""
    reader = SafetensorsReader(folder)
    load_tensors(model.encoder, reader, folder)
    model.load_head(reader, folder)


def _about(model):
    """Returns what prediction needs to know, beside the weights, the content of tfbert.json: str."""
    own = model.task.to_json()
    about = {"task": own.pop("task"), "labels": own.pop("labels")}
    about |= {"max_seq_length": model.max_seq_length, "text_columns": model.text_columns}
    about |= {"clean_text": model.tokenizer.clean} | model.about() | own
    return json.dumps(about, indent=2, ensure_ascii=False)


def _hugging_face_config(model):
    encoder = model.encoder
    backbone = encoder.backbone
    return {
        "architectures": [f"Bert{model.task.hugging_face}"],
        "model_type": "bert",
        "vocab_size": backbone.vocabulary_size,
        "hidden_size": backbone.hidden_dim,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_heads,
        "intermediate_size": backbone.intermediate_dim,
        "max_position_embeddings": backbone.max_sequence_length,
        "type_vocab_size": backbone.num_segments,
        "hidden_act": encoder.activation,
        "layer_norm_eps": encoder.layer_norm_epsilon,
        "hidden_dropout_prob": encoder.dropout_rate,
        "attention_probs_dropout_prob": encoder.dropout_rate,
        **model.task.hugging_face_config(),
        "pad_token_id": model.tokenizer.pad_id,
    }


def _read(folder, name):
    path = os.path.join(folder, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return file.read()
