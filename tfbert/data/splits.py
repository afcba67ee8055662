"""One data set into two."""

import numpy as np


def halves(labels, seed):
    """Halves a labelled data set at random so that both halves have the same share of every label.

    The rows are ordered by label, at random where it is the same; of each two neighbours one, at random, goes to the
    first half. Numbers are split likewise, neighbours being those of nearly the same size.

    Args:
        labels: np.ndarray [N, ...].
        seed: int.

    Returns:
        (first, second): int64 [ceil(N / 2)], [floor(N / 2)]. The numbers of the rows, in order.

    Source: Zhang et al. 2020 (2006.05987), section 3, who halve GLUE's dev sets, as its test labels are secret.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    groups = np.unique(labels[order], axis=0, return_inverse=True)[1].reshape(-1)
    order = order[np.argsort(groups, kind="stable")]
    pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
    pairs = rng.permuted(pairs, axis=1)
    return np.sort([*pairs[:, 0], *order[2 * len(pairs) :]]), np.sort(pairs[:, 1])
