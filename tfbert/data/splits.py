"""Splitting one dataset into several."""

import hashlib
import unicodedata

import numpy as np

from tfbert.core.errors import InputError


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


def split_off(strata, texts, shares, seed):
    """Splits random rows off a dataset, stratified; equal texts stay together.

    Each stratum gives its share of rows, rounded so that the total is right; it gives at least one row if the total
    suffices, and always keeps a text. Texts with more rows than are still needed are skipped.

    Args:
        strata: int [N]. A task's `strata`.
        texts: np.uint64 [N]. Equal for equal texts.
        shares: dict of split -> float. Fractions of all rows.
        seed: int.

    Returns:
        dict of split -> int64 [n]. Row numbers, in order.

    Raises:
        InputError: a split would have no row.
    """
    rng, rows = np.random.default_rng(seed), len(strata)
    _, first, text_of_row, sizes = np.unique(texts, return_index=True, return_inverse=True, return_counts=True)
    stratum_of_text = strata[first]
    kinds, counts = np.unique(strata, return_counts=True)
    left = {kind: rng.permutation(np.flatnonzero(stratum_of_text == kind)) for kind in kinds}
    found = {}
    for split, share in shares.items():
        quotas, taken = _quotas(share * counts, round(share * rows)), []
        for kind, quota in zip(kinds, quotas):
            chosen = np.zeros(len(left[kind]), bool)
            for place, size in enumerate(sizes[left[kind]]):
                if size <= quota and place + 1 < len(chosen):
                    chosen[place], quota = True, quota - size
            taken += left[kind][chosen].tolist()
            left[kind] = left[kind][~chosen]
        found[split] = np.flatnonzero(np.isin(text_of_row, taken))
        if not len(found[split]):
            raise InputError(
                f"--{split}_share={share} of {rows:,} rows with {len(sizes):,} different texts is not a single "
                f"row; give a larger share, or a --{split}_file."
            )
    return found


def _quotas(exact, total):
    """Returns integers that add up to a total, or slightly more: float [n], int -> int [n]."""
    quotas = np.floor(exact).astype(int)
    most_cut = np.argsort(quotas - exact, kind="stable")[: total - quotas.sum()]
    quotas[most_cut] += 1
    return np.maximum(quotas, 1) if 2 * len(quotas) <= total else quotas


def text_key(texts):
    """Returns a hash of a row's normalised texts: tuple of str -> int below 2^64.

    Case, accents, whitespace and the width of letters are ignored.
    """
    plain = []
    for text in texts:
        if not text.isascii():
            text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        plain.append("".join(text.casefold().split()))
    digest = hashlib.blake2b("\0".join(plain).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
