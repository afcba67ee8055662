"""Encoder and pre-training head as one Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf
from keras import ops

from tfbert.core.arguments import check_encoder, check_task
from tfbert.models.checkpoint_tensors import hugging_face_tensors
from tfbert.models.token_model import TokenModel
from tfbert.tasks.masked_lm.head import PretrainingHead

if TYPE_CHECKING:
    from tfbert.models.checkpoint_tensors import CheckpointReader, SafetensorsReader
    from tfbert.models.encoder import BertEncoder
    from tfbert.models.tokenizers.wordpiece import BertTokenizer
    from tfbert.tasks.masked_lm.task import MaskedLM


@keras.saving.register_keras_serializable("tfbert")
class PretrainingModel(TokenModel):
    """Predicts masked words and next sentences, and scores its predictions: features -> float32 [M, 5].

    Logits over the vocabulary at every masked position are too large to copy from a device. Instead the outputs of each
    example are the summed cross-entropy of its masked words, their number, how many are right, the cross-entropy of its
    next-sentence label, and whether that is right; `MaskedLM` computes loss and metrics from them.

    Features, besides those of TokenModel, whose `target_at` is [W, K]: `targets` int32 [W, K], the correct tokens;
    `target_used` float32 [W, K], 1, or 0 for padding; `next_sentence` int32 [W].

    Attributes are those of TokenModel: the task is MaskedLM, the head a PretrainingHead.
    """

    features = TokenModel.features | {
        "target_at": tf.TensorSpec([None, None], tf.int32, "target_at"),
        "targets": tf.TensorSpec([None, None], tf.int32, "targets"),
        "target_used": tf.TensorSpec([None, None], tf.float32, "target_used"),
        "next_sentence": tf.TensorSpec([None], tf.int32, "next_sentence"),
    }

    def __init__(self, encoder, task, tokenizer, head, max_seq_length, text_columns, **kwargs):
        super().__init__(encoder, task, tokenizer, head, max_seq_length, text_columns, head.next_sentence, **kwargs)

    @staticmethod
    def new_head(encoder, task, init_seed=0):
        """Returns a head with new weights: BertEncoder, MaskedLM, int -> PretrainingHead."""
        return PretrainingHead(encoder, task.next_sentence, init_seed, name="head", dtype=encoder.dtype_policy)

    def call(self, features, training=False, seed=None):
        """Computes the scores; `seed` (int32 [2]) determines dropout; None: the encoder's own generator."""
        logits, next_logits = self.logits(features, training, seed)
        ids, used = features["targets"], features["target_used"]
        losses = ops.sparse_categorical_crossentropy(ids, logits, from_logits=True)
        right = ops.cast(ops.equal(ops.argmax(logits, axis=-1), ids), "float32")
        columns = [ops.sum(losses * used, axis=1), ops.sum(used, axis=1), ops.sum(right * used, axis=1)]
        if next_logits is None:
            columns += [ops.zeros_like(columns[0])] * 2
        else:
            labels = features["next_sentence"]
            columns.append(ops.sparse_categorical_crossentropy(labels, next_logits, from_logits=True))
            columns.append(ops.cast(ops.equal(ops.argmax(next_logits, axis=-1), labels), "float32"))
        return ops.stack(columns, axis=1)

    def head_tensors(self):
        """Returns the head's weights by their names in a model folder: dict of np.ndarray."""
        # transformers ties the decoder to the embeddings by itself
        return hugging_face_tensors(self.head.named_variables(), self.encoder.family)

    def load_head(self, reader, folder):
        """Loads the head's weights from a folder written by `save_model`: SafetensorsReader, its name for messages."""
        self.head.load(reader, folder)

    def logits(self, features, training=False, seed=None):
        """Returns the logits at the masked positions, and of the next sentence.

        Returns:
            (float32 [M, most, vocabulary], float32 [M, 2] or None).
        """
        seed = self.encoder.dropout_seed(training, seed)
        masks, starts = features["target_at"], features["window_start"]
        vectors = self.last_layer(features, ops.concatenate([ops.reshape(masks, (-1,)), starts]), training, seed)
        count = ops.shape(masks)[0] * ops.shape(masks)[1]
        at_masks, at_starts = vectors[:count], vectors[count:]
        logits = ops.reshape(self.head(at_masks, encoder=self.encoder), (*ops.shape(masks), -1))
        if not self.head.next_sentence:
            return logits, None
        pooled = self.encoder.pool(at_starts, training=training, seed=seed)
        return logits, self.head.next_sentence_logits(pooled)


def build_pretraining_model(
    encoder: BertEncoder,
    task: MaskedLM,
    tokenizer: BertTokenizer | None = None,
    max_seq_length: int = 128,
    text_columns: Sequence[str] = ("text",),
    init_seed: int = 0,
    reader: SafetensorsReader | CheckpointReader | None = None,
    folder: str = "",
) -> PretrainingModel:
    """Returns a PretrainingModel: the encoder with its pre-training head, or a new one.

    Args:
        encoder: BertEncoder, from `load_encoder`.
        task: MaskedLM.
        tokenizer: BertTokenizer; None: the one that `load_encoder` read beside the weights.
        max_seq_length: int. Tokens of a sequence, special ones included.
        text_columns: (text,). The text column of the training data.
        init_seed: int. Seed of new weights.
        reader: reader of the checkpoint's tensors, which may include a head (`Preset.reader`); None: a new head.
        folder: str. The checkpoint's name, for messages.

    Raises:
        InputError: a length beyond the encoder's positions, or a head that is damaged.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> model = tfbert.build_pretraining_model(encoder, tfbert.TASKS["masked_lm"](), max_seq_length=64)
        >>> model.max_seq_length
        64
    """
    check_encoder(encoder)
    check_task(task)
    encoder.check_length(max_seq_length)
    encoder.check_segments(1 + task.next_sentence)
    head = PretrainingModel.new_head(encoder, task, init_seed)
    if reader:
        head.load(reader, folder)
    return PretrainingModel(encoder, task, tokenizer or encoder.tokenizer, head, max_seq_length, text_columns)
