"""One of N classes for each text or pair."""

import keras
import numpy as np
from keras import ops

from tfbert.core.errors import InputError
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.labelled.labels import LabelSet, answers, plain_label, sorted_labels
from tfbert.tasks.labelled.loss_options import LossOptions
from tfbert.tasks.scores import metrics


class Classification:
    """Chooses one of the labels: softmax and cross-entropy.

    Attributes:
        labels: list of str or int. The classes, by number. For two, the second is the positive one of F1,
            ROC-AUC and average precision.
        outputs: int. Width of the head.
        options: LossOptions. What `training_loss` has beyond `loss`; the constructor takes them by name.
        decision: Decision. What is done to outputs before they are read.
    """

    name = "classification"
    default_metric = "accuracy"
    metric_names = (
        "accuracy",
        "f1",
        "f1_macro",
        "f1_micro",
        "mcc",
        "roc_auc",
        "average_precision",
        "expected_calibration_error",
    )

    def __init__(self, labels, **options):
        self._set, self.options, self.decision = LabelSet(labels), LossOptions(**options), Decision()
        self.labels = self._set.labels
        self.outputs = len(self.labels)
        if self.outputs < 2:
            raise InputError(f"Classification needs two classes at least. Received: {self.labels!r}.")
        if self.options.focal_alpha is not None and self.outputs > 2:
            raise InputError(
                f"--focal_alpha={self.options.focal_alpha} weighs two classes, and there are {self.outputs}; give "
                "--class_weights."
            )

    def get_config(self):
        """Returns the arguments of the constructor: dict."""
        return {"labels": self.labels, **vars(self.options)}

    @classmethod
    def from_examples(cls, examples, **options):
        """Returns the task whose labels are those of the examples (dicts with `label` and `where`)."""
        labels = sorted_labels(plain_label(example["label"], example["where"]) for example in examples)
        return cls(labels, **options)

    def encode_label(self, label, where):
        """Returns a label's number: int32."""
        return np.int32(self._set.index(label, where))

    def decode_label(self, number):
        """Returns the label of a number: int -> str or int."""
        return self.labels[number]

    def initial_bias(self, labels):
        """Returns the head's first biases, zeros as in google-research/bert: [outputs]."""
        return np.zeros(self.outputs, np.float32)

    def constant_outputs(self, examples):
        """Returns the best outputs that are the same for every text, the log-frequencies: [classes]."""
        labels = examples.labels
        return np.log(np.bincount(labels, minlength=self.outputs) / len(labels) + 1e-9).astype(np.float32)

    def loss(self, labels, logits):
        """Returns each example's cross-entropy: int [M], float [M, classes] -> float [M]."""
        return ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True)

    def training_loss(self, labels, logits):
        """Returns the loss to train on, `loss` changed as the options say; shapes as for `loss`.

        Smoothed, the target of class k is q(k) = (1 - ε) [k = label] + ε / K: Szegedy et al. 2015 (1512.00567),
        section 7. An example's class weight is a factor of its loss, as with Keras' `class_weight`: the mean is over
        the number of examples.
        """
        options = self.options
        logits, labels = options.shifted(logits), ops.cast(labels, "int32")
        losses = options.focused(-self.loss(labels, logits))
        if options.label_smoothing:
            uniform = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
            losses = (1 - options.label_smoothing) * losses + options.label_smoothing * uniform
        alpha = options.focal_alpha
        weights = options.class_weights if alpha is None else (1 - alpha, alpha)
        return losses if weights is None else losses * ops.take(np.asarray(weights, np.float32), labels)

    def predicted(self, logits):
        """Returns which class has the largest logit, as 0 or 1: float [M, classes] -> float [M, classes]."""
        return ops.one_hot(ops.argmax(logits, axis=-1), self.outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def metrics(self, labels, logits):
        """Returns the scores of a whole data set: int [N], float [N, classes] -> dict."""
        scores = metrics.classification_metrics(labels, metrics.softmax(logits), self._threshold())
        error = metrics.calibration_error(*metrics.confidences(self, labels, logits))
        return scores | {"expected_calibration_error": error}

    def guesses(self, logits):
        """Returns the class that is answered: float [N, classes] -> int [N]."""
        return metrics.guessed_classes(metrics.softmax(logits), self._threshold())

    def predictions(self, logits):
        """Returns what to tell a reader: float [N, classes] -> list of {"label", "probabilities"}."""
        return answers(self, self.guesses(logits), metrics.softmax(logits))

    def _threshold(self):
        return self.decision.thresholds and self.decision.thresholds[0]
