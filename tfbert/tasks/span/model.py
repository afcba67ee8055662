"""Encoder and a dense layer on every token of a window, as one Keras model: first and last token of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf
from keras import ops

from tfbert.core.arguments import check_encoder, check_task
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import paired
from tfbert.models.heads import Head
from tfbert.tasks.dense_model import DenseModel
from tfbert.tasks.span.examples import QuestionExamples

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder
    from tfbert.models.tokenizers.wordpiece import BertTokenizer
    from tfbert.tasks.span.task import Span

# The logit of what is no token of a window.
_NOTHING = -1e9


@keras.saving.register_keras_serializable("tfbert")
class SpanModel(DenseModel):
    """Predicts first and last token of an answer: features -> float32 [M, 2 * max_seq_length], logits by window.

    Features, besides those of the encoder: `window_lengths` int32 [M], the tokens of each window.

    Source: Devlin et al. 2018 (1810.04805), section 4.2; transformers' BertForQuestionAnswering.

    Attributes are those of DenseModel: the task is Span, the head a Head of two outputs, without dropout.
    """

    head_name = "qa_outputs"
    features = DenseModel.features | {"window_lengths": tf.TensorSpec([None], tf.int32, "window_lengths")}

    def __init__(self, encoder, task, tokenizer, head, max_seq_length, text_columns, **kwargs):
        super().__init__(encoder, task, tokenizer, head, max_seq_length, text_columns, **kwargs)
        self.width = 2 * max_seq_length

    @staticmethod
    def new_head(encoder, task, init_seed=0):
        """Returns a head with new weights: BertEncoder, Span, int -> Head."""
        return Head(2, encoder.hidden_dim, 0.0, init_seed, name="head", dtype=encoder.dtype_policy)

    def call(self, features, training=False, seed=None):
        """Computes the logits; `seed` (int32 [2]) determines dropout; None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        *_, last = self.encoder(features, training=training, seed=seed)
        logits = self.head(ops.reshape(last, (-1, self.encoder.hidden_dim)))
        place = ops.arange(self.max_seq_length)
        inside = place < features["window_lengths"][:, None]
        at = ops.where(inside, features["window_start"][:, None] + place, 0)
        found = ops.where(inside[..., None], ops.take(logits, at, axis=0), _NOTHING)
        return ops.reshape(ops.transpose(found, (0, 2, 1)), (-1, 2 * self.max_seq_length))

    def batches_of(self, rows, batch_size, encode_label=None):
        """Returns questions in order as batches for this model: ExampleBatches; arguments as of BatchModel."""
        about = self.tokenizer, self.max_seq_length, self.task.doc_stride, self.task.max_query_length
        examples = QuestionExamples(paired(rows, self.text_columns), *about, labelled=False)
        return ExampleBatches(examples, batch_size, self.max_seq_length, shuffle=False, seed=0)

    def beyond_transformers(self):
        """Returns sentences on how its predictions differ from those in transformers: list of str."""
        threshold = self.task.null_threshold
        found = [f"Contexts go through windows that start every {self.task.doc_stride} tokens."]
        if self.task.unanswerable:
            found.append(f'"" is answered where its score is more than {threshold:.6g} above that of the best answer.')
        return found


def build_span_model(
    encoder: BertEncoder,
    task: Span,
    tokenizer: BertTokenizer | None = None,
    max_seq_length: int = 384,
    text_columns: Sequence[str] = ("question", "context"),
    init_seed: int = 0,
) -> SpanModel:
    """Returns a SpanModel: the encoder with a new head for first and last token of answers.

    Args:
        encoder: BertEncoder, from `load_encoder`.
        task: Span.
        tokenizer: BertTokenizer; None: the one that `load_encoder` read beside the weights.
        max_seq_length: int. Tokens of a window, special ones included.
        text_columns: (question, context). Columns of the training data.
        init_seed: int. Seed of the head's weights.

    Raises:
        InputError: a length beyond the encoder's positions.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> model = tfbert.build_span_model(encoder, tfbert.TASKS["span"]())
        >>> answer = tfbert.predict(model, [("Who lives in Berlin?", "John lives in Berlin.")])[0]["answer"]
        >>> answer in "John lives in Berlin."
        True
    """
    check_encoder(encoder)
    check_task(task)
    encoder.check_length(max_seq_length)
    encoder.check_segments(2)
    head = SpanModel.new_head(encoder, task, init_seed)
    return SpanModel(encoder, task, tokenizer or encoder.tokenizer, head, max_seq_length, text_columns)
