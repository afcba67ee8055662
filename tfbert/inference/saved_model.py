"""A model folder: Hugging Face's layout, which transformers and keras-hub read too, with what tfbert adds."""

import dataclasses
import json
import os

import numpy as np
import tensorflow as tf

from tfbert.data.windows import LongText
from tfbert.core.errors import InputError
from tfbert.core.files import write_tensors, write_whole
from tfbert.inference.ensemble import EnsembleModel
from tfbert.models.presets import find_preset
from tfbert.tasks.masked_lm.model import PretrainingModel, build_pretraining_model
from tfbert.models.checkpoint_tensors import SafetensorsReader, encoder_tensors, hugging_face_tensors, load_tensors, read_json
from tfbert.models.text_model import build_model
from tfbert.tasks import TASKS
from tfbert.tasks.labelled.decision import Decision

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
    write_tensors(weights, _tensors(model), {"format": "pt"})


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
    about = {
        "members": names,
        "task": model.task.name,
        "labels": model.task.labels,
        "decision": dataclasses.asdict(model.task.decision),
    }
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
        return EnsembleModel(members, _task_of(about))
    encoder = find_preset(folder).encoder(dropout, dtype, clean=about["clean_text"])
    if about["task"] == "masked_lm":
        task = TASKS["masked_lm"](next_sentence=about["next_sentence"])
        reader = SafetensorsReader(folder)
        return build_pretraining_model(
            encoder, task, None, about["max_seq_length"], about["text_columns"], reader=reader, folder=folder
        )
    model = build_model(
        encoder,
        _task_of(about),
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


def _task_of(about):
    """Returns the task of a saved model, from what tfbert.json says."""
    task = TASKS[about["task"]](about["labels"])
    task.decision = Decision(**about["decision"])
    return task


def _about(model):
    """Returns what prediction needs to know, beside the weights, the content of tfbert.json: str."""
    about = {"task": model.task.name, "labels": model.task.labels}
    about |= {"max_seq_length": model.max_seq_length, "text_columns": model.text_columns}
    about |= {"clean_text": model.tokenizer.clean}
    if isinstance(model, PretrainingModel):
        about |= {"next_sentence": model.head.next_sentence}
    else:
        about |= {
            "pooling": model.pooling,
            "head_layers": [bias.shape[0] for _, bias in model.head.hidden],
            "head_activation": model.head.activation,
            "long_text": dataclasses.asdict(model.long_text),
            "decision": dataclasses.asdict(model.task.decision),
        }
    return json.dumps(about, indent=2, ensure_ascii=False)


def _load_head(model, reader):
    if isinstance(model, PretrainingModel):
        return model.head.load(reader, "the model")
    for name, (variable, transposed) in _own_variables(model).items():
        value = reader.tensor(name)
        variable.assign(value.T if transposed else value)


def _tensors(model):
    if isinstance(model, PretrainingModel):  # transformers ties the decoder to the embeddings by itself
        return encoder_tensors(model.encoder) | hugging_face_tensors(model.head.named_variables())
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


def _hugging_face_config(model):
    encoder = model.encoder
    backbone = encoder.backbone
    return {
        "architectures": [_architecture(model)],
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
        **_labels_config(model.task),
        "pad_token_id": model.tokenizer.pad_id,
    }


def _architecture(model):
    if not isinstance(model, PretrainingModel):
        return "BertForSequenceClassification"
    return "BertForPreTraining" if model.head.next_sentence else "BertForMaskedLM"


def _labels_config(task):
    if task.name not in _PROBLEM:
        return {}
    labels = task.labels or ["LABEL_0"]
    return {
        "problem_type": _PROBLEM[task.name],
        "id2label": {str(number): str(label) for number, label in enumerate(labels)},
        "label2id": {str(label): number for number, label in enumerate(labels)},
    }


def _read(folder, name):
    path = os.path.join(folder, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return file.read()
