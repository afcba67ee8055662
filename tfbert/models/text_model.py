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
from tfbert.models.checkpoint_tensors import head_tensors, load_head_tensors
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

    Attributes, besides those of VectorModel:
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
        """Returns everything that `from_config` needs, including the vocabulary: dict, JSON-serialisable."""
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
        """Computes the outputs; `seed` (int32 [2]) determines dropout; None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        return self.head(super().call(features, training, seed), seed=seed)

    def calibrated(self, outputs):
        """Returns outputs after prior correction and temperature scaling: np.float32 [N, outputs]."""
        return self.task.decision.calibrated(outputs)

    def about(self):
        """Returns the part of its configuration that is not the task's: dict of plain values."""
        return {
            "pooling": self.pooling,
            "head_layers": [bias.shape[0] for _, bias in self.head.hidden],
            "head_activation": self.head.activation,
            "long_text": dataclasses.asdict(self.long_text),
        }

    @property
    def hugging_face(self):
        """The suffix of the class name in transformers, str."""
        return self.task.hugging_face if self._has_berts_head else "Model"

    @property
    def _has_berts_head(self):
        """Whether transformers' BertForSequenceClassification computes the outputs, bool.

        That is dropout and one dense layer on the pooler of a single window. The head of any other model is saved under
        names unknown to transformers, so that it reports missing weights instead of predicting something else.
        """
        return self.pooling == "pooler" and self.merge is None and not self.head.hidden

    def beyond_transformers(self):
        """Returns sentences on how its predictions differ from those in transformers: list of str."""
        decision, found = self.task.decision, []
        if not self._has_berts_head:
            found.append(
                f"Its head (pooling {self.pooling}, {self.long_text.windows} window(s), hidden layers "
                f"{[bias.shape[0] for _, bias in self.head.hidden]}) does not exist in transformers, which loads the "
                "encoder and reports the classifier's weights as missing."
            )
        if decision.prior_shift is not None:
            shift = [float(value) for value in decision.prior_shift]
            found.append(f"Probabilities are those of the logits plus the prior correction, {shift}.")
        if decision.temperature != 1:
            found.append(f"Probabilities are those of the logits over the temperature, {decision.temperature}.")
        if decision.thresholds is not None:
            found.append(f"Labels are predicted from these thresholds on: {[float(x) for x in decision.thresholds]}.")
        long_text = self.long_text
        cut_otherwise = len(self.text_columns) == 2 and long_text.truncation != "longest_first"
        if long_text.strategy in ("tail", "head_tail") or cut_otherwise:
            found.append(
                f"Texts longer than {self.max_seq_length} tokens are truncated by long_text={long_text.strategy} and "
                f"truncation={long_text.truncation}, instead of keeping their beginning."
            )
        return found

    def head_tensors(self):
        """Returns the weights above the encoder by their names in a model folder: dict of np.ndarray."""
        return head_tensors(self._head_variables())

    def load_head(self, reader, folder):
        """Loads these weights from a folder written by `save_model`: SafetensorsReader, its name for messages."""
        load_head_tensors({_name_in(reader, name): own for name, own in self._head_variables().items()}, reader, folder)

    def _head_variables(self):
        """Returns the variables above the encoder: name in the file -> (variable, whether it is transposed there)."""
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


def check_head(reader, layers, outputs, folder, name="tfbert.classifier"):
    """Raises InputError if tfbert.json does not match the head's weights, before the head is created.

    Args:
        reader: SafetensorsReader.
        layers: list of int. The sizes of its hidden layers.
        outputs: int. The size of its last layer.
        folder: str. For the message.
        name: str. The last layer's.
    """
    widths = {f"tfbert.head.{number}.bias": units for number, units in enumerate(layers)}
    for name, units in (widths | {_name_in(reader, f"{name}.bias"): outputs}).items():
        if reader.shape(name) != [units]:
            raise InputError(
                f"{folder} does not fit its tfbert.json: {name} has the shape {reader.shape(name)}, but [{units}] is "
                "needed."
            )


def _name_in(reader, name):
    """Returns the name of a head tensor in a file; earlier versions used transformers' names for every classifier."""
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
        train_labels: np.ndarray [N, ...]. The training labels (`ExampleDataset.examples.labels`), from which a task
            may derive the head's initial biases, as multi-label does.
        head_layers: sequence of int. Sizes of dense layers below the head's last.
        head_activation: str. Their activation: "tanh", or a key of ACTIVATIONS.
        long_text: LongText. How long texts are handled; the training data must use the same.
        windows_per_step: int or None. Windows encoded at a time, to save memory; None: all of a batch.

    Raises:
        InputError: the task has another kind of model, the pooling is unknown, the length exceeds the encoder's
            positions, or it does not support pairs.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(encoder, task, max_seq_length=64)
        >>> model.width
        2
    """
    check_encoder(encoder)
    check_task(task)
    if task.builder != "build_model":
        raise InputError(f"A task of {task.name} has a model of its own: use tfbert.{task.builder}(encoder, task).")
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
