"""Tagging: one of N tags for each word of a sentence, such as named entities or parts of speech."""

import numpy as np

from tfbert.core.errors import InputError
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import objects
from tfbert.data.given_texts import given_sentences
from tfbert.data.inspection import Inspection, inspect_examples
from tfbert.data.windows import LongText
from tfbert.data.words import words_in
from tfbert.models.text_model import check_head
from tfbert.tasks.labelled.balance import class_weights_of
from tfbert.tasks.labelled.labels import plain_label
from tfbert.tasks.labelled.softmax_task import SoftmaxTask
from tfbert.tasks.rules import RULES
from tfbert.tasks.scores.metrics import softmax
from tfbert.tasks.tagging import report
from tfbert.tasks.tagging.examples import TaggedExamples
from tfbert.tasks.tagging.model import build_tagging_model
from tfbert.tasks.tagging.schemes import SchemeFinder, allowed, best_path, complete
from tfbert.tasks.tagging.scores import counts, entities, finite_scores, scores_of

# More tags than this, and more than one for three words, are hardly tags.
_MANY = 100


class Tagging(SoftmaxTask):
    """Predicts a tag for each word, by softmax and cross-entropy at its first token.

    Labels and outputs of N sentences are arrays of objects, [N]: np.int32 [words], and np.float32 [words, labels]. In a
    batch, those of all words follow each other: int32 [T], float32 [T, labels].

    Source: Devlin et al. 2018 (1810.04805), section 5.3; as in transformers, only the first token of a word counts.

    Attributes:
        labels: list of str or int. The tags, by number; O first.
        scheme: str or None. How tags mark entities, a key of PREFIXES; None: they do not, as parts of speech.
        tag_decoding: str. "argmax": each word's most probable tag; "viterbi": the most probable sequence of tags that
            the scheme allows.
        options: LossOptions. What `training_loss` adds to `loss`; keyword arguments of the constructor.
    """

    name = "tagging"
    default_metric = "f1"
    directions = dict.fromkeys(("f1", "precision", "recall", "f1_strict", "accuracy"), "higher")
    rules = RULES["tagging"]
    columns = ("text_column", "label_column")
    builder = "build_tagging_model"
    reads = "words"
    saved_keys = ("labels", "scheme", "tag_decoding")
    hugging_face = "ForTokenClassification"
    ranking_metrics = ()
    mistake_columns = ("entity", "answer", "probability")
    probed = False

    def __init__(self, labels, scheme="auto", tag_decoding="argmax", **options):
        """Takes the tags by number, their scheme ("auto": as the tags show it), the decoding, and LossOptions."""
        super().__init__(labels, **options)
        if self.outputs < 2:
            raise InputError(
                f"Tagging needs at least two tags. Received: {self.labels!r}; are they in the column that "
                "--label_column names?"
            )
        if scheme == "auto":
            finder = SchemeFinder()
            finder.add(self.labels)
            scheme = finder.scheme
        self.scheme, self.tag_decoding = scheme, tag_decoding
        self._number = {label: number for number, label in enumerate(self.labels)}

    @classmethod
    def from_examples(cls, examples, *, tag_decoding="argmax", **options):
        """Returns the task with the tags that occur in the examples, and those that complete their scheme.

        Args:
            examples: iterable of dict with `label`, a list of tags.
            tag_decoding: "argmax" or "viterbi".
            **options: those of LossOptions.

        Raises:
            InputError: the best path is asked for, but the tags mark no entities.
        """
        finder = SchemeFinder()
        for example in examples:
            finder.add([plain_label(tag, example["where"]) for tag in example["label"]])
        if tag_decoding == "viterbi" and finder.scheme is None:
            some = ", ".join(map(str, sorted(finder.tags, key=str)[:10]))
            raise InputError(
                "--tag_decoding=viterbi needs tags that mark entities, such as B-PER and I-PER, whose order it obeys; "
                f"the training data has {some}."
            )
        return cls(complete(finder.tags, finder.scheme), finder.scheme, tag_decoding, **options)

    @classmethod
    def from_json(cls, about):
        return cls(about["labels"], about["scheme"], about["tag_decoding"])

    def to_json(self):
        about = {"task": self.name, "labels": self.labels}
        return about | {"scheme": self.scheme, "tag_decoding": self.tag_decoding}

    def arguments(self):
        return super().arguments() | {"scheme": self.scheme, "tag_decoding": self.tag_decoding}

    @property
    def metric_names(self):
        return ("f1", "accuracy") if self.scheme is None else tuple(self.directions)

    def encode_label(self, label, where):
        """Returns the numbers of the tags of a sentence: list -> np.int32 [words]."""
        known = self._number
        return np.array([known[tag] if tag in known else self._set.index(tag, where) for tag in label], np.int32)

    def decode_label(self, numbers):
        """Returns the tags of a sentence: int [words] -> list."""
        return [self.labels[number] for number in numbers]

    def row_label(self, row):
        """Returns which tags a row has, as `strata` takes it: dict -> uint8 [labels]."""
        has = np.zeros(self.outputs, np.uint8)
        has[self.encode_label(row["label"], row["where"])] = 1
        return has

    def strata(self, labels, folds):
        """Returns the rarest tag of each sentence: uint8 [N, labels] -> int [N]."""
        rarest_first = np.argsort(labels.sum(axis=0), kind="stable")
        return rarest_first[labels[:, rarest_first].argmax(axis=1)]

    def tokenized(self, rows, tokenizer, max_seq_length, long_text=LongText(), train=False):
        return TaggedExamples(rows(), tokenizer, max_seq_length, self.encode_label)

    def batches(self, tokenized, tokenizer, batch_size, max_seq_length, train=False, seed=0, renew=None):
        return ExampleBatches(tokenized, batch_size, max_seq_length, train, seed)

    def inspection(self, examples, tokenizer):
        found = inspect_examples(examples, tokenizer)  # of windows
        prints = examples.by_row(found.fingerprints)
        empty = int(np.count_nonzero(examples.lengths == 2))
        tags = objects([tuple(numbers.tolist()) for numbers in examples.labels])  # which can be compared
        return Inspection(prints, examples.lengths, 0.0, found.unknown_share, empty, tags)

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None
    ):
        return build_tagging_model(encoder, self, tokenizer, max_seq_length, text_columns, init_seed)

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        check_head(reader, [], self.outputs, folder)
        model = self.model(encoder, None, None, about["max_seq_length"], about["text_columns"])
        model.load_head(reader, folder)
        return model

    def for_training(
        self, batches, *, class_weights=(), loss="cross_entropy", focal_gamma=2.0, logit_adjustment=0.0,
        label_smoothing=0.0,
    ):  # fmt: skip
        """Returns (task, batches): the task with the training loss, and the same batches.

        Weights and priors are those of words; a tag without any counts as one word.

        Raises:
            InputError: a tag that is named is unknown.
        """
        labels = batches.examples.labels
        held, words = np.maximum(self.label_counts(labels), 1), self.labelled_count(labels)
        options = {
            "label_smoothing": label_smoothing,
            "class_weights": class_weights_of(self, class_weights, held, words),
            "focal_gamma": focal_gamma if loss == "focal" else None,
            "logit_offsets": logit_adjustment * self.log_prior(held, words) if logit_adjustment else None,
        }
        return type(self)(self.labels, self.scheme, self.tag_decoding, **options), batches

    def label_counts(self, labels, rates=None):
        """Returns the number of words with each tag: float64 [labels]."""
        return np.bincount(_flat(labels), minlength=self.outputs).astype(np.float64)

    def labelled_count(self, labels):
        return sum(map(len, labels))

    def constant_outputs(self, examples):
        """Returns the best constant outputs, the log-frequencies of the tags: [labels]."""
        labels = examples.labels
        return np.log(self.label_counts(labels) / max(self.labelled_count(labels), 1) + 1e-9).astype(np.float32)

    def constant_answers(self, examples):
        constant = self.constant_outputs(examples)
        return objects([np.tile(constant, (len(numbers), 1)) for numbers in examples.labels])

    def mean_loss(self, labels, outputs):
        """Returns the mean cross-entropy of the words that the model has answered."""
        logits = np.concatenate([np.zeros((0, self.outputs), np.float32), *outputs])
        asked = np.isfinite(logits).all(axis=1)
        return super().mean_loss(_flat(labels)[asked], logits[asked])

    def guesses(self, outputs):
        """Returns the predicted tags: object [N] of float [words, labels] -> list of int [words]."""
        if self.tag_decoding == "argmax":
            return [logits.argmax(axis=1) for logits in outputs]
        rules = allowed(self.labels, self.scheme)
        with np.errstate(divide="ignore"):
            return [best_path(np.log(softmax(logits)), *rules) if len(logits) else [] for logits in outputs]

    def answered(self, outputs):
        return _flat(self.guesses(outputs))[:, np.newaxis]

    def metrics(self, labels, outputs):
        return finite_scores(self._counts(labels, outputs).sum(axis=0), self.scheme)

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings of the sentences: dict of float64 [B]."""
        return scores_of(weights @ self._counts(labels, outputs), self.scheme)

    def _counts(self, labels, outputs):
        return counts(*self.both(labels, outputs), self.scheme)

    def both(self, labels, outputs):
        """Returns the tags that sentences have, and those that are predicted: (list of lists, list of lists)."""
        return [[self.decode_label(numbers) for numbers in side] for side in (labels, self.guesses(outputs))]

    def given_rows(self, texts, columns):
        """Returns rows of sentences given as lists of words or as texts: list of dict."""
        return given_sentences(texts, columns)

    def predictions(self, outputs, rows=None):
        """Returns the prediction of each sentence for output.

        Args:
            outputs: object [N] of np.float32 [words, labels].
            rows: list of dict with `words`, or with `text`, which is split.

        Returns:
            list of dict: `tokens` and `tags`, a list each; and, where tags mark entities, `entities`, list of dict:
            `type`, `text`, `first` and `last` (numbers of words, from 0), `probability` (the mean of its tags'), and
            for a text `start` and `end`, in characters.
        """
        found = []
        for row, logits, guess in zip(rows, outputs, self.guesses(outputs)):
            (words, spans), tags = words_in(row), self.decode_label(guess)
            found.append({"tokens": words, "tags": tags})
            if self.scheme is not None:
                chosen = softmax(logits)[np.arange(len(tags)), guess] if tags else []
                found[-1]["entities"] = [_entity(each, row, words, spans, chosen) for each in entities(tags)]
        return found

    def quality(self, labels, outputs):
        """Returns None: tags are reported by entity (`answer_tables`)."""

    def answer_tables(self, labels, outputs):
        return report.answer_tables(self, labels, outputs)

    def mistakes(self, labels, outputs, most):
        return report.mistakes(self, labels, outputs, most)

    def shown_mistake(self, row, mistake):
        return report.shown_mistake(row, mistake)

    def remarks(self, labels, outputs, scores, given=frozenset()):
        return report.remarks(self, labels, outputs)

    def suspicious(self, labels):
        words = self.labelled_count(labels)
        if self.outputs <= max(_MANY, words / 3):
            return []
        return [f"{self.outputs:,} tags in {words:,} words: does --label_column hold tags?"]

    def advice(self, labels, given=frozenset(), scored=True):
        return []

    def announcement(self, batches):
        kinds = len(self.labels) if self.scheme is None else len({str(tag)[1:] for tag in self.labels if tag != "O"})
        about = f"{kinds:,} tags, which mark no entities" if self.scheme is None else f"{self.scheme}, {kinds} types"
        return [*super().announcement(batches), ("tags", f"{about} (detected)")]

    def card(self):
        return [*super().card(), f"Tags: {self.scheme or 'no entities'}, decoded by {self.tag_decoding}."]

    def usage(self, pairs):
        return 'tfbert.predict(model, [["John", "lives", "in", "Berlin"]])'


def _flat(numbers):
    return np.concatenate([np.zeros(0, np.int32), *numbers]).astype(np.int32)


def _entity(entity, row, words, spans, chosen):
    kind, first, last = entity
    about = {"type": kind, "text": " ".join(words[first : last + 1]), "first": int(first), "last": int(last)}
    if spans:
        start, end = spans[first][0], spans[last][1]
        about |= {"text": row["text"][start:end], "start": start, "end": end}
    return about | {"probability": round(float(np.mean(chosen[first : last + 1])), 6)}
