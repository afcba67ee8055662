"""The scores of a run, of folds and of sweeps as tables (titles, rows of str), for terminals and reports."""

import json

import numpy as np

from tfbert.reports.sections import text_of

SEEDS = ("seed", "init_seed", "data_seed")
_INTERVAL = "95 % interval"


def scores_of_run(results, intervals, metric=None):
    """Returns the scores of a run or an evaluation, beside those of simple baselines: (titles, rows).

    Args:
        results: dict. The content of `eval_results.json`: "dev" and "test" are dicts of scores; so are `baseline` and
            the `scores` of `linear_probe`, if present.
        intervals: dict. "dev", "test" -> dict of name -> (low, high).
        metric: str or None. The score that chose the model; it comes first.
    """
    splits = [split for split in ("dev", "test") if split in results]
    names = list(dict.fromkeys(name for split in splits for name in results[split]))
    names.sort(key=lambda name: name != metric)
    head, rows = ["score"], [[name] for name in names]
    for split in splits:
        head += [split] + [_INTERVAL] * (split in intervals)
        for row, name in zip(rows, names):
            row.append(_number(results[split], name))
            if split in intervals:
                row.append("{:.4f} to {:.4f}".format(*intervals[split][name]) if name in intervals[split] else "")
    simple = {"linear probe": (results.get("linear_probe") or {}).get("scores"), "one answer": results.get("baseline")}
    for title, scores in simple.items():
        if scores:
            head.append(title)
            for row, name in zip(rows, names):
                row.append(_number(scores, name))
    return head, rows


def scores_of_folds(results, intervals):
    """Returns the scores of a cross-validation: (titles, rows).

    Args:
        results: dict. The content of `eval_results.json`.
        intervals: dict of name -> (low, high), of the out-of-fold scores.
    """
    own, rows = [split for split in ("dev", "test") if split in results], []
    for name, value in results["out_of_fold"].items():
        row = [name, f"{value:.4f}", "{:.4f} to {:.4f}".format(*intervals[name]) if name in intervals else ""]
        scored = sum(name in found for found in results["folds"])
        of_some = f" ({scored} of {len(results['folds'])} folds)" * (0 < scored < len(results["folds"]))
        row.append(spread(results["mean"].get(name, np.nan), results["std"].get(name, np.nan)) + of_some)
        rows.append(row + [_number(results[split], name) for split in own])
    return ["score", "out of fold", _INTERVAL, "folds, mean ± std", *(f"ensemble on {split}" for split in own)], rows


def scores_of_groups(metric, groups, sign):
    """Returns the scores of each group of runs: (titles, rows).

    Args:
        metric: str. The dev score by which runs are compared.
        groups: dict of name -> list of SweepTrial.
        sign: -1 if lower is better, else 1.
    """
    rows = []
    for name, members in groups.items():
        found = summary_of(metric, members, sign)
        test = np.array([trial.results.get("test", {}).get(metric, np.nan) for trial in members])
        test = test[np.isfinite(test)]
        rows.append(
            [
                name,
                str(found["runs"]),
                spread(found["mean"], found["std"]),
                spread(found["median"], np.nan),
                spread(found["best"], np.nan),
                f"{found['failed']:.0%}",
                spread(test.mean(), test.std(ddof=1) if test.size > 1 else np.nan) if test.size else "",
            ]
        )
    head = ["setting", "runs", "mean ± std", "median", "best", "failed", "test, mean ± std"]
    keep = [i for i in range(len(head)) if i < 6 or any(row[i] for row in rows)]
    return [head[i] for i in keep], [[row[i] for i in keep] for row in rows]


def group_trials(trials, settings):
    """Groups trials by how they differ from the sweep's own settings, seeds aside: str -> list of SweepTrial.

    Args:
        trials: list of SweepTrial.
        settings: dict. The settings of the sweep, by name.
    """
    settings, groups = json.loads(json.dumps(settings)), {}  # trials have lists where settings have tuples
    for trial in trials:
        varied = {name: value for name, value in trial.settings.items() if name not in SEEDS}
        if len(varied) > 2:  # too long to show in full
            varied = {name: value for name, value in varied.items() if value != settings[name]}
        name = ", ".join(f"{name}={text_of(value)}" for name, value in varied.items())
        groups.setdefault(name or "as configured", []).append(trial)
    return groups


def score_of(trial, metric):
    """Returns a trial's dev score: float, NaN if the run did not finish."""
    return trial.results.get("dev", {}).get(metric, np.nan)


def summary_of(metric, members, sign):
    """Returns statistics of the dev scores of some runs, NaN where undefined: dict; sign -1: lower is better."""
    values = np.array([score_of(trial, metric) for trial in members])
    scored = values[np.isfinite(values)]
    found = dict.fromkeys(("mean", "std", "median", "best"), np.nan)
    if scored.size:
        found |= {"mean": scored.mean(), "median": np.median(scored), "best": sign * (sign * scored).max()}
    if scored.size > 1:
        found["std"] = scored.std(ddof=1)
    return found | {"runs": len(members), "failed": np.mean([bool(trial.failed) for trial in members])}


def spread(mean, deviation):
    """Returns a mean and its standard deviation as text, leaving out what is NaN: str."""
    shown = f"{mean:.4f}" if np.isfinite(mean) else ""
    return f"{shown} ± {deviation:.4f}" if np.isfinite(deviation) else shown


def _number(scores, name):
    return f"{scores[name]:.4f}" if name in scores else ""
