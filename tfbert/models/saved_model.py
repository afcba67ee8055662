"""A model folder: Hugging Face's layout, which transformers and keras-hub read too, with what tfbert adds."""

import dataclasses
import json
import os

import numpy as np
import tensorflow as tf

from tfbert.data.windows import LongText
from tfbert.errors import InputError
from tfbert.files import write_whole
from tfbert.models.presets import find_preset
from tfbert.models.tensors import SafetensorsReader, encoder_tensors, load_tensors, read_json
from tfbert.models.text_model import build_model
from tfbert.tasks import TASKS

_PROBLEM = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


def save_model(model, folder):
    """Writes all that prediction needs: weights, configuration, vocabulary, labels, lengths.

    The weights come last, and each file is whole once it has its name: a folder that holds `model.safetensors` is
    complete. This needs no renaming of folders, which object stores do not have.

    Args:
        model: TextModel.
        folder: str. Local, or with a scheme that `tf.io.gfile` knows. Another model there is replaced.
    """
    from safetensors.numpy import save

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
        "tfbert.json": json.dumps(
            {
                "task": model.task.name,
                "labels": model.task.labels,
                "pooling": model.pooling,
                "head_layers": [bias.shape[0] for _, bias in model.head.hidden],
                "head_activation": model.head.activation,
                "max_seq_length": model.max_seq_length,
                "text_columns": model.text_columns,
                "long_text": dataclasses.asdict(model.long_text),
            },
            indent=2,
            ensure_ascii=False,
        ),
    }
    weights = os.path.join(folder, "model.safetensors")
    tf.io.gfile.makedirs(folder)
    changed = {name: text for name, text in files.items() if _read(folder, name) != text}
    if changed and tf.io.gfile.exists(weights):
        tf.io.gfile.remove(weights)
    for name, text in changed.items():
        write_whole(os.path.join(folder, name), text.encode())
    write_whole(weights, save(_tensors(model), metadata={"format": "pt"}))


def load_model(folder, dropout=None, dtype="float32"):
    """Returns the TextModel of a folder that `save_model` wrote, with labels, tokenizer and lengths.

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
    encoder = find_preset(folder).encoder(dropout, dtype)
    task = TASKS[about["task"]](about["labels"])
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
    _load_head(model, SafetensorsReader(folder))
    return model


def load_weights(model, folder):
    """Puts the weights of a folder that `save_model` wrote into a model of the same kind."""
    reader = SafetensorsReader(folder)
    load_tensors(model.encoder, reader, folder)
    _load_head(model, reader)


def _load_head(model, reader):
    for name, (variable, transposed) in _own_variables(model).items():
        value = reader.tensor(name)
        variable.assign(value.T if transposed else value)


def _tensors(model):
    own = {
        name: np.array(variable.numpy().T if transposed else variable.numpy(), order="C")
        for name, (variable, transposed) in _own_variables(model).items()
    }
    return encoder_tensors(model.encoder) | own


def _own_variables(model):
    """Returns what stands on the encoder: name in the file -> (variable, whether it is transposed there)."""
    head = model.head
    own = {"classifier.weight": (head.kernel, True), "classifier.bias": (head.bias, False)}
    for number, (kernel, bias) in enumerate(head.hidden):
        own |= {f"tfbert.head.{number}.weight": (kernel, True), f"tfbert.head.{number}.bias": (bias, False)}
    if model.pooling == "scalar_mix":
        own |= {"tfbert.mix": (model.pool.mix, False), "tfbert.mix_scale": (model.pool.scale, False)}
    return own


def _hugging_face_config(model):
    encoder, labels = model.encoder, model.task.labels or ["LABEL_0"]
    backbone = encoder.backbone
    return {
        "architectures": ["BertForSequenceClassification"],
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
        "problem_type": _PROBLEM[model.task.name],
        "id2label": {str(number): str(label) for number, label in enumerate(labels)},
        "label2id": {str(label): number for number, label in enumerate(labels)},
        "pad_token_id": model.tokenizer.pad_id,
    }


def _read(folder, name):
    path = os.path.join(folder, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return file.read()
