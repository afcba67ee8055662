"""Likely label errors, found by models that were not trained on the rows."""

import numpy as np

from tfbert.tasks.scores.metrics import sigmoid, softmax


def likely_mislabelled(task, labels, outputs):
    """Ranks the rows whose label is contradicted by confident predictions, the least likely label first: int [n].

    Args:
        task: Classification or Multilabel.
        labels: np.ndarray [N] or [N, labels].
        outputs: np.float32 [N, outputs]. Out-of-fold outputs.

    Returns:
        Row numbers, from 0; None if cleanlab is not installed.

    Source: Northcutt et al. 2019 (1911.00068), confident learning, prune by noise rate; ranked by the probability of
    the label given: cleanlab's `find_label_issues`.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.multilabel_classification import filter as several
    except ImportError:
        return None
    options = {"return_indices_ranked_by": "self_confidence", "n_jobs": 1}
    if labels.min() == labels.max():  # nothing to compare
        return np.zeros(0, np.int64)
    if labels.ndim == 1:
        return find_label_issues(labels, softmax(outputs), **options)
    if labels.shape[1] == 1:  # for cleanlab two classes rather than several labels
        holds = sigmoid(outputs[:, 0])
        return find_label_issues(labels[:, 0].astype(int), np.stack([1 - holds, holds], axis=1), **options)
    return several.find_label_issues([np.flatnonzero(row).tolist() for row in labels], sigmoid(outputs), **options)
