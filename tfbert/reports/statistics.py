"""Statistics over many runs: the expected best of k runs, and the effect of one setting."""

import json

import numpy as np

from tfbert.tasks.scores.resampled import resampled_metrics

# Numbers to hold in memory at a time.
_CELLS = 2**22


def best_of(scores):
    """Returns the expected best score of k runs, k = 1 … n: float [n] -> float [n].

    With scores in order, E[max of k] = Σ_i x_(i) ((i / n)^k - ((i - 1) / n)^k).

    Source: Dodge et al. 2019 (1909.03004), equations 1 to 3: draws from the empirical distribution, with replacement.
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    n = len(ordered)
    powers = (np.arange(n + 1) / n)[None, :] ** np.arange(1, n + 1)[:, None]
    return np.diff(powers, axis=1) @ ordered


def mean_and_spread(runs):
    """Returns the mean of each score over some runs, and its standard deviation: (dict, dict), name -> float.

    Args:
        runs: list of dict, name -> float. A run in which a score is undefined lacks it and does not count for it; a
            single run has no deviation.
    """
    values = {}
    for name, value in (item for run in runs for item in run.items()):
        values.setdefault(name, []).append(value)
    means = {name: float(np.mean(found)) for name, found in values.items()}
    return means, {name: float(np.std(found, ddof=1)) for name, found in values.items() if len(found) > 1}


def bootstrap_intervals(task, labels, outputs, resamples=1000):
    """Returns the 95 % bootstrap interval of each score over the examples: dict name -> (low, high).

    Args:
        task: one of TASKS.
        labels: np.ndarray [N, ...].
        outputs: np.float32 [N, outputs].
        resamples: int. Datasets of N examples, drawn with replacement with a fixed seed; those for which a score
            is undefined do not count for it.

    Source: Efron and Tibshirani 1993, chapter 13: percentiles.
    """
    rng, rows, found = np.random.default_rng(0), len(labels), {}
    at_once = max(1, _CELLS // rows)
    for first in range(0, resamples, at_once):
        weights = rng.multinomial(rows, np.full(rows, 1 / rows), min(at_once, resamples - first)).astype(np.float64)
        for name, scores in resampled_metrics(task, labels, outputs, weights).items():
            found.setdefault(name, []).append(scores)
    scores = {name: np.concatenate(parts) for name, parts in found.items()}
    scores = {name: values[np.isfinite(values)] for name, values in scores.items()}
    return {name: tuple(np.percentile(values, [2.5, 97.5])) for name, values in scores.items() if values.size}


def paired_effect(trials, name, before, after, score, resamples=10_000):
    """Returns the effect of one setting on the score, over pairs of runs that are otherwise equal.

    Args:
        trials: list of SweepTrial.
        name: str. The setting.
        before, after: its two values.
        score: callable (SweepTrial) -> float.
        resamples: int.

    Returns:
        dict with `pairs` (int), `mean` (of the differences after - before) and `interval` (low, high): the 95 %
        bootstrap percentile interval of that mean, seeded. None if there are fewer than two pairs.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13, by scipy.stats.bootstrap.
    """
    from scipy import stats

    sides = {json.dumps(before): {}, json.dumps(after): {}}
    for trial in trials:
        rest = json.dumps({other: value for other, value in trial.settings.items() if other != name}, sort_keys=True)
        value = json.dumps(trial.settings[name])
        if value in sides and np.isfinite(score(trial)):
            sides[value][rest] = score(trial)
    first, second = sides.values()
    differences = np.array([second[rest] - first[rest] for rest in sorted(first.keys() & second.keys())])
    if len(differences) < 2:
        return None
    found = stats.bootstrap((differences,), np.mean, n_resamples=resamples, method="percentile",
                            rng=np.random.default_rng(0))  # fmt: skip
    interval = found.confidence_interval
    return {"pairs": len(differences), "mean": differences.mean(), "interval": (interval.low, interval.high)}
