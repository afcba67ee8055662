"""Linear models on vectors of texts, by scikit-learn: what a fine-tuned model is to be better than.

Vectors are float32 [N, width], standardised by the training rows.
"""

import numpy as np

# Weights are shrunk, as there may be fewer rows than numbers in a vector.
_C = 0.1
_NEVER = np.log(1e-9)


def log_probabilities(vectors, labels, new, classes):
    """Returns a logistic regression's log-probability of each class, float32 [M, classes]; None for rows of one class.

    Args:
        vectors: float32 [N, width].
        labels: int [N].
        new: float32 [M, width].
        classes: int. How many there are; one without rows is never answered.
    """
    if len(np.unique(labels)) < 2:
        return None
    fitted = logistic().fit(vectors, labels)
    outputs = np.full((len(new), classes), _NEVER, np.float32)
    outputs[:, fitted.classes_] = np.maximum(fitted.predict_log_proba(new), _NEVER)
    return outputs


def log_odds(vectors, labels, new):
    """Returns the log-odds of each label by a logistic regression of its own, float32 [M, labels].

    Args:
        vectors: float32 [N, width].
        labels: 0 or 1, [N, labels]. Of one that all rows have, or none, the log-odds are the same for every text.
        new: float32 [M, width].
    """
    outputs = np.empty((len(new), labels.shape[1]), np.float32)
    for number, column in enumerate(labels.T):
        one_sided = column.min() == column.max()
        outputs[:, number] = (-_NEVER if column[0] else _NEVER) if one_sided else _decided(vectors, column, new)
    return outputs


def numbers(vectors, labels, new):
    """Returns a ridge regression's numbers, its penalty chosen by leaving each row out: float32 [M, 1]."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    return ridge.fit(vectors, labels).predict(new).astype(np.float32)[:, np.newaxis]


def _decided(vectors, column, new):
    return logistic().fit(vectors, column).decision_function(new)


def logistic(strength=_C):
    """Returns a logistic regression on standardised vectors, not fitted: strength, scikit-learn's C -> Pipeline."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
