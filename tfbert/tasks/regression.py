"""Regression: a number for each text or pair."""

import math

import keras
import numpy as np
from keras import ops

from tfbert.core.errors import InputError
from tfbert.data.values import describe
from tfbert.tasks.scores import linear, metrics, resampled
from tfbert.tasks.text_task import TextTask

_LARGEST = float(np.finfo(np.float32).max)


class Regression(TextTask):
    """Predicts a number, trained with the squared error.

    Attributes:
        labels: empty list, as there are no classes.
        outputs: 1, the width of the head.
        decision: Decision, which changes nothing.
    """

    name = "regression"
    default_metric = "pearson"
    directions = {
        "pearson": "higher",
        "spearman": "higher",
        "pearson_spearman": "higher",
        "mean_squared_error": "lower",
    }
    problem_type = "regression"
    mistake_columns = ("label", "answer", "off by")
    probed = True

    def encode_label(self, label, where):
        """Returns the label as a number: float32."""
        try:
            value = float(label)
        except (TypeError, ValueError, OverflowError):
            value = math.nan
        if not abs(value) <= _LARGEST:  # also for nan
            raise InputError(f"{describe(where)}: the label {label!r} is not a number, as regression needs.")
        return np.float32(value)

    def decode_label(self, value):
        """Returns the number as a Python float."""
        return float(value)

    def initial_bias(self, labels):
        """Returns the initial biases of the head, zeros as in google-research/bert: [outputs]."""
        return np.zeros(self.outputs, np.float32)

    def constant_outputs(self, examples):
        """Returns the best constant output, the mean: [1]."""
        return np.array([examples.labels.mean()], np.float32)

    def loss(self, labels, logits):
        """Returns the squared error of each example: float [M], float [M, 1] -> float [M]."""
        return ops.square(logits[:, 0] - ops.cast(labels, logits.dtype))

    def keras_metrics(self):
        """Returns metrics for `fit`."""
        return [keras.metrics.MeanAbsoluteError(name="mean_absolute_error")]

    def metrics(self, labels, logits):
        """Returns the scores of a whole dataset: float [N], float [N, 1] -> dict."""
        return metrics.regression_metrics(labels, logits[:, 0])

    def predictions(self, logits, rows=None):
        """Returns the predictions for output: float [N, 1] -> list of {"label": number}."""
        return [{"label": round(float(value), 6)} for value in logits[:, 0]]

    def mistakes(self, labels, outputs, most):
        """Returns the numbers that are furthest off."""
        off = np.abs(outputs[:, 0].astype(np.float64) - labels)
        worst = np.argsort(-off, kind="stable")[:most]
        return [(int(row), f"{labels[row]:g}", f"{outputs[row, 0]:.4g}", f"{off[row]:.4g}") for row in worst]

    def probe(self, vectors, labels, new):
        return linear.numbers(vectors, labels, new)

    def mean_outputs(self, outputs):
        """Returns the mean of the numbers: float [members, M, 1] -> float [M, 1]."""
        return ops.mean(outputs, axis=0)

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings: float [N], float [N, 1], float [B, N] -> dict of [B]."""
        return resampled.of_numbers(np.asarray(labels, np.float64), np.asarray(outputs[:, 0], np.float64), weights)

    def strata(self, labels, folds):
        """Returns the decile of each number, or a larger quantile if a decile has fewer rows than folds: int [N]."""
        bins = max(1, min(10, len(labels) // folds))
        return np.argsort(np.argsort(labels, kind="stable")) * bins // len(labels)
