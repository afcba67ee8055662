"""What is predicted: the interface of every task."""

import dataclasses
import json

import keras
import numpy as np
from keras import ops

from tfbert.data.windows import LongText
from tfbert.tasks import TASKS
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.rules import Rules
from tfbert.tasks.scores.resampled import repeated_scores


@keras.saving.register_keras_serializable("tfbert")
class Task:
    """Owns all that depends on what is predicted; each task is a class of its own in TASKS.

    Of some methods the keyword-only arguments are named like settings: the modes pass the values of these settings, and
    from Python the defaults hold. What such a method does not name, it does not get.

    Examples, labels, outputs: N examples have `labels` [N, ...], of which a batch has M; a model's outputs are float32
    [M, outputs].

    Attributes of the class:
        name: str. As TASKS has it.
        default_metric: str. The score by which the best model is chosen.
        directions: dict of score -> "higher" or "lower", which is better.
        rules: Rules. Which settings mean nothing to it.
        columns: tuple of str. The settings that name the columns it reads.
        saved_keys: tuple of str. What of tfbert.json is its own, or its model's.
        hugging_face: str. What the name of transformers' class ends with.
        verb: str. What the model card says was done.
        one_class: bool. Whether a label is the number of one of several classes.
        not_predicted: str or None. Why the texts of a file cannot be predicted; None: they can.
        shows: bool. Whether `shown` asks the model.
        ranking_metrics: tuple of str. Scores of how outputs rank the examples, whatever the threshold; 1 is perfect.
        mistake_columns: tuple of str. What `mistakes` says of a row: the label, the answer, and how wrong it is.

    Attributes:
        labels: list of str or int. The classes, by number; empty where there are none.
        outputs: int. Width of a model's outputs.
        decision: Decision. What is done to outputs before they are read.
    """

    name = None
    default_metric = "loss"
    directions = {}
    rules = Rules()
    columns = ("text_column", "text_pair_column", "label_column")
    saved_keys = ()
    hugging_face = "ForSequenceClassification"
    verb = "Fine-tuned"
    one_class = False
    not_predicted = None
    shows = False
    ranking_metrics = ()
    mistake_columns = ("label", "answer", "")

    labels = ()
    outputs = 1
    decision = Decision()

    @classmethod
    def from_examples(cls, examples):
        """Returns the task of some training rows, of which it learns what it needs, such as the labels.

        Args:
            examples: iterable of dict, as `read_examples` yields them; read only where needed.
        """
        return cls()

    @classmethod
    def from_json(cls, about):
        """Returns the task of a saved model: dict, the content of tfbert.json -> Task."""
        return cls()

    def to_json(self):
        """Returns what `from_json` needs: dict of plain values, `task` and `labels` first."""
        return {"task": self.name, "labels": self.labels}

    def arguments(self):
        """Returns those of the constructor that make another such task: dict."""
        return {}

    def get_config(self):
        """Returns what it is made of, how it trains and how it decides: dict, as JSON has it."""
        config = {"task": self.name, "arguments": self.arguments(), "decision": dataclasses.asdict(self.decision)}
        return json.loads(json.dumps(config, default=lambda numbers: np.asarray(numbers).tolist()))

    @classmethod
    def from_config(cls, config):
        """Returns the task, of the class in TASKS, of what `get_config` returned."""
        task = TASKS[config["task"]](**config["arguments"])
        task.decision = Decision(**config["decision"])
        return task

    def hugging_face_config(self):
        """Returns what Hugging Face's config.json says of the answers: dict."""
        return {}

    def graph_key(self):
        """Returns what decides how the training loss is computed, beside settings: dict of plain values."""
        return {"labels": list(self.labels)}

    @property
    def metric_names(self):
        """The names of the scores, tuple of str."""
        return tuple(self.directions)

    @classmethod
    def lower_is_better(cls, metric):
        """Says whether less of a score, or of "loss", is better."""
        return metric == "loss" or cls.directions.get(metric) == "lower"

    @classmethod
    def is_better(cls, metric, score, best):
        """Says whether a score beats the best so far; None, or what is not finite: undefined, or there is none."""
        score, best = (value if value is not None and np.isfinite(value) else None for value in (score, best))
        if score is None or best is None:
            return best is None
        return score < best if cls.lower_is_better(metric) else score > best

    def metrics(self, labels, outputs):
        """Returns the scores of a whole data set, those that it defines: [N, ...], [N, outputs] -> dict of float."""
        raise NotImplementedError

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings of the examples: dict of name -> float64 [B].

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            weights: float [B, N]. Whole numbers: how often each example counts.
        """
        return repeated_scores(self, labels, outputs, weights)

    def tokenized(self, rows, tokenizer, max_seq_length, long_text=LongText(), train=False):
        """Returns the rows as token ids, in a form that `batches` takes any number of times.

        Args:
            rows: callable () -> iterable of dict, as `read_examples` yields them.
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window.
            long_text: LongText. What is kept of a text that is too long.
            train: bool. Whether they are for training.
        """
        raise NotImplementedError

    def batches(self, tokenized, tokenizer, batch_size, max_seq_length, train=False, seed=0, renew=None):
        """Returns what `tokenized` made as batches: ExampleBatches.

        Args:
            tokenized: what `tokenized` returned.
            tokenizer: BertTokenizer.
            batch_size: int.
            max_seq_length: int. The longest window.
            train: bool. Whether they are for training: then in a new order each epoch.
            seed: int. Decides the order, and what is random in training examples.
            renew: callable (epoch) -> what `tokenized` makes of a later epoch's rows; None: epochs have the same rows.
        """
        raise NotImplementedError

    def inspection(self, examples, tokenizer):
        """Returns what the examples are like: Inspection, None where nothing is looked for."""
        return None

    def strata(self, labels, folds):
        """Returns what folds are to be alike in, a class of each row: int [N].

        Args:
            labels: np.ndarray [N, ...].
            folds: int. How many folds there will be.
        """
        return np.zeros(len(labels), np.int64)

    @property
    def threshold_labels(self):
        """The labels that have a threshold, from which probability on they are answered: sequence."""
        return ()

    def check_threshold(self, metric):
        """Raises InputError where a metric is given, but the answers have no threshold to tune: str or None."""

    def check_positive(self, label):
        """Raises InputError where a label is given, but is not the one that scores and threshold are about."""

    def for_training(self, batches):
        """Returns (task, batches): the task with the loss to train on, and what an epoch is to take of the examples."""
        return self, batches

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None
    ):
        """Returns the model to train: the encoder with the task's head.

        Args:
            encoder: BertEncoder.
            tokenizer: BertTokenizer.
            preset: Preset. Where the encoder comes from, which may have a head, too.
            max_seq_length: int. The longest window.
            text_columns: tuple of str. Columns of the training data, kept for prediction.
            init_seed: int. Seed of new weights.
            long_text: LongText.
            labels: np.ndarray [N, ...]. The training data's.
        """
        raise NotImplementedError

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        """Returns the model that was saved.

        Args:
            encoder: BertEncoder, with the weights.
            about: dict. The content of tfbert.json.
            reader: SafetensorsReader of the folder.
            folder: str. For messages.
            windows_per_step: int or None. Windows that are encoded at a time; None: all of a batch.
        """
        raise NotImplementedError

    def constant_outputs(self, examples):
        """Returns the best outputs that are the same for every example: [outputs]."""
        raise NotImplementedError

    def loss(self, labels, outputs):
        """Returns each example's loss, whose mean is the score `loss`: [M, ...], float [M, outputs] -> float [M]."""
        raise NotImplementedError

    def training_loss(self, labels, outputs):
        """Returns the loss to train on; shapes as for `loss`, which it is unless options change it."""
        return self.loss(labels, outputs)

    def predicted(self, outputs):
        """Returns which answers to count in training, as 0 or 1: float [M, outputs] -> float [M, outputs]."""
        return ops.zeros_like(outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`: list of keras.metrics.Metric."""
        return []

    def answered(self, outputs):
        """Returns the answers, equal rows for equal ones: [N, n]; None where they are no classes."""
        return None

    def predictions(self, outputs):
        """Returns what to tell a reader of each example: float [N, outputs] -> list of dict."""
        raise NotImplementedError

    def mean_outputs(self, outputs):
        """Returns the outputs of an ensemble: float [members, M, outputs] -> float [M, outputs]."""
        raise NotImplementedError

    def check_fit(self, labels, calibrate=False, metric=None):
        """Raises InputError where `fit_decision` could fit nothing on examples of these labels: [N, ...]."""

    def describe_fit(self, labels, calibrate=False, metric=None):
        """Returns what `fit_decision` has fitted, once it is the task's, in sentences: [N, ...] -> list of str."""
        return []

    def fit_decision(self, labels, outputs, calibrate=False, metric=None):
        """Returns the decision with what was fitted on some examples: Decision.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            calibrate: bool. Whether to fit the temperature.
            metric: str or None. What thresholds are tuned for.
        """
        return self.decision

    def suspicious(self, labels):
        """Returns what looks like a mistake in the training labels, in sentences: [N, ...] -> list of str."""
        return []

    def advice(self, labels, given=frozenset(), scored=True):
        """Returns settings to try, each with its reason: list of str. None is about a setting that is given already.

        Args:
            labels: np.ndarray [N, ...]. The training data's.
            given: set of str. The names of the settings that are not at their default.
            scored: bool. Whether there are dev rows, on which to choose a model or a threshold.
        """
        return []

    def counted(self, labels):
        """Returns how many rows each label has: np.ndarray [N, ...] -> list of (label, float)."""
        return []

    def announcement(self, batches):
        """Returns what to say of the training data as training begins: ExampleBatches -> list of (name, what it is)."""
        return []

    def has_learned(self, scores, baseline):
        """Says whether a score of `ranking_metrics` is a third of the way from that of one answer to perfection.

        Args:
            scores: dict. A model's.
            baseline: dict. Those of one answer to every example.
        """
        known = [name for name in self.ranking_metrics if name in scores and name in baseline]
        return any(scores[name] - baseline[name] >= (1 - baseline[name]) / 3 for name in known)

    def remarks(self, labels, outputs, scores, given=frozenset()):
        """Returns what the answers of a trained model have wrong as a whole, and a setting that may mend it.

        Args:
            labels: np.ndarray [N, ...]. Those of dev.
            outputs: np.float32 [N, outputs].
            scores: dict. Those of these outputs.
            given: set of str. The names of the settings that are not at their default.

        Returns:
            list of (sentence, flag), the worst first; the flag is "" where none is known.
        """
        return []

    def mistakes(self, labels, outputs, most):
        """Returns the examples that a model is most wrong about, the worst first.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            most: int. How many at most.

        Returns:
            list of (number of the example from 0, label, answer, how wrong it is), the last three str.
        """
        return []

    @property
    def probed(self):
        """Whether `probe` can be asked: that a linear model on vectors of the texts can do the task, bool."""
        return False

    def probe(self, vectors, labels, new):
        """Returns the outputs of a linear model for new texts; None where the labels do not suffice to fit one.

        Args:
            vectors: np.float32 [N, width]. Those of the training texts.
            labels: np.ndarray [N, ...].
            new: np.float32 [M, width].

        Returns:
            np.float32 [M, outputs].
        """
        raise NotImplementedError

    def shown(self, model, examples):
        """Returns what a trained model shows of itself beside its scores, for eval_results.json: dict."""
        return {}

    def tables(self, results):
        """Returns what `shown` found as tables of a report: eval_results.json's dict -> list of (title, head, rows)."""
        return []

    def quality(self, labels, outputs):
        """Returns how good the answers are, for a report: Quality, None where they are no classes."""
        return None

    def doubted(self, labels, outputs, most):
        """Returns rows whose label is likely wrong, by outputs of models that have not seen them.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            most: int. How many rows at most.

        Returns:
            list of (row, label given, label predicted, probability of the one given), ranked; None where it was not
            looked for.
        """
        return []

    def card(self):
        """Returns what the model card says of the answers: list of str."""
        return []

    def usage(self, pairs):
        """Returns how a trained `model` is asked, a line of Python: str.

        Args:
            pairs: bool. Whether it was trained on pairs of texts.
        """
        text = '("...", "...")' if pairs else '"..."'
        return f"tfbert.predict(model, [{text}])"
