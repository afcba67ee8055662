"""Encoder, pooling and head as one Keras model, for one task."""

import dataclasses
import functools

import keras
import numpy as np

from tfbert.core.errors import InputError
from tfbert.data.windows import LongText
from tfbert.models.memory import in_chunks
from tfbert.models.heads import Head
from tfbert.models.pooling import Pooling, WindowMerge


class VectorModel(keras.Model):
    """Makes one vector of each text of a batch: features -> float [M, width].

    Attributes:
        encoder: BertEncoder.
        tokenizer: BertTokenizer.
        pool: Pooling.
        merge: WindowMerge; None where a text has one window.
        max_seq_length: int. The longest sequence the model was made for.
        long_text: LongText. What becomes of a text that is longer.
        text_columns: tuple of str. Where its training data had the text, and the second text of a pair.
        windows_per_step: int or None. Windows that are encoded at a time, to need less memory; None: all of a batch.
    """

    def __init__(self, encoder, tokenizer, pooling, merge, max_seq_length, long_text, text_columns=("text",), **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.tokenizer = encoder, tokenizer
        self.pool, self.merge = pooling, merge
        self.max_seq_length, self.long_text, self.text_columns = max_seq_length, long_text, tuple(text_columns)
        self.windows_per_step = None
        self.built = True

    @property
    def pooling(self):
        """The pooling's name, str."""
        return self.pool.pooling

    @property
    def width(self):
        """The size of what the model makes of a text, int."""
        return self.pool.width

    def call(self, features, training=False, seed=None):
        """Computes the vectors; `seed` (int32 [2]) decides what is dropped out, None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        if self.windows_per_step is None:
            vectors = self.pool(features, encoder=self.encoder, training=training, seed=seed)
        else:
            compute = functools.partial(self.pool, encoder=self.encoder, training=training)
            width, dtype = self.pool.width, self.encoder.compute_dtype
            vectors = in_chunks(compute, features, seed, self.windows_per_step, width, dtype)
        return self.merge(vectors, features) if self.merge else vectors

    def calibrated(self, outputs):
        """Returns outputs as they are to be read: np.float32 [N, width], unchanged for vectors."""
        return outputs

    def notes(self):
        """Returns what the weights of a trained model say, in sentences: list of str."""
        shares = self.pool.shares()
        if shares is None:
            return []
        return [f"Shares of the layers in the scalar mix, from the bottom: {' '.join(f'{x:.3f}' for x in shares)}"]

    def vector_model(self, pooling=None, max_seq_length=128, long_text=LongText()):
        """Returns what makes vectors of texts as this model does, its own lengths kept: VectorModel.

        Args:
            pooling: str or None. Another pooling than its own.
            max_seq_length, long_text: not used; `encoder_vectors` takes them.

        Raises:
            InputError: another pooling with learned weights, or below learned weights.
        """
        same = pooling in (None, self.pooling)
        pool = self.pool if same else _new_pooling(pooling, self.encoder)
        if not same and self.merge and self.merge.weights:
            raise InputError(
                f"--pooling={pooling} cannot be merged by this model's attention over windows, which was trained on "
                f"--pooling={self.pooling}; leave --pooling out."
            )
        own = (self.max_seq_length, self.long_text, self.text_columns)
        return VectorModel(self.encoder, self.tokenizer, pool, self.merge, *own)


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

    def head_tensors(self):
        """Returns the weights that stand on the encoder by their names in a model folder: dict of np.ndarray."""
        return {
            name: np.array(variable.numpy().T if transposed else variable.numpy(), order="C")
            for name, (variable, transposed) in self._head_variables().items()
        }

    def load_head(self, reader, folder):
        """Takes these weights from a folder that `save_model` wrote: SafetensorsReader, its name for messages."""
        for name, (variable, transposed) in self._head_variables().items():
            value = reader.tensor(name)
            variable.assign(value.T if transposed else value)

    def _head_variables(self):
        """Returns what stands on the encoder: name in the file -> (variable, whether it is transposed there)."""
        head, merge = self.head, self.merge
        own = {"classifier.weight": (head.kernel, True), "classifier.bias": (head.bias, False)}
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

    def compile(self, optimizer="rmsprop", loss=None, weighted_metrics=None, **kwargs):
        """Configures `fit`: as `keras.Model.compile`, with the task's loss and accuracy where none are given."""
        loss = loss or _WeightedMeanLoss(self.task)
        weighted_metrics = self.task.keras_metrics() if weighted_metrics is None else weighted_metrics
        super().compile(optimizer=optimizer, loss=loss, weighted_metrics=weighted_metrics, **kwargs)


def encoder_vectors(encoder, pooling=None, max_seq_length=128, long_text=LongText()):
    """Returns what makes vectors of texts by a pre-trained encoder: VectorModel.

    Args:
        encoder: BertEncoder.
        pooling: str, as `Pooling` takes it; None: the mean.
        max_seq_length: int.
        long_text: LongText.

    Raises:
        InputError: a pooling or a merge of windows that has learned weights.
    """
    if long_text.strategy == "attention":
        raise InputError("--long_text=attention is learned in training; of a pre-trained BERT take mean or max.")
    encoder.check_length(max_seq_length)
    pool = _new_pooling(pooling or "mean", encoder)
    merge = WindowMerge(long_text.strategy, pool.width) if long_text.windows > 1 else None
    return VectorModel(encoder, encoder.tokenizer, pool, merge, max_seq_length, long_text)


def _new_pooling(pooling, encoder):
    if pooling == "scalar_mix":
        raise InputError("--pooling=scalar_mix is learned in training; this model was not trained with it.")
    return Pooling(pooling, encoder, dtype=encoder.dtype_policy)


class _WeightedMeanLoss(keras.losses.Loss):
    """The mean of the task's training losses over the examples that have a weight."""

    def __init__(self, task):
        super().__init__(name=task.name, reduction="mean_with_sample_weight")
        self._task = task

    def call(self, y_true, y_pred):
        return self._task.training_loss(y_true, y_pred)


def build_model(
    encoder,
    task,
    tokenizer=None,
    pooling="pooler",
    max_seq_length=128,
    text_columns=("text",),
    init_seed=0,
    train_labels=None,
    head_layers=(),
    head_activation="tanh",
    long_text=LongText(),
):
    """Returns a TextModel: the encoder with a new head for the task.

    Args:
        encoder: BertEncoder, from `load_encoder`.
        task: one of TASKS.
        tokenizer: BertTokenizer; None: the one that `load_encoder` read beside the weights.
        pooling: str, as `Pooling` takes it.
        max_seq_length: int. Pieces of a sequence, special ones included.
        text_columns: (text,) or (text, second text). Columns of the training data, kept for prediction.
        init_seed: int. Seed of the head's weights.
        train_labels: np.ndarray [N, ...]. The training data's (`ExampleDataset.examples.labels`), from which the task
            may take the head's first biases: multi-label does.
        head_layers: sequence of int. Widths of dense layers below the head's last.
        head_activation: str. What follows each of those: "tanh", or a key of ACTIVATIONS.
        long_text: LongText. What becomes of a text that is too long; the training data must be made with the same.

    Raises:
        InputError: an unknown pooling, or a length beyond the encoder's positions.
    """
    encoder.check_length(max_seq_length)
    tokenizer = tokenizer or encoder.tokenizer
    policy = encoder.dtype_policy
    pooling = Pooling(pooling, encoder, name="pooling", dtype=policy)
    merge = None
    if long_text.windows > 1:
        merge = WindowMerge(long_text.strategy, pooling.width, init_seed, name="window_merge", dtype=policy)
    head = Head(
        task.outputs,
        pooling.width,
        encoder.dropout_rate,
        init_seed,
        head_layers,
        head_activation,
        name="head",
        dtype=policy,
    )
    model = TextModel(encoder, task, tokenizer, pooling, merge, head, max_seq_length, text_columns, long_text)
    if train_labels is not None:
        model.head.bias.assign(task.initial_bias(train_labels))
    return model
