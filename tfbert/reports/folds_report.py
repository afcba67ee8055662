"""report.html of a cross-validation."""

import html

from tfbert.reports.page import table
from tfbert.reports.quality import mislabelled_section, quality_sections
from tfbert.reports.score_tables import scores_of_folds
from tfbert.reports.sections import settings_section, verdict, versions, write_report


def write_folds_report(output_dir, settings, results, task, labels, outputs, intervals, mislabelled):
    """Writes the report of a cross-validation.

    Args:
        output_dir: str.
        settings: dict. All settings, by name.
        results: dict. The content of `eval_results.json`.
        task: one of TASKS.
        labels: np.ndarray [N, ...]. The labels of the training rows.
        outputs: np.float32 [N, outputs]. The out-of-fold outputs.
        intervals: dict of name -> (low, high), of the out-of-fold scores.
        mislabelled: as for `mislabelled_section`.
    """
    text = f"{len(results['folds'])} models, each scored on the rows that it was not trained on."
    if results["split_texts"]:
        text += f" {results['split_texts']} rows have a text that is also in another fold: the scores are too high."
    if results["failed"]:
        text += f" <b>Runs have failed</b>: {html.escape(results['failed'])}."
    bad = results["failed"] or results["split_texts"] > 0.01 * len(labels)
    body = [verdict(text, bad=bool(bad)), "<h2>Scores</h2>" + table(*scores_of_folds(results, intervals))]
    body += quality_sections(task, labels, outputs, "all folds")
    if mislabelled is None or mislabelled:
        body.append(mislabelled_section(mislabelled))
    body += [settings_section(settings), versions(results)]
    write_report(output_dir, f"{settings['task']} with {settings['preset']}: {len(results['folds'])} folds", body)
