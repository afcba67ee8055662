"""Splitting a dataset in two."""

import numpy as np


def halves(labels, seed):
    """Halves a labelled dataset at random, stratified by label.

    The rows are sorted by label, with ties in random order; of each pair of neighbours, a random one goes to the first
    half. Numeric labels are split likewise, neighbours having similar values.

    Args:
        labels: np.ndarray [N, ...].
        seed: int.

    Returns:
        (first, second): int64 [ceil(N / 2)], [floor(N / 2)]. Row numbers, in order.

    Source: Zhang et al. 2020 (2006.05987), section 3, who halve GLUE's dev sets because its test labels are not public.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    groups = np.unique(labels[order], axis=0, return_inverse=True)[1].reshape(-1)
    order = order[np.argsort(groups, kind="stable")]
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    pairs = rng.permuted(pairs, axis=1)
    return np.sort([*pairs[:, 0], *order[2 * len(pairs) :]]), np.sort(pairs[:, 1])
