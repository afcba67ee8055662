"""One of N classes for each text or pair."""

import keras
import numpy as np
from keras import ops

from tfbert.errors import InputError
from tfbert.tasks import metrics
from tfbert.tasks.labels import LabelSet, plain_label, sorted_labels


class Classification:
    """Chooses one of the labels: softmax and cross-entropy.

    Attributes:
        labels: list of str or int. The classes, by number. For two, the second is the positive one of F1,
            ROC-AUC and average precision.
        outputs: int. Width of the head.
        label_smoothing: float. The share ε of `training_loss`.
    """

    name = "classification"
    default_metric = "accuracy"
    metric_names = ("accuracy", "f1", "f1_macro", "f1_micro", "mcc", "roc_auc", "average_precision")

    def __init__(self, labels, label_smoothing=0.0):
        self.labels, self.label_smoothing = list(labels), label_smoothing
        self.outputs = len(self.labels)
        self._set = LabelSet(self.labels)
        if self.outputs < 2:
            raise InputError(f"Classification needs two classes at least. Received: {self.labels!r}.")

    @classmethod
    def from_examples(cls, examples, **options):
        """Returns the task whose labels are those of the examples (dicts with `label` and `where`)."""
        labels = sorted_labels(plain_label(example["label"], example["where"]) for example in examples)
        return cls(labels, **options)

    def encode_label(self, label, where):
        """Returns a label's number: int32."""
        return np.int32(self._set.index(label, where))

    def initial_bias(self, labels):
        """Returns the head's first biases, zeros as in google-research/bert: [outputs]."""
        return np.zeros(self.outputs, np.float32)

    def constant_outputs(self, labels):
        """Returns the best outputs that are the same for every text, the log-frequencies: int [N] -> [classes]."""
        return np.log(np.bincount(labels, minlength=self.outputs) / len(labels) + 1e-9).astype(np.float32)

    def loss(self, labels, logits):
        """Returns each example's cross-entropy: int [M], float [M, classes] -> float [M]."""
        return ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True)

    def training_loss(self, labels, logits):
        """Returns the loss to train on, whose labels are smoothed; shapes as for `loss`.

        The target of class k is q(k) = (1 - ε) [k = label] + ε / K. Source: Szegedy et al. 2015
        (1512.00567), section 7.
        """
        if not self.label_smoothing:
            return self.loss(labels, logits)
        uniform = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
        return (1 - self.label_smoothing) * self.loss(labels, logits) + self.label_smoothing * uniform

    def predicted(self, logits):
        """Returns which class has the largest logit, as 0 or 1: float [M, classes] -> float [M, classes]."""
        return ops.one_hot(ops.argmax(logits, axis=-1), self.outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def metrics(self, labels, logits):
        """Returns the scores of a whole data set: int [N], float [N, classes] -> dict."""
        return metrics.classification_metrics(labels, metrics.softmax(logits))

    def predictions(self, logits):
        """Returns what to tell a reader: float [N, classes] -> list of {"label", "probabilities"}."""
        probabilities = metrics.softmax(logits)
        best = probabilities.argmax(axis=-1)
        return [
            {"label": self.labels[number], "probabilities": _named(self.labels, row)}
            for number, row in zip(best, probabilities)
        ]


def _named(labels, row):
    return {str(label): round(float(value), 6) for label, value in zip(labels, row)}
