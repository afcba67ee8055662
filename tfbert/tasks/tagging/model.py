"""Encoder and a dense layer on the first token of each word, as one Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from tfbert.core.arguments import check_encoder, check_task
from tfbert.data.batches import ExampleBatches
from tfbert.models.heads import Head
from tfbert.tasks.dense_model import DenseModel
from tfbert.tasks.tagging.examples import TaggedExamples

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder
    from tfbert.models.tokenizers.wordpiece import BertTokenizer
    from tfbert.tasks.tagging.task import Tagging


@keras.saving.register_keras_serializable("tfbert")
class TaggingModel(DenseModel):
    """Predicts the tag of each word: features -> float32 [T, labels], the logits at `target_at` int32 [T].

    Source: Devlin et al. 2018 (1810.04805), section 5.3; transformers' BertForTokenClassification.

    Attributes are those of DenseModel: the task is Tagging, the head a Head.
    """

    head_name = "classifier"
    features = DenseModel.features | {"target_at": tf.TensorSpec([None], tf.int32, "target_at")}

    @staticmethod
    def new_head(encoder, task, init_seed=0):
        """Returns a head with new weights: BertEncoder, Tagging, int -> Head."""
        about = task.outputs, encoder.hidden_dim, encoder.dropout_rate, init_seed
        return Head(*about, name="head", dtype=encoder.dtype_policy)

    def call(self, features, training=False, seed=None):
        """Computes the logits; `seed` (int32 [2]) determines dropout; None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        return self.head(self.last_layer(features, features["target_at"], training, seed), seed=seed)

    def batches_of(self, rows, batch_size, encode_label=None):
        """Returns rows in order as batches for this model: ExampleBatches; arguments as of BatchModel."""
        examples = TaggedExamples(rows, self.tokenizer, self.max_seq_length, encode_label)
        return ExampleBatches(examples, batch_size, self.max_seq_length, shuffle=False, seed=0)

    def beyond_transformers(self):
        """Returns sentences on how its predictions differ from those in transformers: list of str."""
        found = [f"Sentences longer than {self.max_seq_length} tokens are tagged in overlapping windows."]
        if self.task.tag_decoding == "viterbi":
            found.append(f"Tags are the most probable sequence that {self.task.scheme} allows, not each word's own.")
        return found


def build_tagging_model(
    encoder: BertEncoder,
    task: Tagging,
    tokenizer: BertTokenizer | None = None,
    max_seq_length: int = 128,
    text_columns: Sequence[str] = ("tokens",),
    init_seed: int = 0,
) -> TaggingModel:
    """Returns a TaggingModel: the encoder with a new head for the tags.

    Args:
        encoder: BertEncoder, from `load_encoder`.
        task: Tagging.
        tokenizer: BertTokenizer; None: the one that `load_encoder` read beside the weights.
        max_seq_length: int. Tokens of a window, special ones included.
        text_columns: (words,). The column of words in the training data.
        init_seed: int. Seed of the head's weights.

    Raises:
        InputError: a length beyond the encoder's positions.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> task = tfbert.TASKS["tagging"](labels=["O", "B-PER", "I-PER"])
        >>> model = tfbert.build_tagging_model(encoder, task, max_seq_length=64)
        >>> tfbert.predict(model, [["John", "lives"]])[0]["tokens"]
        ['John', 'lives']
    """
    check_encoder(encoder)
    check_task(task)
    encoder.check_length(max_seq_length)
    head = TaggingModel.new_head(encoder, task, init_seed)
    return TaggingModel(encoder, task, tokenizer or encoder.tokenizer, head, max_seq_length, text_columns)
