"""report.html: the results of one or many runs, in one self-contained file."""

import functools
import html
import importlib.metadata
import json
import os
import platform

import numpy as np
import tensorflow as tf

from tfbert.core.extras import DISTRIBUTION
from tfbert.core.files import write_whole
from tfbert.reports.page import COLORS, figure, legend_beside, name_axes, page, table
from tfbert.reports.quality import mislabelled_section, quality_sections
from tfbert.reports.statistics import best_of, bootstrap_intervals, paired_effect
from tfbert.tasks import TASKS

_PACKAGES = (DISTRIBUTION, "tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy")
_MOST_CURVES = len(COLORS)


def write_run_report(output_dir, settings, metric, results, task, outputs):
    """Writes the report of one run.

    Args:
        output_dir: str. It holds the run's `metrics.jsonl`.
        settings: dict. All settings, by name.
        metric: str. The dev score that chose the model.
        results: dict. The content of `eval_results.json`.
        task: one of TASKS.
        outputs: dict. The best model's: "dev", "test" -> (labels, np.float32 [N, outputs]).
    """
    lines = read_metrics(output_dir)
    train, dev = ([line for line in lines if line["split"] == split] for split in ("train", "dev"))
    body = [_run_verdict(metric, results)]
    columns = 2 if dev else 1
    body.append(figure("Learning curves", lambda axes: _learning_curves(axes, train, dev, metric), columns))
    if any(name.startswith("gradient_norm/") for line in train for name in line):
        body.append(figure("Gradient norms by layer", lambda axes: _gradient_norms(axes, train)))
    intervals = {split: bootstrap_intervals(task, *found) for split, found in outputs.items()}
    if "dev" in results or "test" in results:
        body.append("<h2>Scores</h2>" + _scores_table(results, intervals))
    for name, head, rows in task.tables(results):
        body.append(f"<h2>{name}</h2><div class=words>{table(head, rows)}</div>")
    for split in list(outputs)[-1:]:
        body += quality_sections(task, *outputs[split], split)
    body += [_settings_of(settings), _about(results)]
    title = f"{settings['task']} with {settings['preset']}"
    _write(output_dir, title, body)


def write_folds_report(output_dir, settings, results, task, labels, outputs, mislabelled):
    """Writes the report of a cross-validation.

    Args:
        output_dir: str.
        settings: dict. All settings, by name.
        results: dict. The content of `eval_results.json`.
        task: one of TASKS.
        labels: np.ndarray [N, ...]. Those of the training rows.
        outputs: np.float32 [N, outputs]. The out-of-fold outputs.
        mislabelled: as `mislabelled_section` takes it.
    """
    intervals, own = bootstrap_intervals(task, labels, outputs), [s for s in ("dev", "test") if s in results]
    rows = []
    for name, value in results["out_of_fold"].items():
        row = [name, f"{value:.4f}", "{:.4f} to {:.4f}".format(*intervals[name]) if name in intervals else ""]
        scored = sum(name in found for found in results["folds"])
        of_some = f" ({scored} of {len(results['folds'])} folds)" * (0 < scored < len(results["folds"]))
        row.append(_spread(results["mean"].get(name, np.nan), results["std"].get(name, np.nan)) + of_some)
        rows.append(row + [f"{results[split][name]:.4f}" if name in results[split] else "" for split in own])
    head = ["score", "out of fold", "95 % interval", "folds, mean ± std", *(f"ensemble on {split}" for split in own)]
    text = f"{len(results['folds'])} models, each scored on the rows that it was not trained on."
    if results["split_texts"]:
        text += f" {results['split_texts']} rows have a text of another fold, so the scores are too optimistic."
    if results["failed"]:
        text += f" <b>Runs have failed</b>: {html.escape(results['failed'])}."
    bad = results["failed"] or results["split_texts"] > 0.01 * len(labels)
    body = [_verdict(text, bad=bool(bad)), "<h2>Scores</h2>" + table(head, rows)]
    body += quality_sections(task, labels, outputs, "all folds")
    if mislabelled is None or mislabelled:
        body.append(mislabelled_section(mislabelled))
    body += [_settings_of(settings), _about(results)]
    _write(output_dir, f"{settings['task']} with {settings['preset']}: {len(results['folds'])} folds", body)


def write_sweep_report(output_dir, settings, metric, trials):
    """Writes the report of a sweep.

    Args:
        output_dir: str.
        settings: dict. What all trials share, by name; `sweep` holds what varies.
        metric: str. The dev score by which trials are compared.
        trials: list of SweepTrial, those that have ended.
    """
    groups = group_trials(trials, settings)
    sign = -1 if TASKS[settings["task"]].lower_is_better(metric) else 1
    curves = {name: [_curve(trial.folder, metric) for trial in members] for name, members in groups.items()}
    body = [_sweep_verdict(metric, groups, sign)]
    body.append("<h2>Scores over seeds</h2>" + _groups_table(metric, groups, sign))
    body.append(figure(f"Distribution of {metric} on dev", lambda axes: _boxes(axes, metric, groups),
                       height=1.2 + 0.45 * len(groups)))  # fmt: skip
    if any(len(members) > 1 for members in groups.values()):
        curves_of = functools.partial(_best_of_curves, metric=metric, groups=groups, sign=sign)
        body.append(figure(f"Expected best {metric} of k runs", curves_of))
    if any(curve for members in curves.values() for curve in members):
        body.append(figure(f"{metric} on dev while training", lambda axes: _group_curves(axes, curves, metric)))
    body.append("<h2>Effect of each setting</h2>" + _effects_table(metric, trials))
    body.append(_failures(trials))
    body += [_settings_of(settings), _about(next((trial.results for trial in trials if trial.results), {}))]
    _write(output_dir, f"Sweep: {settings['task']} with {settings['preset']}", body)


SEEDS = ("seed", "init_seed", "data_seed")


def group_trials(trials, settings):
    """Returns the trials by how they differ from the sweep's own settings, seeds apart: str -> list of SweepTrial.

    Args:
        trials: list of SweepTrial.
        settings: dict. Those of the sweep, by name.
    """
    settings, groups = json.loads(json.dumps(settings)), {}  # trials have lists where settings have tuples
    for trial in trials:
        varied = {name: value for name, value in trial.settings.items() if name not in SEEDS}
        if len(varied) > 2:  # too long to be told in full
            varied = {name: value for name, value in varied.items() if value != settings[name]}
        name = ", ".join(f"{name}={_text(value)}" for name, value in varied.items())
        groups.setdefault(name or "as configured", []).append(trial)
    return groups


def score_of(trial, metric):
    """Returns a trial's dev score: float, NaN where the run broke off."""
    return trial.results.get("dev", {}).get(metric, np.nan)


def read_metrics(folder):
    """Returns the lines of a run's metrics.jsonl: list of dict; none where there is no file."""
    path = os.path.join(folder, "metrics.jsonl")
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        return [json.loads(line) for line in file.read().splitlines()]


def _run_verdict(metric, results):
    if "dev" not in results:
        return _verdict("Trained without a dev file, so there are no scores.", bad=True)
    score = f"{results['dev'][metric]:.4f}" if metric in results["dev"] else "undefined"
    text = f"{metric} on dev: <b>{score}</b>, from step {results['best_step']} of {results['steps']}."
    if results["failed"]:
        text = f"<b>This run has failed</b>: {html.escape(results['failed'])}."
    elif metric in results["baseline"]:
        text += f" A constant answer would score {results['baseline'][metric]:.4f}."
    if results.get("restarts"):
        text += f" It replaces {results['restarts']} failed run{'s' * (results['restarts'] > 1)} in this folder."
    text += " This is one run with one seed; other seeds score differently."
    warnings = "".join(f"<li>{html.escape(warning)}</li>" for warning in results["warnings"])
    if warnings:
        text += f"{'' if results['failed'] else ' Warnings on the way, which it got over:'}<ul>{warnings}</ul>"
    return _verdict(text, bad=bool(results["failed"]))


def _sweep_verdict(metric, groups, sign):
    """Returns a sentence on the best setting by median, and its lead.

    Args:
        metric: str.
        groups: dict of list of SweepTrial.
        sign: -1 where lower is better, else 1.
    """
    found = {name: _summary(metric, members, sign) for name, members in groups.items()}
    scored = [name for name in groups if np.isfinite(found[name]["median"])]
    if not scored:
        return _verdict(f"No run has a score ({html.escape(metric)} on dev), so nothing can be compared.", bad=True)
    ranked = sorted(scored, key=lambda name: -sign * found[name]["median"])
    best = found[ranked[0]]
    text = (
        f"Best median {metric}: <b>{html.escape(ranked[0])}</b>, {best['median']:.4f} "
        f"(mean {_spread(best['mean'], best['std'])} over {best['runs']} runs, {best['failed']:.0%} failed)."
    )
    if len(ranked) > 1:
        lead = abs(best["median"] - found[ranked[1]]["median"])
        text += f" Its lead over the next, {html.escape(ranked[1])}, is {lead:.4f}: "
        text += _weight_of(lead, [found[name]["std"] for name in ranked[:2]])
    return _verdict(text, bad=best["failed"] > 0.2)


def _weight_of(lead, deviations):
    """Returns a phrase comparing a lead with the standard deviations between seeds (NaN for one run): str."""
    known = [deviation for deviation in deviations if np.isfinite(deviation)]
    if not known:
        return "with one run each, another seed might reverse it."
    return f"{'less' if lead < max(known) else 'more'} than one standard deviation between seeds."


def _spread(mean, deviation):
    """Returns a mean and its standard deviation in words, what is NaN left out: str."""
    shown = f"{mean:.4f}" if np.isfinite(mean) else ""
    return f"{shown} ± {deviation:.4f}" if np.isfinite(deviation) else shown


def _summary(metric, members, sign):
    """Returns statistics of the dev scores of some runs, NaN if undefined: dict; sign -1: lower is better."""
    values = np.array([score_of(trial, metric) for trial in members])
    scored = values[np.isfinite(values)]
    found = dict.fromkeys(("mean", "std", "median", "best"), np.nan)
    if scored.size:
        found |= {"mean": scored.mean(), "median": np.median(scored), "best": sign * (sign * scored).max()}
    if scored.size > 1:
        found["std"] = scored.std(ddof=1)
    return found | {"runs": len(members), "failed": np.mean([bool(trial.failed) for trial in members])}


def _groups_table(metric, groups, sign):
    rows = []
    for name, members in groups.items():
        found = _summary(metric, members, sign)
        test = np.array([trial.results.get("test", {}).get(metric, np.nan) for trial in members])
        test = test[np.isfinite(test)]
        rows.append(
            [
                name,
                found["runs"],
                _spread(found["mean"], found["std"]),
                _spread(found["median"], np.nan),
                _spread(found["best"], np.nan),
                f"{found['failed']:.0%}",
                _spread(test.mean(), test.std(ddof=1) if test.size > 1 else np.nan) if test.size else "",
            ]
        )
    head = ["setting", "runs", "mean ± std", "median", "best", "failed", "test, mean ± std"]
    keep = [i for i in range(len(head)) if i < 6 or any(row[i] for row in rows)]
    return table([head[i] for i in keep], [[row[i] for i in keep] for row in rows]) + (
        f"<p class=quiet>{html.escape(metric)} on dev. Failed: no better than one answer to every text, or broken off."
        "</p>"
    )


def _effects_table(metric, trials):
    rows = []
    for name in trials[0].settings:
        if name in SEEDS:
            continue
        values = list(dict.fromkeys(json.dumps(trial.settings[name]) for trial in trials))
        for value in values[1:]:
            found = paired_effect(trials, name, json.loads(values[0]), json.loads(value), lambda t: score_of(t, metric))
            if found:
                low, high = found["interval"]
                verdict = "higher" if low > 0 else "lower" if high < 0 else "not distinguishable"
                rows.append([
                    f"{name}: {_text(json.loads(values[0]))} → {_text(json.loads(value))}",
                    found["pairs"], f"{found['mean']:+.4f}", f"{low:+.4f} to {high:+.4f}", verdict,
                ])  # fmt: skip
    if not rows:
        return "<p class=quiet>Nothing was varied but seeds.</p>"
    return table(["change", "pairs", "mean difference", "95 % interval", "the score is"], rows) + (
        "<p class=quiet>Pairs of runs that are equal but for this setting, the seed included; the interval is a "
        "bootstrap over the pairs.</p>"
    )


def _failures(trials):
    failed = [(trial, trial.failed) for trial in trials if trial.failed]
    if not failed:
        return ""
    items = "".join(
        f"<li>{html.escape(', '.join(f'{n}={_text(v)}' for n, v in trial.settings.items()) + ': ' + reason)}</li>"
        for trial, reason in failed
    )
    return f"<details><summary>{len(failed)} failed runs</summary><ul>{items}</ul></details>"


def _learning_curves(axes, train, dev, metric):
    left = axes[0]
    left.plot([line["step"] for line in train], [line["loss"] for line in train], color=COLORS[0], label="train")
    if dev:
        for axis, name in ((left, "loss"), (axes[1], metric)):
            points = [(line["step"], line[name]) for line in dev if name in line]
            axis.plot(*zip(*points), "o-", color=COLORS[1], label="dev") if points else None
        name_axes(axes[1], "step", f"{metric} on dev")
    left.legend(frameon=False)
    name_axes(left, "step", "loss")


def _gradient_norms(axes, train):
    names = [name for name in train[0] if name.startswith("gradient_norm/")]
    for number, name in enumerate(names):
        axes[0].plot([line["step"] for line in train], [max(line.get(name, np.nan), 1e-12) for line in train],
                     color=_shade(number / max(len(names) - 1, 1)), label=name.partition("/")[2])  # fmt: skip
    axes[0].set_yscale("log")
    legend_beside(axes[0])
    name_axes(axes[0], "step", "norm before clipping")


def _boxes(axes, metric, groups):
    names = list(groups)
    values = [np.array([score_of(trial, metric) for trial in members]) for members in groups.values()]
    axes[0].boxplot([value[np.isfinite(value)] for value in values], orientation="horizontal", showfliers=False,
                    widths=0.5, medianprops={"color": COLORS[1]})  # fmt: skip
    rng = np.random.default_rng(0)
    for place, (members, value) in enumerate(zip(groups.values(), values), start=1):
        heights = place + rng.uniform(-0.15, 0.15, len(value))
        bad = np.array([bool(trial.failed) for trial in members])
        axes[0].scatter(value[~bad], heights[~bad], s=14, color=COLORS[0], alpha=0.7, zorder=3)
        axes[0].scatter(value[bad], heights[bad], s=22, color="#cf222e", marker="x", zorder=3)
    axes[0].set_yticks(range(1, len(names) + 1), names, fontsize=8)
    axes[0].invert_yaxis()
    name_axes(axes[0], f"{metric} on dev (× failed)", "")


def _best_of_curves(axes, metric, groups, sign):
    for number, (name, members) in enumerate(list(groups.items())[:_MOST_CURVES]):
        values = np.array([score_of(trial, metric) for trial in members])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        expected = sign * best_of(sign * values)
        axes[0].plot(range(1, len(expected) + 1), expected, "o-", ms=3, color=COLORS[number], label=name)
    axes[0].xaxis.get_major_locator().set_params(integer=True)
    legend_beside(axes[0])
    name_axes(axes[0], "runs, k", f"expected best {metric}")


def _group_curves(axes, curves, metric):
    for number, (name, members) in enumerate(list(curves.items())[:_MOST_CURVES]):
        steps = sorted({step for curve in members for step in curve})
        values = np.array([[curve.get(step, np.nan) for step in steps] for curve in members])
        for row in values:
            axes[0].plot(steps, row, color=COLORS[number], alpha=0.15, lw=0.8)
        axes[0].plot(steps, np.nanmedian(values, axis=0), color=COLORS[number], lw=2, label=name) if steps else None
    legend_beside(axes[0])
    name_axes(axes[0], "step", f"{metric} on dev; bold: the median")


def _curve(folder, metric):
    return {line["step"]: line[metric] for line in read_metrics(folder) if line["split"] == "dev" and metric in line}


def _shade(share):
    import matplotlib

    return matplotlib.colormaps["viridis"](0.9 * share)


def _verdict(text, bad=False):
    return f'<div class="verdict{" bad" if bad else ""}">{text}</div>'


def _scores_table(results, intervals):
    splits = [split for split in ("dev", "test") if split in results]
    head, rows = ["score"], {name: [name] for split in splits for name in results[split]}
    for split in splits:
        head += [split] + ["95 % interval"] * (split in intervals)
        for name, row in rows.items():
            row.append(f"{results[split][name]:.4f}" if name in results[split] else "")
            if split in intervals:
                row.append("{:.4f} to {:.4f}".format(*intervals[split][name]) if name in intervals[split] else "")
    if "baseline" in results:
        head.append("baseline")
        for name, row in rows.items():
            row.append(f"{results['baseline'][name]:.4f}" if name in results["baseline"] else "")
    return table(head, list(rows.values())) + (
        "<p class=quiet>Baseline: one answer to every text. Intervals: a bootstrap over the examples, which says what "
        "other examples would change, not what another seed would.</p>"
    )


def _settings_of(settings):
    rows = "\n".join(f"{name}: {_text(value)}" for name, value in settings.items() if value not in (None, (), []))
    inside = f"<summary>All settings</summary><pre>{html.escape(rows)}</pre>"
    return f"<h2>Settings and versions</h2><details>{inside}</details>"


def _about(results):
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    hashes = "".join(f"<br>{split} data: sha256 {digest}" for split, digest in results.get("data", {}).items())
    return f"<p class=quiet>{', '.join(versions)}; Python {platform.python_version()}{hashes}</p>"


def _text(value):
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def _write(output_dir, title, body):
    write_whole(os.path.join(output_dir, "report.html"), page(title, body).encode())
