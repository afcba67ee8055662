"""The quality of predicted labels, for the report."""

import dataclasses

import numpy as np

from tfbert.tasks.labelled.decision import Decision


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good a model's predictions are on one dataset.

    Attributes:
        labels: list of str or int. By number.
        held: int [N, labels]. Which labels each row has, 0 or 1.
        answered: int [N, labels]. Which labels were predicted.
        probabilities: float64 [N, labels].
        given, hits: float64 [N, n], bool [N, n]. Predicted probabilities, and whether each prediction was correct.
        curves: sequence of int. The labels for which a precision-recall curve is drawn.
        thresholds: list of float or None, [labels]; None if none was tuned.
        decision: Decision.
    """

    labels: list
    held: np.ndarray
    answered: np.ndarray
    probabilities: np.ndarray
    given: np.ndarray
    hits: np.ndarray
    curves: tuple
    thresholds: list | None
    decision: Decision
