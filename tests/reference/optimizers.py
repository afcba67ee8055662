"""Optimisers as NumPy float64 formulas, from the papers and from google-research/bert `optimization.py`."""

import numpy as np


def adam_step(
    theta, m, v, g, t, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-6, decay=0.0, bias_correction=True, reference=0.0
):
    """One step of Adam with decoupled decay: returns (theta, m, v). Without correction it is google-research/bert's."""
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat = m / (1 - beta_1**t) if bias_correction else m
    v_hat = v / (1 - beta_2**t) if bias_correction else v
    return theta - rate * (m_hat / (np.sqrt(v_hat) + epsilon) + decay * (theta - reference)), m, v


def lamb_step(theta, m, v, g, t, rate, decay=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-6, adapt=True):
    """One step of LAMB (You et al. 2019, algorithm 2): returns (theta, m, v)."""
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    update = (m / (1 - beta_1**t)) / (np.sqrt(v / (1 - beta_2**t)) + epsilon) + decay * theta
    size, step = np.linalg.norm(theta), np.linalg.norm(update)
    ratio = size / step if adapt and size > 0 and step > 0 else 1.0
    return theta - rate * ratio * update, m, v


def average(values, decay):
    """The weighted mean of the values of steps 1 … t, a step further back counting `decay` times as much."""
    weights = [decay ** (len(values) - 1 - i) for i in range(len(values))]
    return sum(w * np.asarray(value, np.float64) for w, value in zip(weights, values)) / sum(weights)


def clip(gradients, norm):
    """Scales gradients down to a global norm."""
    total = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients))
    return [g * min(1.0, norm / total) for g in gradients]


def slanted_triangular(t, total, cut_fraction, peak, ratio=32):
    """Howard and Ruder 2018, equation 3, word for word."""
    cut = int(np.floor(total * cut_fraction))
    p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_fraction - 1))
    return peak * (1 + p * (ratio - 1)) / ratio


def cosine(t, total, peak):
    """Loshchilov and Hutter 2016, equation 5, with eta_min = 0 and T_i = total."""
    return 0.5 * peak * (1 + np.cos(np.pi * t / total))
