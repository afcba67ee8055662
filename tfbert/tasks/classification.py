"""Classification: one of N classes for each text or pair."""

import numpy as np

from tfbert.core.errors import InputError
from tfbert.tasks.labelled.balance import draws_of_classes
from tfbert.tasks.labelled.labels import LabelSet, plain_label, sorted_labels
from tfbert.tasks.labelled.softmax_task import SoftmaxTask
from tfbert.tasks.scores import linear, metrics, resampled


class Classification(SoftmaxTask):
    """Chooses one of the labels: softmax and cross-entropy.

    Attributes:
        labels: list of str or int. The classes, by number. For two, the second is the positive one of F1,
            ROC-AUC and average precision.
        outputs: int. Width of the head.
        options: LossOptions. What `training_loss` adds to `loss`; keyword arguments of the constructor.
        decision: Decision. Corrections of the outputs, and the threshold.
    """

    name = "classification"
    default_metric = "accuracy"
    directions = {
        "accuracy": "higher",
        "f1": "higher",
        "f1_macro": "higher",
        "f1_micro": "higher",
        "mcc": "higher",
        "roc_auc": "higher",
        "average_precision": "higher",
        "expected_calibration_error": "lower",
    }
    problem_type = "single_label_classification"

    def __init__(self, labels, **options):
        super().__init__(labels, **options)
        if self.outputs < 2:
            raise InputError(f"Classification needs at least two classes. Received: {self.labels!r}.")
        if self.options.focal_alpha is not None and self.outputs > 2:
            raise InputError(
                f"--focal_alpha={self.options.focal_alpha} weights two classes, but there are {self.outputs}; use "
                "--class_weights."
            )

    @classmethod
    def from_examples(cls, examples, *, positive_label=None, **options):
        """Returns the task with the labels that occur in the examples (dicts with `label` and `where`).

        Args:
            examples: iterable of dict.
            positive_label: str, int or None. Which of two labels becomes the second; None: the one that sorts last.
            **options: those of LossOptions.

        Raises:
            InputError: the positive label is not among the labels, or there are more than two.
        """
        labels = sorted_labels(plain_label(example["label"], example["where"]) for example in examples)
        if positive_label is not None:
            labels.append(labels.pop(_positive(labels, positive_label)))
        return cls(labels, **options)

    def encode_label(self, label, where):
        """Returns the number of a label: int32."""
        return np.int32(self._set.index(label, where))

    def decode_label(self, number):
        """Returns the label of a number: int -> str or int."""
        return self.labels[number]

    def constant_outputs(self, examples):
        """Returns the best constant outputs, the log-frequencies: [classes]."""
        labels = examples.labels
        return np.log(np.bincount(labels, minlength=self.outputs) / len(labels) + 1e-9).astype(np.float32)

    def metrics(self, labels, logits):
        """Returns the scores of a whole dataset: int [N], float [N, classes] -> dict."""
        scores = metrics.classification_metrics(labels, self.probabilities(logits), self._threshold())
        error = metrics.calibration_error(*metrics.confidences(self, labels, logits))
        return scores | {"expected_calibration_error": error}

    def guesses(self, logits):
        """Returns the predicted class: float [N, classes] -> int [N]."""
        return metrics.guessed_classes(self.probabilities(logits), self._threshold())

    def resampled_scores(self, labels, logits, weights):
        """Returns the scores under many weightings: int [N], float [N, classes], float [B, N] -> dict of [B]."""
        return resampled.of_classes(self, labels, logits, weights)

    def confusions(self, labels, logits):
        """Returns the confusion matrix, rows being the true classes: int [classes, classes]."""
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(labels, self.guesses(logits), labels=range(self.outputs))

    def strata(self, labels, folds):
        """Returns the strata for folds, the classes: int [N] -> int [N]."""
        return labels

    def indicators(self, labels):
        """Returns the class of each row as one-hot vectors: int [N] -> int [N, classes]."""
        return np.eye(self.outputs, dtype=int)[labels]

    def label_counts(self, labels, rates=None):
        """Returns the number of rows of each class, weighted by their rates: float64 [classes]."""
        return np.bincount(labels, np.ones(len(labels)) if rates is None else rates, minlength=self.outputs)

    def draws(self, labels, factors, fewer, balance):
        """Returns which examples an epoch has: GroupDraws."""
        return draws_of_classes(labels, factors, fewer, balance)

    @property
    def threshold_labels(self):
        """The second of two classes; with more classes there is no threshold: list."""
        return self.labels[1:] if self.outputs == 2 else []

    @property
    def curves(self):
        """The second of two classes, or all if there are more: sequence of int."""
        return [1] if self.outputs == 2 else range(self.outputs)

    def rare_metrics(self, rarest):
        """Returns the score that is sensitive to a rare class, and the metric to tune its threshold for: str, str."""
        second = self.outputs == 2 and rarest == self.labels[1]
        return ("f1 or average_precision", "f1") if second else ("f1_macro", "mcc")

    def suspicious(self, labels):
        """Returns a warning if there are too many classes for the number of rows: list of str."""
        if self.outputs <= max(20, len(labels) / 3):
            return []
        return [f"{self.outputs:,} labels in {len(labels):,} rows: does --label_column hold numbers or names?"]

    def probe(self, vectors, labels, new):
        return linear.log_probabilities(vectors, labels, new, self.outputs)

    def check_positive(self, label):
        if label is not None and _positive(self.labels, label) != 1:
            raise InputError(
                f"--positive_label={label} is not what this model was trained with: its scores and its threshold are "
                f"about {self.labels[1]!r}; leave it out."
            )

    def announcement(self, batches):
        about = super().announcement(batches)
        if self.outputs == 2:
            which = f"{self.labels[1]!r} (--positive_label), which F1, precision, recall and a threshold are about"
            about.append(("positive", which))
        return about

    def _threshold(self):
        return self.decision.thresholds and self.decision.thresholds[0]


def _positive(labels, label):
    """Returns the number of the positive label: list of str or int, str or int -> int."""
    number, known = LabelSet(labels).find(label), ", ".join(map(str, labels[:30]))
    if len(labels) != 2:
        raise InputError(f"--positive_label={label} needs two labels. There are {len(labels)}: {known}.")
    if number is None:
        raise InputError(f"--positive_label must be one of the labels, {known}. Received: {label!r}.")
    return number
