"""Encoder, pooling and head as one Keras model, for one task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from tfbert.core.arguments import check_encoder, check_task
from tfbert.core.errors import InputError
from tfbert.data.windows import LongText
from tfbert.models.checkpoint_tensors import as_float32
from tfbert.models.encoder import BertEncoder
from tfbert.models.heads import Head
from tfbert.models.keras_model import task_from_config
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.models.vector_model import VectorModel, new_vectors

if TYPE_CHECKING:
    from tfbert.tasks.task import Task


@keras.saving.register_keras_serializable("tfbert")
class TextModel(VectorModel):
    """Predicts a task's outputs from a batch: features -> float32 [M, outputs] (logits, or the values of a regression).

    Attributes, beside those of VectorModel:
        task: one of TASKS.
        head: Head.
    """

    def __init__(
        self, encoder, task, tokenizer, pooling, merge, head, max_seq_length, text_columns, long_text, **kwargs
    ):
        super().__init__(encoder, tokenizer, pooling, merge, max_seq_length, long_text, text_columns, **kwargs)
        self.task, self.head = task, head
        encoder.train_only(pooling.depth, pooler=pooling.pooling == "pooler")

    def get_config(self):
        """Returns all that `from_config` needs, the vocabulary too: dict, as JSON has it."""
        return super().get_config() | {
            "task": self.task.get_config(),
            "head_layers": [bias.shape[0] for _, bias in self.head.hidden],
            "head_activation": self.head.activation,
        }

    @classmethod
    def _parts_above(cls, encoder, width, config):
        """Returns the other arguments of the constructor: dict."""
        task, layers = task_from_config(config.pop("task")), config.pop("head_layers")
        head = _new_head(encoder, task, width, 0, layers, config.pop("head_activation"))
        return config | {"task": task, "head": head}

    @property
    def width(self):
        """The number of the task's outputs, int."""
        return self.task.outputs

    def call(self, features, training=False, seed=None):
        """Computes the outputs; `seed` (int32 [2]) decides what is dropped out, None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        return self.head(super().call(features, training, seed), seed=seed)

    def calibrated(self, outputs):
        """Returns outputs as they are to be read, np.float32 [N, outputs]: prior corrected, over the temperature."""
        return self.task.decision.calibrated(outputs)

    def about(self):
        """Returns what of its making is not the task's: dict of plain values."""
        return {
            "pooling": self.pooling,
            "head_layers": [bias.shape[0] for _, bias in self.head.hidden],
            "head_activation": self.head.activation,
            "long_text": dataclasses.asdict(self.long_text),
        }

    @property
    def hugging_face(self):
        """What the name of transformers' class ends with, str."""
        return self.task.hugging_face if self._has_berts_head else "Model"

    @property
    def _has_berts_head(self):
        """Whether transformers' BertForSequenceClassification computes the outputs, bool.

        That is dropout and one dense layer on the pooler of a single window. The head of every other model is written
        under a name that transformers does not know, so that it says which weights it misses rather than predict
        something else.
        """
        return self.pooling == "pooler" and self.merge is None and not self.head.hidden

    def beyond_transformers(self):
        """Returns what of its predictions transformers does not make by itself: list of str, sentences."""
        decision, found = self.task.decision, []
        if not self._has_berts_head:
            found.append(
                f"Its head (pooling {self.pooling}, {self.long_text.windows} window(s), hidden layers "
                f"{[bias.shape[0] for _, bias in self.head.hidden]}) is none of transformers', which loads the encoder "
                "and reports the classifier's weights as missing."
            )
        if decision.prior_shift is not None:
            shift = [float(value) for value in decision.prior_shift]
            found.append(f"Probabilities are those of the logits plus the prior's correction, {shift}.")
        if decision.temperature != 1:
            found.append(f"Probabilities are those of the logits divided by the temperature, {decision.temperature}.")
        if decision.thresholds is not None:
            found.append(f"Answers are given from the thresholds {[float(value) for value in decision.thresholds]} on.")
        long_text = self.long_text
        cut_otherwise = len(self.text_columns) == 2 and long_text.truncation != "longest_first"
        if long_text.strategy in ("tail", "head_tail") or cut_otherwise:
            found.append(
                f"Of texts beyond {self.max_seq_length} tokens it takes what long_text={long_text.strategy}, "
                f"truncate_pair={long_text.truncation} say, not their beginning."
            )
        return found

    def head_tensors(self):
        """Returns the weights that stand on the encoder by their names in a model folder: dict of np.ndarray."""
        return {
            name: np.array(variable.numpy().T if transposed else variable.numpy(), order="C")
            for name, (variable, transposed) in self._head_variables().items()
        }

    def load_head(self, reader, folder):
        """Takes these weights from a folder that `save_model` wrote: SafetensorsReader, its name for messages."""
        for name, (variable, transposed) in self._head_variables().items():
            name = _name_in(reader, name)
            value = as_float32(reader.tensor(name), name, folder)
            value = value.T if transposed else value
            if value.shape != tuple(variable.shape):
                raise InputError(f"{folder} is damaged: {name} has the shape {list(reader.tensor(name).shape)}.")
            variable.assign(value)

    def _head_variables(self):
        """Returns what stands on the encoder: name in the file -> (variable, whether it is transposed there)."""
        head, merge, name = self.head, self.merge, "classifier" if self._has_berts_head else "tfbert.classifier"
        own = {f"{name}.weight": (head.kernel, True), f"{name}.bias": (head.bias, False)}
        for number, (kernel, bias) in enumerate(head.hidden):
            own |= {f"tfbert.head.{number}.weight": (kernel, True), f"tfbert.head.{number}.bias": (bias, False)}
        if merge and merge.merge == "attention":
            own |= {
                "tfbert.window_merge.weight": (merge.kernel, True),
                "tfbert.window_merge.bias": (merge.bias, False),
                "tfbert.window_merge.context": (merge.context, False),
            }
        if self.pooling == "scalar_mix":
            own |= {"tfbert.mix": (self.pool.mix, False), "tfbert.mix_scale": (self.pool.scale, False)}
        return own


def check_head(reader, layers, outputs, folder):
    """Raises InputError if tfbert.json describes another head than that of the weights, before one is made.

    Args:
        reader: SafetensorsReader.
        layers: list of int. The widths of its hidden layers.
        outputs: int. That of its last.
        folder: str. For the message.
    """
    widths = {f"tfbert.head.{number}.bias": units for number, units in enumerate(layers)}
    for name, units in (widths | {_name_in(reader, "tfbert.classifier.bias"): outputs}).items():
        if reader.shape(name) != [units]:
            raise InputError(
                f"{folder} does not fit its tfbert.json: {name} has the shape {reader.shape(name)}, where [{units}] is "
                "needed."
            )


def _name_in(reader, name):
    """Returns the name of a tensor of the head in a file; earlier versions wrote every classifier as transformers'."""
    return name if reader.has(name) else name.replace("tfbert.classifier", "classifier")


def build_model(
    encoder: BertEncoder,
    task: Task,
    tokenizer: BertTokenizer | None = None,
    pooling: str = "pooler",
    max_seq_length: int = 128,
    text_columns: Sequence[str] = ("text",),
    init_seed: int = 0,
    train_labels: np.ndarray | None = None,
    head_layers: Sequence[int] = (),
    head_activation: str = "tanh",
    long_text: LongText = LongText(),
    windows_per_step: int | None = None,
) -> TextModel:
    """Returns a TextModel: the encoder with a new head for the task.

    Args:
        encoder: BertEncoder, from `load_encoder`.
        task: one of TASKS.
        tokenizer: BertTokenizer; None: the one that `load_encoder` read beside the weights.
        pooling: str, as `Pooling` takes it.
        max_seq_length: int. Tokens of a sequence, special ones included.
        text_columns: (text,) or (text, second text). Columns of the training data, kept for prediction.
        init_seed: int. Seed of the head's weights.
        train_labels: np.ndarray [N, ...]. The training data's (`ExampleDataset.examples.labels`), from which the task
            may take the head's first biases: multi-label does.
        head_layers: sequence of int. Widths of dense layers below the head's last.
        head_activation: str. What follows each of those: "tanh", or a key of ACTIVATIONS.
        long_text: LongText. What becomes of a text that is too long; the training data must be made with the same.
        windows_per_step: int or None. Windows that are encoded at a time, to need less memory; None: all of a batch.

    Raises:
        InputError: an unknown pooling, a length beyond the encoder's positions, or pairs where it knows none.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(encoder, task, max_seq_length=64)
        >>> model.width
        2
    """
    check_encoder(encoder)
    check_task(task)
    encoder.check_length(max_seq_length)
    encoder.check_segments(len(text_columns))
    tokenizer = tokenizer or encoder.tokenizer
    pooling, merge = new_vectors(encoder, pooling, long_text, init_seed)
    head = _new_head(encoder, task, pooling.width, init_seed, head_layers, head_activation)
    model = TextModel(
        encoder,
        task,
        tokenizer,
        pooling,
        merge,
        head,
        max_seq_length,
        text_columns,
        long_text,
        windows_per_step=windows_per_step,
    )
    if train_labels is not None:
        model.head.bias.assign(task.initial_bias(train_labels))
    return model


def _new_head(encoder, task, width, init_seed, layers, activation):
    policy = encoder.dtype_policy
    return Head(task.outputs, width, encoder.dropout_rate, init_seed, layers, activation, name="head", dtype=policy)
