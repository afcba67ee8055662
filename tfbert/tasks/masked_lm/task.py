"""Continued pre-training: masked words and next sentences."""

import functools

import numpy as np
from keras import ops

from tfbert.data.windows import LongText
from tfbert.tasks.masked_lm.corpus import corpus_batches, held_out_texts, sentences_of
from tfbert.tasks.masked_lm.fill_mask import sample_predictions
from tfbert.tasks.masked_lm.masking import Masking
from tfbert.tasks.masked_lm.model import build_pretraining_model
from tfbert.tasks.rules import RULES
from tfbert.tasks.scores.metrics import defined
from tfbert.tasks.task import Task

# The columns of a PretrainingModel's outputs.
MASKED_LOSS, MASKED, MASKED_RIGHT, NEXT_LOSS, NEXT_RIGHT = range(5)


class MaskedLM(Task):
    """Predicts masked words and next sentences; the loss is the sum of the two mean cross-entropies.

    Its outputs are not logits but scores, float [M, 5], which the model computes on the device
    (`tfbert.tasks.masked_lm.model`).

    Attributes:
        labels: empty list, as there are no classes.
        outputs: 5.
        next_sentence: bool. Whether there are second segments.
    """

    name = "masked_lm"
    default_metric = "perplexity"
    directions = {"perplexity": "lower", "masked_accuracy": "higher", "next_sentence_accuracy": "higher"}
    rules = RULES["masked_lm"]
    columns = ("text_column",)
    saved_keys = ("next_sentence",)
    builder = "build_pretraining_model"
    of_documents = True
    verb = "Pre-trained further"
    not_predicted = "This model predicts masked words, not labels; use tfbert.fill_mask in Python."
    shows = True

    def __init__(self, labels=(), next_sentence=True):
        self.labels, self.outputs, self.next_sentence = list(labels), 5, next_sentence

    @classmethod
    def from_examples(cls, examples, *, next_sentence=True):
        """Returns the task, without reading the examples."""
        return cls(next_sentence=next_sentence)

    @classmethod
    def from_json(cls, about):
        """Returns the task of a saved model."""
        return cls(next_sentence=about["next_sentence"])

    def to_json(self):
        """Returns what `from_json` needs: dict."""
        return super().to_json() | {"next_sentence": self.next_sentence}

    @property
    def hugging_face(self):
        """The suffix of the class name in transformers, str."""
        return "ForPreTraining" if self.next_sentence else "ForMaskedLM"

    def arguments(self):
        """Returns the constructor's arguments: dict."""
        return {"labels": self.labels, "next_sentence": self.next_sentence}

    @property
    def metric_names(self):
        """The names of the metrics, tuple of str."""
        return tuple(name for name in self.directions if self.next_sentence or name != "next_sentence_accuracy")

    def tokenized(
        self,
        rows,
        tokenizer,
        max_seq_length,
        long_text=LongText(),
        train=False,
        *,
        held_out=(),
        held_out_columns=(),
        leaks="refuse",
        text_column=None,
        quoting="auto",
        delimiter=None,
        encoding=None,
        cache_dir=None,
    ):
        """Returns the sentences of raw text: Sentences; held-out texts are removed or refused."""
        columns = held_out_columns or (text_column or "text",)
        file_format = {"quoting": quoting, "delimiter": delimiter, "encoding": encoding}
        texts = held_out_texts(held_out, columns, **file_format) if train else []
        return sentences_of(rows, tokenizer, texts, leaks, cache_dir)

    def batches(
        self,
        tokenized,
        tokenizer,
        batch_size,
        max_seq_length,
        train=False,
        seed=0,
        renew=None,
        *,
        masked_lm_prob=0.15,
        max_predictions_per_seq=20,
        whole_word_masking=False,
        max_ngram=1,
        dynamic_masking=True,
        short_seq_prob=0.1,
        short_seq_length=None,
        short_seq_share=0.9,
        max_steps=None,
    ):
        """Returns sentences as masked batches: ExampleBatches; outside training, they are the same with every seed."""
        masking = Masking(masked_lm_prob, max_predictions_per_seq, whole_word_masking, max_ngram, dynamic_masking)
        made = functools.partial(
            corpus_batches, tokenized, tokenizer, self.next_sentence, masking, short_seq_prob, batch_size, train,
            seed if train else 0,
        )  # fmt: skip
        if not train or not short_seq_length:
            return made(max_seq_length)
        return made(max_seq_length, before=(made(short_seq_length), round(short_seq_share * max_steps)))

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None
    ):
        """Returns the model to train: PretrainingModel, with the head that the encoder came with."""
        reader = preset.reader and preset.reader()
        return build_pretraining_model(
            encoder, self, tokenizer, max_seq_length, text_columns, init_seed, reader, preset.name
        )

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        """Returns a saved model: PretrainingModel."""
        about = about["max_seq_length"], about["text_columns"]
        return build_pretraining_model(encoder, self, None, *about, reader=reader, folder=folder)

    def constant_outputs(self, examples):
        """Returns the scores of the best constant answer, the word frequencies: [5].

        Args:
            examples: SegmentExamples.
        """
        share = _shares(examples.piece_counts())
        follows = _shares(np.bincount(examples.labels))
        next_scores = (_entropy(follows), follows.max()) if self.next_sentence else (0.0, 0.0)
        return np.array([_entropy(share), 1.0, share.max(), *next_scores], np.float32)

    def loss(self, labels, outputs):
        """Returns losses whose mean is that over masked words plus that over pairs: [M, 5] -> float [M]."""
        per_word = ops.cast(ops.shape(outputs)[0], outputs.dtype) / ops.sum(outputs[:, MASKED])
        return outputs[:, MASKED_LOSS] * per_word + outputs[:, NEXT_LOSS]

    def training_loss(self, labels, outputs):
        """Returns the training loss: float [M], [M, 5] -> float [M].

        Args:
            labels: float [M]. Weight of a masked word (`WordMasker.prediction_weight`).
            outputs: float [M, 5].
        """
        return outputs[:, MASKED_LOSS] * labels + outputs[:, NEXT_LOSS]

    def metrics(self, labels, outputs):
        """Returns the finite scores of a whole dataset: float [N, 5] -> dict."""
        totals = np.asarray(outputs, np.float64).sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return defined(self.metrics_of_totals(totals, len(outputs)))

    def metrics_of_totals(self, totals, rows):
        """Returns the scores from summed outputs and the number of rows: [..., 5], int -> dict."""
        found = {
            "perplexity": np.exp(totals[..., MASKED_LOSS] / totals[..., MASKED]),
            "masked_accuracy": totals[..., MASKED_RIGHT] / totals[..., MASKED],
        }
        return found | ({"next_sentence_accuracy": totals[..., NEXT_RIGHT] / rows} if self.next_sentence else {})

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings: float [N, 5], float [B, N] -> dict of float64 [B]."""
        return self.metrics_of_totals(weights @ np.asarray(outputs, np.float64), len(outputs))

    def shown(self, model, examples):
        """Returns the model's predictions for some masked words: {"samples": list of dict}."""
        return {"samples": sample_predictions(model, examples)}

    def tables(self, results):
        """Returns these samples as a table: list of (title, head, rows)."""
        rows = []
        for sample in results.get("samples", ()):
            guesses = ", ".join(f"{guess['piece']} {guess['probability']:.0%}" for guess in sample["guesses"])
            rows.append([sample["text"], sample["word"], guesses])
        return [("Words behind masks", ["text", "hidden", "predicted"], rows)] if rows else []

    def usage(self, pairs):
        """Returns a line of Python that uses a trained `model`: str."""
        return 'tfbert.fill_mask(model, ["... [MASK] ..."])'


def _shares(counts):
    return counts / counts.sum()


def _entropy(shares):
    shares = shares[shares > 0]
    return -(shares * np.log(shares)).sum()
