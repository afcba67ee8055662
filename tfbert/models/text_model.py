"""Encoder, pooling and head as one Keras model, for one task."""

import functools

import keras

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

    def compile(self, optimizer="rmsprop", loss=None, weighted_metrics=None, **kwargs):
        """Configures `fit`: as `keras.Model.compile`, with the task's loss and accuracy where none are given."""
        loss = loss or _WeightedMeanLoss(self.task)
        weighted_metrics = self.task.keras_metrics() if weighted_metrics is None else weighted_metrics
        super().compile(optimizer=optimizer, loss=loss, weighted_metrics=weighted_metrics, **kwargs)


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
