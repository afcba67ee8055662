"""The interface of every task: what is predicted, and everything that depends on it."""

import dataclasses
import json

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfbert.data.given_texts import text_rows
from tfbert.data.windows import LongText
from tfbert.tasks import TASKS
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.rules import Rules
from tfbert.tasks.scores.resampled import repeated_scores
from tfbert.tasks.told import Told


@keras.saving.register_keras_serializable("tfbert")
class Task(Told):
    """Owns everything that depends on what is predicted; each task is a class in TASKS.

    Keyword-only arguments of some methods are named like settings: the modes pass the values of exactly the settings
    that a method names; from Python the defaults apply.

    Examples, labels, outputs: N examples have `labels` [N, ...], of which a batch has M; a model's outputs are float32
    [M, outputs].

    Attributes of the class:
        name: str. Its key in TASKS.
        default_metric: str. The score by which the best model is chosen.
        directions: dict of score -> "higher" or "lower", which is better.
        rules: Rules. Which settings have no effect on it.
        columns: tuple of str. The settings that name the columns it reads.
        decides: bool. Whether `fit_decision` is called after training without a setting that asks for it.
        builder: str. The function in `tfbert` that builds its model.
        of_documents: bool. Whether its examples are made of whole documents instead of labelled rows.
        reads: str. What its columns hold, as `read_examples` takes it.
        saved_keys: tuple of str. The keys of tfbert.json that belong to it or its model.
        hugging_face: str. The suffix of the class name in transformers.
        verb: str. What was done to the model, for the model card.
        one_class: bool. Whether a label is the number of one of several classes.
        not_predicted: str or None. Why the texts of a file cannot be predicted; None: they can.

    Attributes:
        labels: list of str or int. The classes, by number; empty if there are none.
        outputs: int. Width of a model's outputs.
        decision: Decision. Corrections of the outputs, and thresholds.
    """

    name = None
    default_metric = "loss"
    directions = {}
    rules = Rules()
    columns = ("text_column", "text_pair_column", "label_column")
    decides = False
    builder = "build_model"
    of_documents = False
    reads = "texts"
    saved_keys = ()
    hugging_face = "ForSequenceClassification"
    verb = "Fine-tuned"
    one_class = False
    not_predicted = None

    labels = ()
    outputs = 1
    decision = Decision()

    @classmethod
    def from_examples(cls, examples):
        """Returns the task for training rows, from which it learns what it needs, such as the labels.

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
        """Returns the constructor's arguments for an equal task: dict."""
        return {}

    def get_config(self):
        """Returns the whole configuration, training and decision included: dict, JSON-serialisable."""
        config = {"task": self.name, "arguments": self.arguments(), "decision": dataclasses.asdict(self.decision)}
        return json.loads(json.dumps(config, default=lambda numbers: np.asarray(numbers).tolist()))

    @classmethod
    def from_config(cls, config):
        """Returns the task, of its class in TASKS, from what `get_config` returned."""
        task = TASKS[config["task"]](**config["arguments"])
        task.decision = Decision(**config["decision"])
        return task

    def hugging_face_config(self):
        """Returns the entries of Hugging Face's config.json on labels and outputs: dict."""
        return {}

    def graph_key(self):
        """Returns what the training loss depends on besides settings: dict of plain values."""
        return {"labels": list(self.labels)}

    @property
    def metric_names(self):
        """The names of the scores, tuple of str."""
        return tuple(self.directions)

    @classmethod
    def lower_is_better(cls, metric):
        """Returns whether lower values of a score, or of "loss", are better."""
        return metric == "loss" or cls.directions.get(metric) == "lower"

    @classmethod
    def is_better(cls, metric, score, best):
        """Returns whether a score beats the best so far; None or non-finite values mean undefined."""
        score, best = (value if value is not None and np.isfinite(value) else None for value in (score, best))
        if score is None or best is None:
            return best is None
        return score < best if cls.lower_is_better(metric) else score > best

    def metrics(self, labels, outputs):
        """Returns the scores of a whole dataset that are defined: [N, ...], [N, outputs] -> dict of float."""
        raise NotImplementedError

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings of the examples: dict of name -> float64 [B].

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            weights: float [B, N]. Integers: how often each example counts.
        """
        return repeated_scores(self, labels, outputs, weights)

    def tokenized(self, rows, tokenizer, max_seq_length, long_text=LongText(), train=False):
        """Returns the rows as token ids, in a form that `batches` takes any number of times.

        Args:
            rows: callable () -> iterable of dict, as `read_examples` yields them.
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window.
            long_text: LongText. How long texts are handled.
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
            train: bool. Whether they are for training, with a new order in each epoch.
            seed: int. Determines the order, and any randomness of training examples.
            renew: callable (epoch) -> what `tokenized` makes of a later epoch's rows; None: epochs have the same rows.
        """
        raise NotImplementedError

    def inspection(self, examples, tokenizer):
        """Returns statistics of the examples: Inspection, or None if there are none for this task."""
        return None

    def row_label(self, row):
        """Returns the label of a row as `strata` takes it, the same for all where rows have none: dict -> number."""
        return 0

    def strata(self, labels, folds):
        """Returns the strata for folds, a class for each row: int [N].

        Args:
            labels: np.ndarray [N, ...].
            folds: int. How many folds there will be.
        """
        return np.zeros(len(labels), np.int64)

    @property
    def threshold_labels(self):
        """The labels that have a decision threshold: sequence."""
        return ()

    def check_threshold(self, metric):
        """Raises InputError if a metric is given, but the task has no threshold to tune: str or None."""

    def check_positive(self, label):
        """Raises InputError if a label is given, but is not the one that scores and threshold are about."""

    def for_training(self, batches):
        """Returns (task, batches): the task with the training loss, and the batches with the sampling of an epoch."""
        return self, batches

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None
    ):
        """Returns the model to train: the encoder with the task's head.

        Args:
            encoder: BertEncoder.
            tokenizer: BertTokenizer.
            preset: Preset. The source of the encoder, which may also have a head.
            max_seq_length: int. The longest window.
            text_columns: tuple of str. Columns of the training data, kept for prediction.
            init_seed: int. Seed of new weights.
            long_text: LongText.
            labels: np.ndarray [N, ...]. The training data's.
        """
        raise NotImplementedError

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        """Returns a saved model.

        Args:
            encoder: BertEncoder, with the weights.
            about: dict. The content of tfbert.json.
            reader: SafetensorsReader of the folder.
            folder: str. For messages.
            windows_per_step: int or None. Windows encoded at a time; None: all of a batch.
        """
        raise NotImplementedError

    def constant_outputs(self, examples):
        """Returns the best constant outputs: [outputs]."""
        raise NotImplementedError

    def loss(self, labels, outputs):
        """Returns each example's loss, whose mean is the score `loss`: [M, ...], float [M, outputs] -> float [M]."""
        raise NotImplementedError

    def mean_loss(self, labels, outputs):
        """Returns the mean of `loss` over a whole dataset: np.ndarray [N, ...], np.float32 [N, outputs] -> float."""
        losses = self.loss(tf.constant(labels), tf.constant(outputs, tf.float32))
        return float(tf.reduce_mean(tf.cast(losses, tf.float64)))

    def constant_answers(self, examples):
        """Returns the best constant outputs, one for each row: [N, outputs]; the examples have `labels`."""
        return np.tile(self.constant_outputs(examples), (len(examples.labels), 1))

    def training_loss(self, labels, outputs):
        """Returns the training loss; shapes as for `loss`, to which it is equal unless options modify it."""
        return self.loss(labels, outputs)

    def predicted(self, outputs):
        """Returns the predicted labels, which training counts, as 0 or 1: float [M, outputs] -> float [M, outputs]."""
        return ops.zeros_like(outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`: list of keras.metrics.Metric."""
        return []

    def answered(self, outputs):
        """Returns the predicted classes as rows, equal for equal predictions: [N, n]; None if there are no classes."""
        return None

    def given_rows(self, texts, columns):
        """Returns what `tfbert.predict` is given as rows, as `read_examples` yields them: list of dict.

        Args:
            texts: what a user passes; here what `text_rows` takes.
            columns: tuple of str. The text columns of the model's training data.
        """
        return text_rows(texts, columns)

    def predictions(self, outputs, rows=None):
        """Returns the prediction of each example for output: list of dict.

        Args:
            outputs: float [N, outputs].
            rows: list of dict, as `read_examples` yields them; needed where an answer quotes its text.
        """
        raise NotImplementedError

    def mean_outputs(self, outputs):
        """Returns the outputs of an ensemble: float [members, M, outputs] -> float [M, outputs]."""
        raise NotImplementedError

    def check_fit(self, labels, calibrate=False, metric=None):
        """Raises InputError if `fit_decision` cannot be fitted on examples with these labels: [N, ...]."""

    def describe_fit(self, labels, calibrate=False, metric=None):
        """Returns sentences on the decision fitted by `fit_decision`: [N, ...] -> list of str."""
        return []

    def fit_decision(self, labels, outputs, calibrate=False, metric=None):
        """Returns the decision fitted on some examples: Decision.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            calibrate: bool. Whether to fit the temperature.
            metric: str or None. The metric for tuning thresholds.
        """
        return self.decision

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
