"""report.html of a sweep: which setting to trust, and how the runs differ."""

import functools
import html
import json

import numpy as np

from tfbert.reports.page import COLORS, figure, legend_beside, name_axes, table
from tfbert.reports.score_tables import SEEDS, group_trials, score_of, scores_of_groups, spread, summary_of
from tfbert.reports.sections import read_metrics, settings_section, text_of, verdict, versions, write_report
from tfbert.reports.statistics import best_of, paired_effect
from tfbert.tasks import TASKS

_MOST_CURVES = len(COLORS)


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
    body.append("<h2>Scores over seeds</h2>" + table(*scores_of_groups(metric, groups, sign)))
    body.append(
        f"<p class=quiet>{html.escape(metric)} on dev. Failed: no better than one answer to every text, or unfinished."
        "</p>"
    )
    body.append(figure(f"Distribution of {metric} on dev", [lambda axes: _boxes(axes, metric, groups)],
                       height=1.2 + 0.45 * len(groups)))  # fmt: skip
    if any(len(members) > 1 for members in groups.values()):
        curves_of = functools.partial(_best_of_curves, metric=metric, groups=groups, sign=sign)
        body.append(figure(f"Expected best {metric} of k runs", [curves_of]))
    if any(len(curve) > 1 for members in curves.values() for curve in members):
        body.append(figure(f"{metric} on dev while training", [lambda axes: _group_curves(axes, curves, metric)]))
    body.append("<h2>Effect of each setting</h2>" + _effects_table(metric, trials))
    body.append(_failures(trials))
    body += [settings_section(settings), versions(next((trial.results for trial in trials if trial.results), {}))]
    write_report(output_dir, f"Sweep: {settings['task']} with {settings['preset']}", body)


def _sweep_verdict(metric, groups, sign):
    """Returns which setting to trust: the one with the best median, and by how much it leads.

    Args:
        metric: str.
        groups: dict of list of SweepTrial.
        sign: -1 if lower is better, else 1.
    """
    found = {name: summary_of(metric, members, sign) for name, members in groups.items()}
    scored = [name for name in groups if np.isfinite(found[name]["median"])]
    if not scored:
        return verdict(f"No run has a score ({html.escape(metric)} on dev): nothing can be compared.", bad=True)
    ranked = sorted(scored, key=lambda name: (-sign * found[name]["median"], found[name]["failed"]))
    best = found[ranked[0]]
    text = (
        f"Best median {metric}: <b>{html.escape(ranked[0])}</b>, {best['median']:.4f} "
        f"(mean {spread(best['mean'], best['std'])} over {best['runs']} runs, {best['failed']:.0%} failed)."
    )
    if len(ranked) > 1:
        lead, second = abs(best["median"] - found[ranked[1]]["median"]), html.escape(ranked[1])
        if lead:
            text += f" Its lead over the next, {second}, is {lead:.4f}: "
            text += _weight_of(lead, [found[name]["std"] for name in ranked[:2]])
        else:
            text += f" It has no lead: {second} has the same median."
    return verdict(text, bad=best["failed"] > 0.2)


def _weight_of(lead, deviations):
    """Compares a lead with the standard deviations between seeds, NaN for a single run: str."""
    known = [deviation for deviation in deviations if np.isfinite(deviation)]
    if not known:
        return "with one run each, another seed might reverse it."
    return f"{'less' if lead < max(known) else 'more'} than one standard deviation between seeds."


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
                    f"{name}: {text_of(json.loads(values[0]))} → {text_of(json.loads(value))}",
                    found["pairs"], f"{found['mean']:+.4f}", f"{low:+.4f} to {high:+.4f}", verdict,
                ])  # fmt: skip
    if not rows:
        return "<p class=quiet>Only seeds were varied.</p>"
    return table(["change", "pairs", "mean difference", "95 % interval", "the score is"], rows) + (
        "<p class=quiet>Pairs of runs that differ only in this setting and have equal seeds; the interval is a "
        "bootstrap over the pairs.</p>"
    )


def _failures(trials):
    failed = [(trial, trial.failed) for trial in trials if trial.failed]
    if not failed:
        return ""
    items = "".join(
        f"<li>{html.escape(', '.join(f'{n}={text_of(v)}' for n, v in trial.settings.items()) + ': ' + reason)}</li>"
        for trial, reason in failed
    )
    return f"<details><summary>{len(failed)} failed runs</summary><ul>{items}</ul></details>"


def _boxes(axes, metric, groups):
    names = list(groups)
    values = [np.array([score_of(trial, metric) for trial in members]) for members in groups.values()]
    scored = [value[np.isfinite(value)] for value in values]
    median = {"color": COLORS[1]}
    axes.boxplot(scored, orientation="horizontal", showfliers=False, widths=0.5, medianprops=median)
    rng = np.random.default_rng(0)
    for place, (members, value) in enumerate(zip(groups.values(), values), start=1):
        heights = place + rng.uniform(-0.15, 0.15, len(value))
        bad = np.array([bool(trial.failed) for trial in members])
        axes.scatter(value[~bad], heights[~bad], s=14, color=COLORS[0], alpha=0.7, zorder=3)
        axes.scatter(value[bad], heights[bad], s=22, color="#cf222e", marker="x", zorder=3)
    axes.set_yticks(range(1, len(names) + 1), names, fontsize=8)
    axes.invert_yaxis()
    name_axes(axes, f"{metric} on dev (× failed)", "")


def _best_of_curves(axes, metric, groups, sign):
    for number, (name, members) in enumerate(list(groups.items())[:_MOST_CURVES]):
        values = np.array([score_of(trial, metric) for trial in members])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        expected = sign * best_of(sign * values)
        axes.plot(range(1, len(expected) + 1), expected, "o-", ms=3, color=COLORS[number], label=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    legend_beside(axes)
    name_axes(axes, "runs, k", f"expected best {metric}")


def _group_curves(axes, curves, metric):
    for number, (name, members) in enumerate(list(curves.items())[:_MOST_CURVES]):
        steps = sorted({step for curve in members for step in curve})
        values = np.array([[curve.get(step, np.nan) for step in steps] for curve in members])
        for row in values:
            axes.plot(steps, row, color=COLORS[number], alpha=0.15, lw=0.8)
        axes.plot(steps, np.nanmedian(values, axis=0), color=COLORS[number], lw=2, label=name) if steps else None
    legend_beside(axes)
    name_axes(axes, "step", f"{metric} on dev; bold: the median")


def _curve(folder, metric):
    return {line["step"]: line[metric] for line in read_metrics(folder) if line["split"] == "dev" and metric in line}
