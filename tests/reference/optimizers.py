"""Optimisers as NumPy float64 formulas, from the papers and from google-research/bert `optimization.py`."""

import numpy as np


def adam_step(theta, m, v, g, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-6, decay=0.0, bias_correction=True):
    """One step of Adam with decoupled decay: returns (theta, m, v). Without correction it is google-research/bert's."""
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat = m / (1 - beta_1**t) if bias_correction else m
    v_hat = v / (1 - beta_2**t) if bias_correction else v
    return theta - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * theta), m, v


def clip(gradients, norm):
    """Scales gradients down to a global norm."""
    total = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
    return [g * min(1.0, norm / total) for g in gradients]
