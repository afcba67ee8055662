"""What training prints at the end: scores, what they mean, where the files are, and what to run next."""

import os
import shlex

from tfbert.core.text_table import aligned, named
from tfbert.reports.score_tables import scores_of_run


def closing(output_dir, metric, results, task, intervals):
    """Returns the summary of a finished run: list of str, lines.

    Args:
        output_dir: str.
        metric: str. The dev score that chose the model.
        results: dict. The content of `eval_results.json`.
        task: one of TASKS.
        intervals: dict. "dev", "test" -> dict of name -> (low, high).
    """
    lines = [""]
    if intervals:
        head, rows = scores_of_run(results, intervals, metric)
        lines += [*aligned([head, *rows]), ""]
    if results.get("failed"):
        lines.append(f"This run has failed: {results['failed']}.")
    lines += [remark_line(*remark) for remark in results.get("remarks", ())]
    return lines + where_to_go(output_dir, task, results)


def remark_line(sentence, flag):
    """Returns a remark with the setting that may help: str."""
    return f"{sentence}: {flag}." if flag else f"{sentence}."


def where_to_go(output_dir, task, results=None, model=True):
    """Returns where the report and the model are, and the commands to run next: list of str, lines.

    Args:
        output_dir: str.
        task: one of TASKS.
        results: dict or None. The content of a single run's `eval_results.json`.
        model: bool. Whether the folder has a model.
    """
    rows = [("report", os.path.join(output_dir, "report.html"))]
    if model:
        rows += [("model", os.path.join(output_dir, "model")), *commands(output_dir, task, results)]
    return named(rows)


def commands(output_dir, task, results=None):
    """Returns the commands to run next: list of (purpose, command); arguments as above."""
    found, base = [], output_dir.rstrip("/")
    for _, flag in (results or {}).get("remarks", ()):
        if flag:
            other = f"{base}-{flag.strip('-').partition('=')[0]}"
            found.append(("retrain", _run(f"--config={base}/config.yaml", flag, f"--output_dir={other}")))
            break
    if not task.not_predicted:
        found.append(("predict", _run("--mode=predict", f"--preset={base}/model", "--test_file=FILE",
                                      f"--output_dir={base}-predictions")))  # fmt: skip
    return found


def _run(*flags):
    return shlex.join(["python", "-m", "tfbert.run", *flags])
