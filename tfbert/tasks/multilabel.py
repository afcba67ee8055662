"""Multi-label classification: any number of labels for each text or pair."""

import keras
import numpy as np
from keras import ops

from tfbert.core.errors import InputError
from tfbert.data.values import describe
from tfbert.tasks.labelled.balance import draws_of_labels
from tfbert.tasks.labelled.labelled_task import LabelledTask
from tfbert.tasks.listed import bits_of, learned_labels, listed, repeats_bits
from tfbert.tasks.rules import RULES
from tfbert.tasks.scores import linear, metrics, resampled


class Multilabel(LabelledTask):
    """Predicts for each label whether it applies: sigmoids with binary cross-entropy, averaged over the labels.

    Attributes:
        labels: list of str or int. By number.
        outputs: int. Width of the head.
        options: LossOptions. What `training_loss` adds to `loss`; keyword arguments of the constructor.
        decision: Decision. Corrections of the outputs, and the thresholds.
    """

    name = "multilabel"
    default_metric = "f1_micro"
    directions = {
        "accuracy": "higher",
        "f1_micro": "higher",
        "f1_macro": "higher",
        "roc_auc": "higher",
        "average_precision": "higher",
        "expected_calibration_error": "lower",
    }
    rules = RULES["multilabel"]
    problem_type = "multi_label_classification"

    def __init__(self, labels, **options):
        super().__init__(labels, **options)
        if not self.labels:
            raise InputError("Multi-label classification needs at least one label, but no row has one.")

    @classmethod
    def from_examples(cls, examples, **options):
        """Returns the task with the labels that occur in the examples (dicts with `label` and `where`).

        If rows hold vectors of zeros and ones, a label is its position, from 0.
        """
        return cls(learned_labels(examples), **options)

    def encode_label(self, label, where):
        """Returns the labels of a row as zeros and ones, uint8 [labels], from a list or from such a vector."""
        names, row = listed(label, where), np.zeros(self.outputs, np.uint8)
        if self._is_vector(names):
            if len(names) != self.outputs:
                raise InputError(
                    f"{describe(where)}: {len(names)} zeros and ones, but there are {self.outputs} labels."
                )
            return np.array(bits_of(names), np.uint8)
        row[[self._set.index(name, where) for name in names]] = 1
        return row

    def _is_vector(self, names):
        """Returns whether a list is a vector rather than names; two elements may also name the labels 0 and 1."""
        named_so = self._set.find(0) is not None or self._set.find(1) is not None
        return repeats_bits(names) or (len(names) == self.outputs == 2 and not named_so and bool(bits_of(names)))

    def decode_label(self, row):
        """Returns the labels that apply: 0 or 1, [labels] -> list."""
        return [label for label, holds in zip(self.labels, row) if holds]

    def initial_bias(self, labels):
        """Returns the initial biases of the head, each label's log-odds in the data: uint8 [N, labels] -> [labels].

        With zero biases every probability starts at one half, and with many rare labels the encoder first learns to
        give the same answer to every text, from which a short training does not recover. The remedy is that of Lin et
        al. 2017 (1708.02002), section 4.1, for rare classes; frequencies are smoothed by one row of each kind. If
        training adds offsets to the logits, they are subtracted.
        """
        return _log_odds(labels) - np.float32(self.options.shifted(0.0))

    def constant_outputs(self, examples):
        """Returns the best constant outputs, the log-odds of the labels: [labels]."""
        return _log_odds(examples.labels)

    def loss(self, labels, logits):
        """Returns each example's loss: [M, labels], float [M, labels] -> float [M]."""
        return ops.mean(ops.binary_crossentropy(ops.cast(labels, logits.dtype), logits, from_logits=True), axis=-1)

    def training_loss(self, labels, logits):
        """Returns the training loss, `loss` modified by the options; shapes as for `loss`.

        Smoothed, a label's target y becomes (1 - ε) y + ε / 2: Szegedy et al. 2015 (1512.00567), section 7, for the
        two classes that each label has. The class weight of a label is a factor where it applies, like `pos_weight` in
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
        """Returns the scores of a whole dataset: [N, labels], float [N, labels] -> dict."""
        scores = metrics.multilabel_metrics(labels, self.probabilities(logits), self._thresholds())
        error = metrics.calibration_error(*metrics.confidences(self, labels, logits))
        return scores | {"expected_calibration_error": error}

    def guesses(self, logits):
        """Returns which labels are predicted, as 0 or 1: float [N, labels] -> uint8 [N, labels]."""
        return (self.probabilities(logits) >= self._thresholds()).astype(np.uint8)

    def probabilities(self, logits):
        """Returns the probability of each label: float [N, labels] -> float64 [N, labels]."""
        return metrics.sigmoid(logits)

    def mean_outputs(self, logits):
        """Returns the log-odds of mean probabilities: float [members, M, labels] -> float [M, labels]."""
        return ops.logsumexp(ops.log_sigmoid(logits), axis=0) - ops.logsumexp(ops.log_sigmoid(-logits), axis=0)

    def resampled_scores(self, labels, logits, weights):
        """Returns the scores under many weightings: [N, labels], float [N, labels], float [B, N] -> dict of [B]."""
        return resampled.of_labels(self, labels, logits, weights)

    def strata(self, labels, folds):
        """Returns the rarest label of each row, or `len(labels)` if it has none: [N, labels] -> int [N]."""
        rarest_first = np.argsort(labels.sum(axis=0), kind="stable")
        return np.where(labels.any(axis=1), labels[:, rarest_first].argmax(axis=1), labels.shape[1])

    def indicators(self, labels):
        """Returns the labels unchanged: 0 or 1, [N, labels] -> the same."""
        return labels

    def balanced_weights(self, counts, rows):
        """Returns the ratio of rows without a label to rows with it, `pos_weight` in torch's BCEWithLogitsLoss."""
        return np.maximum(rows - counts, 1) / counts

    def log_prior(self, counts, rows):
        """Returns the log-odds of each label, smoothed by one row of each kind: float64 [labels]."""
        return np.log((counts + 1) / (rows - counts + 1))

    def draws(self, labels, factors, fewer, balance):
        """Returns which examples an epoch has: GroupDraws."""
        return draws_of_labels(labels, factors)

    def rare_metrics(self, rarest):
        """Returns the score that is sensitive to a rare label, and the metric to tune its threshold for: str, str."""
        return "f1_macro", "f1"

    def doubt(self, given, prediction):
        """Returns both lists as text, and the probability given to the most doubtful label: str, str, float."""
        shares = [
            share if label in map(str, given) else 1 - share for label, share in prediction["probabilities"].items()
        ]
        return *(", ".join(map(str, labels)) for labels in (given, prediction["label"])), min(shares)

    def probe(self, vectors, labels, new):
        return linear.log_odds(vectors, labels, new)

    def _thresholds(self):
        return np.array(self.decision.thresholds or [0.5] * self.outputs)


def _log_odds(labels):
    held, rows = labels.sum(axis=0, dtype=np.float64), len(labels)
    return np.log((held + 1) / (rows - held + 1)).astype(np.float32)
