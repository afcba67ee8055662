"""Any number of labels for each text or pair."""

import keras
import numpy as np
from keras import ops

from tfbert.core.errors import InputError
from tfbert.data.values import describe
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.labelled.labels import LabelSet, answers
from tfbert.tasks.labelled.loss_options import LossOptions
from tfbert.tasks.listed import bits_of, learned_labels, listed, repeats_bits
from tfbert.tasks.scores import metrics


class Multilabel:
    """Says of each label whether it holds: a sigmoid and binary cross-entropy each, the mean over the labels.

    Attributes:
        labels: list of str or int. By number.
        outputs: int. Width of the head.
        options: LossOptions. What `training_loss` has beyond `loss`; the constructor takes them by name.
        decision: Decision. What is done to outputs before they are read.
    """

    name = "multilabel"
    default_metric = "f1_micro"
    metric_names = (
        "accuracy",
        "f1_micro",
        "f1_macro",
        "roc_auc",
        "average_precision",
        "expected_calibration_error",
    )

    def __init__(self, labels, **options):
        self._set, self.options, self.decision = LabelSet(labels), LossOptions(**options), Decision()
        self.labels = self._set.labels
        self.outputs = len(self.labels)
        if not self.labels:
            raise InputError("Multi-label classification needs one label at least, and no row has one.")

    def get_config(self):
        """Returns the arguments of the constructor: dict."""
        return {"labels": self.labels, **vars(self.options)}

    @classmethod
    def from_examples(cls, examples, **options):
        """Returns the task whose labels are those of the examples (dicts with `label` and `where`).

        Where rows hold vectors of zeros and ones, a label is the number of its place, from 0.
        """
        return cls(learned_labels(examples), **options)

    def encode_label(self, label, where):
        """Returns a row's labels as zeros and ones, uint8 [labels], of what `listed` reads or of such a vector."""
        names, row = listed(label, where), np.zeros(self.outputs, np.uint8)
        if self._is_vector(names):
            if len(names) != self.outputs:
                raise InputError(
                    f"{describe(where)}: {len(names)} zeros and ones, where there are {self.outputs} labels."
                )
            return np.array(bits_of(names), np.uint8)
        row[[self._set.index(name, where) for name in names]] = 1
        return row

    def _is_vector(self, names):
        """Says whether a list is a vector rather than names: one of two places may name the labels 0 and 1."""
        named_so = self._set.find(0) is not None or self._set.find(1) is not None
        return repeats_bits(names) or (len(names) == self.outputs == 2 and not named_so and bool(bits_of(names)))

    def decode_label(self, row):
        """Returns the labels that hold: 0 or 1, [labels] -> list."""
        return [label for label, holds in zip(self.labels, row) if holds]

    def initial_bias(self, labels):
        """Returns the head's first biases, each label's log-odds in the training data: uint8 [N, labels] -> [labels].

        With zeros, every label begins at one half, and where labels are many and rare the encoder learns first of all
        to answer the same to every text, from which few steps do not bring it back. The cure is that of Lin et al.
        2017 (1708.02002), section 4.1, for rare classes; frequencies are smoothed by one row of each kind. Where
        training adds offsets to the logits, these are taken off.
        """
        return _log_odds(labels) - np.float32(self.options.shifted(0.0))

    def constant_outputs(self, examples):
        """Returns the best outputs that are the same for every text, the labels' log-odds: [labels]."""
        return _log_odds(examples.labels)

    def loss(self, labels, logits):
        """Returns each example's loss: [M, labels], float [M, labels] -> float [M]."""
        return ops.mean(ops.binary_crossentropy(ops.cast(labels, logits.dtype), logits, from_logits=True), axis=-1)

    def training_loss(self, labels, logits):
        """Returns the loss to train on, `loss` changed as the options say; shapes as for `loss`.

        Smoothed, a label's target y becomes (1 - ε) y + ε / 2: Szegedy et al. 2015 (1512.00567), section 7, for the
        two classes that each label has. A label's class weight is a factor where it holds, as `pos_weight` is in
        torch's BCEWithLogitsLoss.
        """
        options = self.options
        logits = options.shifted(logits)
        targets = (1 - options.label_smoothing) * ops.cast(labels, logits.dtype) + options.label_smoothing / 2
        holds, fails = (options.focused(ops.log_sigmoid(x)) for x in (logits, -logits))
        if options.class_weights is not None:
            holds = holds * np.asarray(options.class_weights, np.float32)
        if options.focal_alpha is not None:
            holds, fails = options.focal_alpha * holds, (1 - options.focal_alpha) * fails
        return ops.mean(targets * holds + (1 - targets) * fails, axis=-1)

    def predicted(self, logits):
        """Returns which labels are predicted, as 0 or 1: float [M, labels] -> float [M, labels]."""
        return ops.cast(logits >= 0, "float32")

    def keras_metrics(self):
        """Returns metrics for `fit`."""
        return [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]

    def metrics(self, labels, logits):
        """Returns the scores of a whole data set: [N, labels], float [N, labels] -> dict."""
        scores = metrics.multilabel_metrics(labels, metrics.sigmoid(logits), self._thresholds())
        error = metrics.calibration_error(*metrics.confidences(self, labels, logits))
        return scores | {"expected_calibration_error": error}

    def guesses(self, logits):
        """Returns which labels are answered, as 0 or 1: float [N, labels] -> uint8 [N, labels]."""
        return (metrics.sigmoid(logits) >= self._thresholds()).astype(np.uint8)

    def predictions(self, logits):
        """Returns what to tell a reader: float [N, labels] -> list of {"label": [...], "probabilities"}."""
        return answers(self, self.guesses(logits), metrics.sigmoid(logits))

    def _thresholds(self):
        return np.array(self.decision.thresholds or [0.5] * self.outputs)


def _log_odds(labels):
    held, rows = labels.sum(axis=0, dtype=np.float64), len(labels)
    return np.log((held + 1) / (rows - held + 1)).astype(np.float32)
