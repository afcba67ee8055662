"""The reports: their numbers, and what a real browser shows of them."""

import dataclasses
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tfbert import TASKS
from tfbert.modes.data_summary import DataSummary
from tfbert.modes.sweep_study import SweepTrial
from tfbert.reports.run_report import write_run_report
from tfbert.reports.score_tables import group_trials
from tfbert.reports.statistics import best_of, bootstrap_intervals, mean_and_spread, paired_effect
from tfbert.reports.sweep_report import write_sweep_report
from tfbert.tasks.labelled.decision import Decision

SETTINGS = {
    "task": "classification",
    "preset": "minilm",
    "learning_rate": 2e-5,
    "bias_correction": True,
    "sweep": {"seed": [0, 1]},
}


def trial(score, folder="nowhere", failed=None, **settings):
    results = {"dev": {"accuracy": score}} if score is not None else {}
    return SweepTrial(settings, str(folder), results, failed, 1.0)


def trials_of(folder=None):
    """Two settings, eight seeds each: the second is better by 0.1 in each pair, give or take 0.01."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(8):
        base = rng.normal(0.7, 0.05)
        for value, score in ((False, base), (True, base + 0.1 + rng.normal(0, 0.01))):
            run = folder / f"{value}-{seed}" if folder else "nowhere"
            found.append(trial(score, run, bias_correction=value, seed=seed))
            if folder:
                run.mkdir()
                lines = [{"step": step, "split": "dev", "accuracy": score - 0.1 / step, "loss": 1 / step}
                         for step in range(1, 6)]  # fmt: skip
                (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return found + [trial(None, failed="The loss is nan at step 3", bias_correction=False, seed=9)]


def test_best_of_equals_drawing_many_times():
    scores = np.array([0.5, 0.71, 0.6, 0.9, 0.71])
    drawn = np.random.default_rng(0).choice(scores, (200_000, 5))
    for k, expected in enumerate(best_of(scores), start=1):
        assert expected == pytest.approx(drawn[:, :k].max(axis=1).mean(), abs=2e-3)
    assert best_of(scores)[0] == pytest.approx(scores.mean())


def test_paired_effect():
    effect = paired_effect(trials_of(), "bias_correction", False, True, lambda t: t.results.get("dev", {}).get("accuracy", np.nan))  # fmt: skip # noqa: E501
    assert effect["pairs"] == 8 and effect["mean"] == pytest.approx(0.1, abs=0.01)
    low, high = effect["interval"]
    assert 0.08 < low < effect["mean"] < high < 0.12
    assert paired_effect(trials_of()[:2], "bias_correction", False, True, lambda t: 0.0) is None


def test_groups_leave_out_seeds():
    groups = group_trials(trials_of(), SETTINGS)
    assert list(groups) == ["bias_correction=false", "bias_correction=true"]
    assert [len(members) for members in groups.values()] == [9, 8]
    own = {"bias_correction": True, "mixout": 0.0, "reinit_layers": 0}
    several = [trial(0.5, **(own | changes)) for changes in ({}, {"mixout": 0.5})]
    assert list(group_trials(several, own)) == ["as configured", "mixout=0.5"]
    assert list(group_trials([trial(0.5, **own, oversample=["1=4"])], own | {"oversample": ()})) == ["oversample=1=4"]
    lists = [dataclasses.replace(t, settings=t.settings | {"augment": []}) for t in several]
    assert list(group_trials(lists, own | {"augment": ()})) == ["as configured", "mixout=0.5"]


def test_sweep_report(tmp_path):
    write_sweep_report(str(tmp_path), SETTINGS, "accuracy", trials_of(tmp_path))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Best median accuracy: <b>bias_correction=true</b>" in page and "The loss is nan at step 3" in page
    scores = [t.results["dev"]["accuracy"] for t in trials_of() if t.results and not t.settings["bias_correction"]]
    assert f"{np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}" in page and "<td>11%</td>" in page
    assert re.search(r"bias_correction: false → true</td><td>8</td><td>\+0\.(1|09)", page) and "<td>higher</td>" in page
    assert page.count("<svg") == 3
    write_sweep_report(str(tmp_path), SETTINGS, "accuracy", trials_of()[-1:])
    assert "100%" in (tmp_path / "report.html").read_text("utf-8")


def test_a_setting_whose_runs_all_failed_is_not_the_best(tmp_path):
    """NaN is in no order, so that it could come out first."""
    bad = [trial(None, failed="The loss is nan", learning_rate=1.0, seed=seed) for seed in (0, 1)]
    good = [trial(score, learning_rate=rate, seed=0) for rate, score in ((2e-5, 0.7), (3e-5, 0.9))]
    settings = SETTINGS | {"sweep": {"learning_rate": [1.0, 2e-5, 3e-5]}}
    for trials in ([*bad, *good], [*good, *bad], [good[0], *bad, good[1]]):
        write_sweep_report(str(tmp_path), settings, "accuracy", trials)
        page = (tmp_path / "report.html").read_text("utf-8")
        assert "Best median accuracy: <b>learning_rate=3e-05</b>, 0.9000 (mean 0.9000 over 1 runs" in page
        assert "is 0.2000: with one run each, another seed might reverse it." in page
        assert "<td>nan" not in page and "± nan" not in page
    write_sweep_report(str(tmp_path), settings, "accuracy", bad)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "No run has a score (accuracy on dev): nothing can be compared." in page


def test_of_equal_settings_none_leads(tmp_path):
    """And one whose runs have not failed comes first; of runs that were scored once there is no curve."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 5, "split": "dev", "accuracy": 0.5}\n')
    runs = [(rate, failed, seed) for rate, failed in ((1e-5, "no better"), (2e-5, None)) for seed in (0, 1)]
    trials = [trial(0.5, tmp_path, failed, learning_rate=rate, seed=seed) for rate, failed, seed in runs]
    settings = SETTINGS | {"sweep": {"learning_rate": [1e-5, 2e-5]}}
    write_sweep_report(str(tmp_path), settings, "accuracy", trials)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Best median accuracy: <b>learning_rate=2e-05</b>" in page and "between seeds" not in page
    assert "It has no lead: learning_rate=1e-05 has the same median." in page and "while training" not in page


def test_scores_that_some_folds_lack():
    """Those that the first lacks, too; the deviation is over those that have one."""
    means, deviations = mean_and_spread([{"accuracy": 0.5}, {"accuracy": 0.7, "roc_auc": 0.9}])
    assert means == pytest.approx({"accuracy": 0.6, "roc_auc": 0.9})
    assert deviations == pytest.approx({"accuracy": np.std([0.5, 0.7], ddof=1)})


RESULTS = {
    "dev": {"accuracy": 0.8, "loss": 0.5}, "test": {"accuracy": 0.7}, "baseline": {"accuracy": 0.6}, "failed": None,
    "warnings": ["A <b>warning</b>."], "remarks": [["It never answers '<nein>'", "--tune_threshold=f1"]],
    "linear_probe": {"rows": 413, "dev_rows": 5, "scores": {"accuracy": 0.65}},
    "best_step": 4, "steps": 5, "examples_per_second": 10.0, "data": {"train": "12ab"},
}  # fmt: skip
SUMMARY = DataSummary(["", "rows"], [["train", "413"]], ["train: 3 rows repeat."], ["--seed=1, as one says little."])
MISTAKES = [(7, "<nein>", "是", "0.9900", "a <script> & " + "long " * 200)]
COMMANDS = [("retrain", "python -m tfbert.run --tune_threshold=f1"), ("predict", "python -m tfbert.run '<a>'")]


def write_run(folder, **changes):
    lines = [{"step": s, "split": "train", "loss": 1 / s, "learning_rate": 1e-5, "gradient_norm/head": 0.1 / s,
              "gradient_norm/layer 0": 0.0} for s in range(1, 6)]  # fmt: skip
    lines.append({"step": 5, "split": "dev", "loss": 0.5, "accuracy": 0.8, "majority_share": 0.5})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = SETTINGS | {"train_file": "<script>alert('中文')</script>"}
    labels = np.array([0, 1, 1, 0, 1], np.int32)
    outputs = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    task = TASKS["classification"](["<nein>", "是"])
    task.decision = Decision(temperature=1.5, thresholds=(0.25,))
    intervals = {"dev": bootstrap_intervals(task, labels, outputs)}
    outputs = {"dev": (labels, outputs)}
    about = (RESULTS | changes, task, outputs, intervals, SUMMARY, MISTAKES, COMMANDS)
    write_run_report(str(folder), settings, "accuracy", *about)
    return (folder / "report.html").read_text("utf-8")


def test_run_report(tmp_path):
    page = write_run(tmp_path)
    interval = r"\(95 % interval 0\.\d+ to 1.0000\)"
    assert re.search(rf"accuracy on dev: <b>0.8000</b> {interval}, from step 4 of 5", page)
    assert "train data: sha256 12ab" in page and "&lt;b&gt;warning" in page and "<script>" not in page
    assert "Confusions on dev" in page and "&lt;nein&gt;" in page and "<td>是</td>" in page and "0.2500" in page
    assert "temperature of 1.5000" in page and re.search(r"accuracy</td><td>0.8000</td><td>0\.\d+ to", page)
    assert page.count("<svg") == 4
    assert "would score 0.6000, a linear probe 0.6500." in page and "to 413 training rows and scored on 5 dev" in page
    assert "It never answers &#x27;&lt;nein&gt;&#x27;: <code>--tune_threshold=f1</code>." in page
    assert "<code>--seed=1</code>, as one says little." in page and "<li>train: 3 rows repeat.</li>" in page
    assert "<span>&#x27;&lt;a&gt;&#x27;</span></pre>" in page
    assert ">7</td>" in page and "a &lt;script&gt; &amp; long" in page and " …</td>" in page
    assert "accuracy on dev</text>" not in page  # one point is no curve
    page = write_run(tmp_path, failed="accuracy on dev is 0.6000", restarts=2)
    assert "This run has failed" in page and "It replaces 2 failed runs" in page


def test_run_report_without_labels(tmp_path):
    """Further pre-training with no dev file: no empty plot, no empty table, and words that wrap."""
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train", "loss": 9.0}\n')
    sample = {"text": "long " * 40 + "[MASK]", "word": "x", "guesses": [{"piece": "<y>", "probability": 0.25}]}
    results = {"samples": [sample], "best_step": 1, "steps": 1, "examples_per_second": 1.0}
    settings = SETTINGS | {"task": "masked_lm"}
    write_run_report(str(tmp_path), settings, "perplexity", results, TASKS["masked_lm"](), {}, {})
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<svg") == 1 and "on dev" not in page and "Scores" not in page
    assert "<div class=words>" in page and "&lt;y&gt; 25%" in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium: apt-get install chromium")
def test_a_browser_shows_it_without_network(tmp_path):
    """The page asks for nothing, holds its figures, and has something to see in each."""
    write_sweep_report(str(tmp_path), SETTINGS, "accuracy", trials_of(tmp_path))
    page = tmp_path / "report.html"
    assert not re.search(r"(src|href)=\"(?!#)", page.read_text("utf-8"))
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--no-first-run", f"--user-data-dir={tmp_path}/profile", "--window-size=1000,2200"]  # fmt: skip
    picture = tmp_path / "report.png"
    subprocess.run([*chromium, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True, timeout=300)
    document = subprocess.run([*chromium, "--dump-dom", page.as_uri()], check=True, capture_output=True, text=True,
                              timeout=300).stdout  # fmt: skip
    assert document.count("<svg") == 3 and "bias_correction=true" in document
    from matplotlib import image

    pixels = image.imread(picture)[..., :3].reshape(2200, 1000, 3)
    assert (pixels[300:1800].min(axis=(1, 2)) < 0.5).mean() > 0.5, "the page is empty where the figures should be"
