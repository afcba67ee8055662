"""What a report shows of answers that are labels."""

import dataclasses

import numpy as np

from tfbert.tasks.labelled.decision import Decision


@dataclasses.dataclass(frozen=True)
class Quality:
    """How good a model's answers are on one data set.

    Attributes:
        labels: list of str or int. By number.
        held: int [N, labels]. Which labels each row has, 0 or 1.
        answered: int [N, labels]. Which it got.
        probabilities: float64 [N, labels].
        given, hits: float64 [N, n], bool [N, n]. Probabilities that were given, and whether each came true.
        curves: sequence of int. The labels whose precision and recall are worth a curve.
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
