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

    Logits over a vocabulary at every masked place are too much to bring back from a device: what comes back of each
    example is the sum of its masked words' cross-entropy, their number, how many of them are right, the cross-entropy
    of its next-sentence label, and whether that is right (`MaskedLM` makes loss and metrics of them).

    Attributes are those of TokenModel: the task is MaskedLM, the head a PretrainingHead.
    """

    features = TokenModel.features | {"next_sentence": tf.TensorSpec([None], tf.int32, "next_sentence")}

    def __init__(self, encoder, task, tokenizer, head, max_seq_length, text_columns, **kwargs):
        super().__init__(encoder, task, tokenizer, head, max_seq_length, text_columns, head.next_sentence, **kwargs)

    @staticmethod
    def new_head(encoder, task, init_seed=0):
        """Returns a head with new weights: BertEncoder, MaskedLM, int -> PretrainingHead."""
        return PretrainingHead(encoder, task.next_sentence, init_seed, name="head", dtype=encoder.dtype_policy)

    def call(self, features, training=False, seed=None):
        """Computes the scores; `seed` (int32 [2]) decides what is dropped out, None: the encoder's own generator."""
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
        """Takes the head's weights from a folder that `save_model` wrote: SafetensorsReader, its name for messages."""
        self.head.load(reader, folder)

    def logits(self, features, training=False, seed=None):
        """Returns the logits at the masked places alone, and of the next sentence.

        Returns:
            (float32 [M, most, vocabulary], float32 [M, 2] or None).
        """
        seed = self.encoder.dropout_seed(training, seed)
        at_masks, at_starts = self.vectors_at_targets(features, training, seed)
        logits = ops.reshape(self.head(at_masks, encoder=self.encoder), (*ops.shape(features["target_at"]), -1))
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
        max_seq_length: int. Pieces of a sequence, special ones included.
        text_columns: (text,). Column of the training data.
        init_seed: int. Seed of new weights.
        reader: what reads the tensors of the checkpoint that may have a head (`Preset.reader`); None: a new head.
        folder: str. The checkpoint's name, for messages.

    Raises:
        InputError: a length beyond the encoder's positions, or a head that is damaged.
    """
    check_encoder(encoder)
    check_task(task)
    encoder.check_length(max_seq_length)
    encoder.check_segments(1 + task.next_sentence)
    head = PretrainingModel.new_head(encoder, task, init_seed)
    if reader:
        head.load(reader, folder)
    return PretrainingModel(encoder, task, tokenizer or encoder.tokenizer, head, max_seq_length, text_columns)
