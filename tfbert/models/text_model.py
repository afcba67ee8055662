"""Encoder, pooling and head as one Keras model, for one task."""

import keras

from tfbert.data.windows import LongText
from tfbert.errors import InputError
from tfbert.models.heads import Head
from tfbert.models.pooling import Pooling


class TextModel(keras.Model):
    """Predicts a task's outputs from a batch: features -> float32 [M, outputs] (logits, or the values of a regression).

    Attributes:
        encoder: BertEncoder.
        task: one of TASKS.
        tokenizer: BertTokenizer.
        pool: Pooling.
        head: Head.
        max_seq_length: int. The longest sequence the model was made for.
        long_text: LongText. What is kept of a text that is longer.
        text_columns: tuple of str. Where its training data had the text, and the second text of a pair.
    """

    def __init__(self, encoder, task, tokenizer, pooling, head, max_seq_length, text_columns, long_text, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.task, self.tokenizer = encoder, task, tokenizer
        self.max_seq_length, self.text_columns, self.long_text = max_seq_length, tuple(text_columns), long_text
        self.pool, self.head = pooling, head
        # What nothing passes through has no gradient.
        encoder.backbone.pooled_dense.trainable = pooling.pooling == "pooler"
        for layer in encoder.backbone.transformer_layers[pooling.depth :]:
            layer.trainable = False
        self.built = True

    @property
    def pooling(self):
        """The pooling's name, str."""
        return self.pool.pooling

    def call(self, features, training=False, seed=None):
        """Computes the outputs; `seed` (int32 [2]) decides what is dropped out, None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        return self.head(self.pool(features, encoder=self.encoder, training=training, seed=seed), seed=seed)

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
        long_text: LongText. What `predict` keeps of a text that is too long.

    Raises:
        InputError: an unknown pooling, or a length beyond the encoder's positions.
    """
    positions = encoder.backbone.max_sequence_length
    if max_seq_length > positions:
        raise InputError(
            f"max_seq_length must be at most {positions}, the positions this encoder has. Received: {max_seq_length}."
        )
    tokenizer = tokenizer or encoder.tokenizer
    policy = encoder.dtype_policy
    pooling = Pooling(pooling, encoder, name="pooling", dtype=policy)
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
    model = TextModel(encoder, task, tokenizer, pooling, head, max_seq_length, text_columns, long_text)
    if train_labels is not None:
        model.head.bias.assign(task.initial_bias(train_labels))
    return model
