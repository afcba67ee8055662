"""Encoder and pre-training head as one Keras model."""

import keras
import tensorflow as tf
from keras import ops

from tfbert.models.encoder import BertEncoder
from tfbert.models.keras_model import BatchModel, freeze_layers, frozen_layers
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.tasks.configuration import task_config, task_from_config
from tfbert.tasks.masked_lm.head import PretrainingHead


@keras.saving.register_keras_serializable("tfbert")
class PretrainingModel(BatchModel):
    """Predicts masked words and next sentences, and scores its predictions: features -> float32 [M, 5].

    Logits over a vocabulary at every masked place are too much to bring back from a device: what comes back of each
    example is the sum of its masked words' cross-entropy, their number, how many of them are right, the cross-entropy
    of its next-sentence label, and whether that is right (`tfbert.tasks.masked_lm.task` makes loss and metrics of
    them).

    Attributes:
        encoder: BertEncoder.
        task: MaskedLM.
        tokenizer: BertTokenizer.
        head: PretrainingHead.
        max_seq_length: int. The longest sequence the model was made for.
        text_columns: tuple of str. Where its training data had the text.
        width: int. Numbers that come back of an example.
        windows_per_step: None: all windows at once.
    """

    windows_per_step = None
    features = BatchModel.features | {
        "masked_at": tf.TensorSpec([None, None], tf.int32, "masked_at"),
        "masked_ids": tf.TensorSpec([None, None], tf.int32, "masked_ids"),
        "masked_used": tf.TensorSpec([None, None], tf.float32, "masked_used"),
        "next_sentence": tf.TensorSpec([None], tf.int32, "next_sentence"),
    }

    def __init__(self, encoder, task, tokenizer, head, max_seq_length, text_columns, **kwargs):
        super().__init__(dtype="float32", **kwargs)  # Keras' global policy is not asked: its parts have their own
        self.encoder, self.task, self.tokenizer, self.head = encoder, task, tokenizer, head
        self.width = task.outputs
        self.max_seq_length, self.text_columns = max_seq_length, tuple(text_columns)
        encoder.train_only(encoder.num_layers, pooler=head.next_sentence)
        self.built = True

    def call(self, features, training=False, seed=None):
        """Computes the scores; `seed` (int32 [2]) decides what is dropped out, None: the encoder's own generator."""
        logits, next_logits = self.logits(features, training, seed)
        ids, used = features["masked_ids"], features["masked_used"]
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

    def get_config(self):
        """Returns all that `from_config` needs, the vocabulary too: dict, as JSON has it."""
        own_tokenizer = self.tokenizer is not self.encoder.tokenizer
        return {
            "name": self.name,
            "encoder": self.encoder.get_config(),
            "task": task_config(self.task),
            "tokenizer": self.tokenizer.get_config() if own_tokenizer else None,
            "max_seq_length": self.max_seq_length,
            "text_columns": list(self.text_columns),
            "frozen": frozen_layers(self),
        }

    @classmethod
    def from_config(cls, config):
        """Returns a model of what `get_config` returned, with new weights."""
        config = dict(config)
        encoder, task = BertEncoder.from_config(config.pop("encoder")), task_from_config(config.pop("task"))
        tokenizer, frozen = config.pop("tokenizer"), config.pop("frozen")
        tokenizer = BertTokenizer.from_config(tokenizer) if tokenizer else encoder.tokenizer
        model = cls(encoder, task, tokenizer, _new_head(encoder, task), **config)
        freeze_layers(model, frozen)
        return model

    def calibrated(self, outputs):
        """Returns the outputs as they are: np.float32 [N, 5] -> the same."""
        return outputs

    def logits(self, features, training=False, seed=None):
        """Returns the logits at the masked places alone, and of the next sentence.

        Returns:
            (float32 [M, most, vocabulary], float32 [M, 2] or None).
        """
        seed = self.encoder.dropout_seed(training, seed)
        places, starts = features["masked_at"], features["window_start"]
        slots, most = ops.shape(places)
        at = ops.concatenate([ops.reshape(places, (-1,)), starts])
        *_, last = self.encoder(features, training=training, seed=seed, last_layer_at=at)
        logits = ops.reshape(self.head(last[: slots * most], encoder=self.encoder), (slots, most, -1))
        if not self.head.next_sentence:
            return logits, None
        pooled = self.encoder.pool(last[slots * most :], training=training, seed=seed)
        return logits, self.head.next_sentence_logits(pooled)


def build_pretraining_model(
    encoder, task, tokenizer=None, max_seq_length=128, text_columns=("text",), init_seed=0, reader=None, folder=""
):
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
    encoder.check_length(max_seq_length)
    encoder.check_segments(1 + task.next_sentence)
    head = _new_head(encoder, task, init_seed)
    if reader:
        head.load(reader, folder)
    return PretrainingModel(encoder, task, tokenizer or encoder.tokenizer, head, max_seq_length, text_columns)


def _new_head(encoder, task, init_seed=0):
    return PretrainingHead(encoder, task.next_sentence, init_seed, name="head", dtype=encoder.dtype_policy)
