"""The quality of predictions in figures and tables: calibration, precision and recall, confusions, classes."""

import html

import numpy as np

from tfbert.core.extras import install_command
from tfbert.reports.page import COLORS, figure, name_axes, table, table_of_texts
from tfbert.tasks.scores.metrics import calibration_error, f1_of, outcomes, reliability, share_of

# With more labels, the table or the plot would be too large to read.
_MOST_CONFUSED, _MOST_CURVES = 30, 6


def quality_sections(task, labels, outputs, split):
    """Returns the sections of a report on one dataset: list of str, HTML; empty for regression.

    Args:
        task: one of TASKS.
        labels: np.ndarray [N, ...].
        outputs: np.float32 [N, outputs].
        split: str. The name of the dataset.
    """
    told = task.answer_tables(labels, outputs)
    tables = [f"<h2>{title} on {split}</h2>{table(head, rows)}" for title, head, rows in told]
    found = task.quality(labels, outputs)
    if found is None:
        return tables

    draws = [lambda axes: _reliability(axes, found.given, found.hits), lambda axes: _precision_recall(axes, found)]
    sections = [*tables, figure(f"Calibration, precision and recall on {split}", draws, height=4.0)]
    confusions = task.confusions(labels, outputs) if task.outputs <= _MOST_CONFUSED else None
    if confusions is not None:
        sections.append(f"<h2>Confusions on {split}</h2>" + _confusions(found, confusions))
    sections.append(f"<h2>Each class on {split}</h2>" + _classes(found))
    return sections


def mislabelled_section(rows):
    """Returns the section of a report on likely label errors: str, HTML.

    Args:
        rows: list of (row, text, given label, predicted label, probability of the given label), ranked; None if
            cleanlab is not installed.
    """
    title = "<h2>Most likely mislabelled</h2>"
    if rows is None:
        return f"{title}<p class=quiet>Not searched: {html.escape(install_command('mislabelled'))}</p>"
    lines = [[row, given, predicted, f"{share:.4f}", text] for row, text, given, predicted, share in rows]
    shown = table_of_texts(["row", "given label", "predicted", "probability of the given label", "text"], lines)
    note = (
        "Rows whose label is contradicted by models not trained on them, the least likely label first. Some labels are "
        "wrong, some texts only hard: check before changing a label."
    )
    return f"{title}{shown}<p class=quiet>{note}</p>"


def _reliability(axes, probabilities, hits):
    counts, means, shares = reliability(probabilities, hits)
    axes.plot([0, 1], [0, 1], color="#8c959f", lw=1, ls="--")
    axes.plot(means, shares, color=COLORS[0], lw=1)
    axes.scatter(means, shares, s=15 + 150 * counts / counts.max(), color=COLORS[0], alpha=0.75)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    axes.set_title(f"expected calibration error {calibration_error(probabilities, hits):.4f}", fontsize=10)
    name_axes(axes, "predicted probability", "fraction correct")


def _precision_recall(axes, found):
    from sklearn import metrics

    held = found.held
    shown = sorted((k for k in found.curves if held[:, k].any()), key=lambda k: held[:, k].sum())[:_MOST_CURVES]
    for number, k in enumerate(shown):
        precision, recall, thresholds = metrics.precision_recall_curve(held[:, k], found.probabilities[:, k])
        axes.step(recall, precision, where="post", color=COLORS[number], label=str(found.labels[k]))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title("rarest first" if len(shown) < len(found.curves) else "", fontsize=10)
    if shown:
        axes.legend(frameon=False, fontsize=8)
    name_axes(axes, "recall", "precision")


def _confusions(found, confusions):
    rows = [[str(label), *row] for label, row in zip(found.labels, confusions.tolist())]
    return table(["true label ↓, predicted →", *map(str, found.labels)], rows)


def _classes(found):
    from sklearn import metrics

    held, answered = found.held, found.answered
    tp, fp, fn = outcomes(held, answered)
    precision, recall, f1 = share_of(tp, tp + fp), share_of(tp, tp + fn), f1_of(tp, fp, fn)
    lines = []
    for k, label in enumerate(found.labels):
        area = metrics.average_precision_score(held[:, k], found.probabilities[:, k]) if held[:, k].any() else np.nan
        numbers = (precision[k], recall[k], f1[k], area)
        lines.append([str(label), held[:, k].sum(), answered[:, k].sum(), *(f"{number:.4f}" for number in numbers)])
        if found.thresholds:
            lines[-1].append("" if found.thresholds[k] is None else f"{found.thresholds[k]:.4f}")
    head = ["label", "rows", "answers", "precision", "recall", "F1", "average precision"]
    return table(head + ["threshold"] * bool(found.thresholds), lines) + _decided(found.decision)


def _decided(decision):
    notes = []
    if decision.prior_shift is not None:
        notes.append("probabilities are corrected to the prior of the training data")
    if decision.temperature != 1:
        notes.append(f"logits are divided by a temperature of {decision.temperature:.4f}, fitted on dev")
    if decision.thresholds is not None:
        notes.append("thresholds were tuned on dev, whose scores are therefore optimistic")
    text = "; ".join(notes)
    return f"<p class=quiet>{html.escape(text[:1].upper() + text[1:])}.</p>" if notes else ""
