"""report.html: the results of a run and what to do next, in one self-contained file."""

import html

import numpy as np

from tfbert.reports.page import COLORS, figure, legend_beside, name_axes, table, table_of_texts
from tfbert.reports.quality import quality_sections
from tfbert.reports.score_tables import scores_of_run
from tfbert.reports.sections import (
    command_section,
    read_metrics,
    settings_section,
    verdict,
    versions,
    with_flags,
    write_report,
)

_COMMANDS = {"retrain": "Train again with this setting:", "predict": "Predict the texts of a file:"}


def write_run_report(
    output_dir, settings, metric, results, task, outputs, intervals, summary=None, mistakes=(), commands=()
):
    """Writes the report of one run.

    Args:
        output_dir: str. It holds the run's `metrics.jsonl`.
        settings: dict. All settings, by name.
        metric: str. The dev score that chose the model.
        results: dict. The content of `eval_results.json`.
        task: one of TASKS.
        outputs: dict. The best model's: "dev", "test" -> (labels, np.float32 [N, outputs]).
        intervals: dict. "dev", "test" -> dict of name -> (low, high), the 95 % intervals over examples.
        summary: DataSummary or None. Statistics of the data.
        mistakes: list of (row, label, answer, how wrong, text), from the task's `mistakes`.
        commands: list of (purpose, command). What to run next.
    """
    lines = read_metrics(output_dir)
    train, dev = ([line for line in lines if line["split"] == split] for split in ("train", "dev"))
    body = [_run_verdict(metric, results, task, intervals), _next_section(results, summary, commands)]
    if intervals:
        body.append(_scores_section(results, intervals, metric))
    body.append(_curves(train, dev, metric))
    for name, head, rows in task.tables(results):
        body.append(f"<h2>{name}</h2><div class=words>{table(head, rows)}</div>")
    for split in list(outputs)[-1:]:
        body += quality_sections(task, *outputs[split], split)
    if mistakes:
        body.append(_mistakes_section(task.mistake_columns, mistakes))
    if summary:
        body.append(_data_section(summary))
    if any(name.startswith("gradient_norm/") for line in train for name in line):
        body.append(figure("Gradient norms by layer", [lambda axes: _gradient_norms(axes, train)]))
    body += [settings_section(settings), versions(results)]
    title = f"{settings['task']} with {settings['preset']}"
    write_report(output_dir, title, body)


def _next_section(results, summary, commands):
    """Returns the section on what to do next: remarks on the answers, settings to try, commands to copy."""
    remarks = results.get("remarks", ())
    told = {flag for _, flag in remarks}
    advice = [line for line in (summary.advice if summary else ()) if line.partition(",")[0] not in told]
    lines = [f"{sentence}: {flag}." if flag else f"{sentence}." for sentence, flag in remarks]
    items = "".join(f"<li>{with_flags(line)}</li>" for line in [*lines, *advice])
    shown = "".join(command_section(_COMMANDS[name], text) for name, text in commands)
    return f"<h2>What to do next</h2>{f'<ul>{items}</ul>' if items else ''}{shown}" if items or shown else ""


def _scores_section(results, intervals, metric):
    notes = "95 % intervals: a bootstrap over the examples, which shows how much the scores depend on them, not on the "
    notes += "seed."
    if probe := results.get("linear_probe"):
        notes += (
            f" Linear probe: a linear model on the vectors of the encoder before any training, fitted to "
            f"{probe['rows']:,} training rows and scored on {probe['dev_rows']:,} dev rows."
        )
    if results.get("baseline"):
        notes += " One answer: the same answer to every text, on dev."
    shown = table(*scores_of_run(results, intervals, metric))
    return f"<h2>Scores</h2>{shown}<p class=quiet>{notes}</p>"


def _mistakes_section(columns, mistakes):
    shown = table_of_texts(["dev row", *columns, "text"], mistakes)
    note = "The worst first. Some of these texts are hard, some may have the wrong label."
    return f"<h2>Worst mistakes on dev</h2>{shown}<p class=quiet>{note}</p>"


def _data_section(summary):
    items = "".join(f"<li>{with_flags(line)}</li>" for line in summary.findings)
    return f"<h2>Data</h2>{table(summary.head, summary.rows)}" + (f"<ul>{items}</ul>" if items else "")


def _run_verdict(metric, results, task, intervals):
    if "dev" not in results:
        return verdict("Trained without a dev file: nothing here shows how good the model is.", bad=True)
    score, unsure = results["dev"].get(metric), False
    text = f"{metric} on dev: <b>{'undefined' if score is None else f'{score:.4f}'}</b>"
    if metric in intervals["dev"]:
        text += " (95 % interval {:.4f} to {:.4f})".format(*intervals["dev"][metric])
    text += f", from step {results['best_step']} of {results['steps']}."
    if results["failed"]:
        text = f"<b>This run has failed</b>: {html.escape(results['failed'])}."
    elif metric in results["baseline"]:
        text += f" One answer to every text would score {results['baseline'][metric]:.4f}"
        probed = (results.get("linear_probe") or {}).get("scores", {})
        text += f", a linear probe {probed[metric]:.4f}." if metric in probed else "."
        unsure = not task.is_better(metric, score, results["baseline"][metric])
        text += " Its answers are no better than that, but it ranks the texts well, so it has learned." * unsure
    if results.get("restarts"):
        text += f" It replaces {results['restarts']} failed run{'s' * (results['restarts'] > 1)} in this folder."
    text += " This is one run with one seed; other seeds score differently."
    warnings = "".join(f"<li>{html.escape(warning)}</li>" for warning in results["warnings"])
    if warnings:
        text += f"{'' if results['failed'] else ' Warnings from which it recovered:'}<ul>{warnings}</ul>"
    return verdict(text, bool(results["failed"]), unsure)


def _curves(train, dev, metric):
    """Returns the losses by step, and the dev score that chose the model, if it was measured more than once."""
    points = [(line["step"], line[metric]) for line in dev if metric in line]
    losses = [(line["step"], line["loss"]) for line in dev]

    def draw_losses(axes):
        axes.plot([line["step"] for line in train], [line["loss"] for line in train], color=COLORS[0], label="train")
        if losses:
            axes.plot(*zip(*losses), "o-", color=COLORS[1], label="dev")
        axes.legend(frameon=False)
        name_axes(axes, "step", "loss")

    def draw_scores(axes):
        axes.plot(*zip(*points), "o-", color=COLORS[1])
        name_axes(axes, "step", f"{metric} on dev")

    several = len(points) > 1 and metric != "loss"
    return figure("Learning curves", [draw_losses] + [draw_scores] * several)


def _gradient_norms(axes, train):
    names = [name for name in train[0] if name.startswith("gradient_norm/")]
    steps = [line["step"] for line in train]
    for number, name in enumerate(names):
        norms, color = [max(line.get(name, np.nan), 1e-12) for line in train], _shade(number / max(len(names) - 1, 1))
        axes.plot(steps, norms, color=color, label=name.partition("/")[2])
    axes.set_yscale("log")
    legend_beside(axes)
    name_axes(axes, "step", "norm before clipping")


def _shade(share):
    import matplotlib

    return matplotlib.colormaps["viridis"](0.9 * share)
