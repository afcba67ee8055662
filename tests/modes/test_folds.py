"""Folds from the command line: what each model has seen, the scores, the ensemble, and going on after a kill."""

import json
import re

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

import tfbert
from tests.conftest import command, random_texts, workers
from tests.processes import wait_until
from tfbert import TASKS, load_config
from tfbert.data.folds import fold_numbers
from tfbert.data.sources import read_examples
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.saved_model import load_model
from tfbert.modes.build import strategy_of
from tfbert.modes.train import Trainer
from tfbert.reports.quality import mislabelled_section
from tfbert.tasks.labelled.mislabelled import likely_mislabelled
from tfbert.training.evaluation import scores

FAST = ("--max_seq_length=32", "--train_batch_size=8", "--learning_rate=3e-3", "--max_steps=12", "--folds=3")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """90 rows of two labels, two of the same text, by 20 authors; 20 test rows."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 90), ("test", 20)):
        texts = [f"{text} {number % 7} {number // 7}" for number, text in enumerate(random_texts(count))]
        texts[1] = texts[0]
        labels = ["是" if "printer" in text else "否" for text in texts]
        rows = "".join(f"{text}\t{label}\t{number % 20}\n" for number, (text, label) in enumerate(zip(texts, labels)))
        (folder / f"{split}.tsv").write_text("text\tlabel\tauthor\n" + rows, "utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tiny, files, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "out"
    flags = (f"--preset={tiny}", f"--train_file={files}/train.tsv", f"--test_file={files}/test.tsv",
             f"--output_dir={output}", "--oversample=是=2", "--correct_prior", "--tune_threshold=mcc",
             *FAST)  # fmt: skip
    return output, flags, command(*flags, check=0)


def rows_of_file(path):
    return list(read_examples(str(path), label_column="label"))


def test_each_model_is_scored_on_what_it_has_not_seen(trained, files):
    output, _, result = trained
    rows = rows_of_file(files / "train.tsv")
    labels = np.array([["否", "是"].index(row["label"]) for row in rows], np.int32)
    folds = fold_numbers(labels, 3)
    lines = [json.loads(line) for line in (output / "out_of_fold.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(1, 91))
    assert [line["fold"] for line in lines] == (folds + 1).tolist()
    assert [line["true"] for line in lines] == [row["label"] for row in rows]
    for number in range(3):
        own = np.flatnonzero(folds == number)
        model = load_model(str(output / "folds" / str(number + 1) / "model"))
        expected = tfbert.predict(model, [rows[row]["text"] for row in own])
        for row, prediction in zip(own, expected):
            assert lines[row]["probabilities"] == pytest.approx(prediction["probabilities"], abs=1e-5)
        fold = json.loads((output / "folds" / str(number + 1) / "eval_results.json").read_text())
        assert fold["test"]["loss"] == pytest.approx(
            json.loads((output / "eval_results.json").read_text())["folds"][number]["loss"], abs=1e-5
        )
    results = json.loads((output / "eval_results.json").read_text())
    right = np.mean([line["label"] == line["true"] for line in lines])
    assert results["out_of_fold"]["accuracy"] == pytest.approx(right)
    accuracies = [found["accuracy"] for found in results["folds"]]
    assert results["mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert results["std"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    split = bool(folds[0] != folds[1])
    assert results["split_texts"] == 2 * split
    assert ("have a text that also occurs in another fold" in result.stdout) == split
    page = (output / "report.html").read_text("utf-8")
    assert "out of fold" in page and "Most likely mislabelled" in page


def test_the_ensemble_predicts_as_one(trained, files):
    output, _, _ = trained
    model = load_model(str(output / "model"))
    assert isinstance(model, EnsembleModel) and len(model.members) == 3
    texts = [row["text"] for row in rows_of_file(files / "test.tsv")]
    each = [tfbert.predict(member, texts) for member in model.members]
    threshold = model.task.decision.thresholds[0]
    for number, row in enumerate(tfbert.predict(model, texts)):
        mean = np.mean([predictions[number]["probabilities"]["是"] for predictions in each])
        assert row["probabilities"]["是"] == pytest.approx(mean, abs=1e-5)
        assert row["label"] == ("是" if row["probabilities"]["是"] >= threshold else "否")
    command("--mode=predict", f"--output_dir={output}", f"--test_file={files}/test.tsv", "--virtual_devices=2", check=0)
    lines = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    results = json.loads((output / "eval_results.json").read_text())
    right = np.mean([line["label"] == row["label"] for line, row in zip(lines, rows_of_file(files / "test.tsv"))])
    assert results["test"]["accuracy"] == pytest.approx(right)


def test_a_killed_cross_validation_goes_on(trained, tmp_path):
    output, flags, _ = trained
    flags = [flag for flag in flags if "output_dir" not in flag]
    again = tmp_path / "again"
    process = workers(flags, again, 1)[0]
    wait_until((again / "folds" / "2" / "checkpoints").exists, process)
    process.kill()
    process.wait()
    found = command(*flags, f"--output_dir={again}", "--learning_rate=1e-3", check=1)
    assert "holds folds with other settings: learning_rate was 0.003, is 0.001" in found.stderr
    found = command(*flags, f"--output_dir={again}", check=0)
    assert "Fold 1 of 3" not in found.stdout and "Fold 3 of 3" in found.stdout
    assert (again / "out_of_fold.jsonl").read_bytes() == (output / "out_of_fold.jsonl").read_bytes()
    assert "already holds a finished run" in command(*flags, f"--output_dir={again}", check=1).stderr


def test_folds_share_a_graph_where_they_share_a_loss(tiny, files, tmp_path):
    """Weights of classes are constants in the graph, from the counts of the training rows: others in the third fold."""
    settings = dict(flag.lstrip("-").split("=", 1) for flag in FAST)
    config = load_config(**settings, preset=tiny, train_file=f"{files}/train.tsv", strategy="one_device",
                         limit_train_rows=89)  # fmt: skip
    trainer, loops, weights = Trainer(strategy_of(config)), [], []
    for number, changes in enumerate(({"fold": 1}, {"fold": 3}, {"fold": 1, "class_weights": ("balanced",)},
                                      {"fold": 3, "class_weights": ("balanced",)})):  # fmt: skip
        trainer.train(config.replace(output_dir=str(tmp_path / str(number)), **changes), announce=False)
        loops.append(trainer._graphs.loop)
        weights.append(trainer._parts.model.task.options.class_weights)
    assert loops[0] is loops[1] and loops[0]._run.experimental_get_tracing_count() == 1
    assert weights[2].tolist() != weights[3].tolist() and loops[2] is not loops[3]


def test_a_sweep_compares_an_ensemble_with_one_model(tiny, files, tmp_path):
    """A trial with `folds` is a cross-validation like one alone; of the best, the ensemble is kept, not its parts."""
    flags = [flag for flag in FAST if "folds" not in flag] + [f"--preset={tiny}", f"--train_file={files}/train.tsv"]
    output = tmp_path / "sweep"
    sweep = "--sweep=[{folds: [2, null], seed: [4]}, {folds: [2], learning_rate: [1e-9], seed: [4]}]"
    splits = [f"--{split}_file={files}/test.tsv" for split in ("dev", "test")]
    command("--mode=sweep", *flags, *splits, sweep, f"--output_dir={output}", "--best_metric=loss", check=0)
    ensemble, single, untrained = (json.loads(line) for line in (output / "trials.jsonl").read_text().splitlines())
    command(*flags, *splits, f"--output_dir={tmp_path}/alone", "--best_metric=loss", "--folds=2", "--seed=4", check=0)
    assert ensemble["results"] == json.loads((tmp_path / "alone" / "eval_results.json").read_text())
    assert len(ensemble["results"]["folds"]) == 2 and "folds" not in single["results"]
    assert not ensemble["failed"] and untrained["failed"].startswith("fold 1: ") and "; fold 2: " in untrained["failed"]
    assert "Runs have failed" in open(f"{untrained['folder']}/report.html", encoding="utf-8").read()
    best = min(ensemble, single, untrained, key=lambda trial: trial["results"]["dev"]["loss"])
    assert best is ensemble and isinstance(tfbert.load_model(str(output / "model")), EnsembleModel)
    scored = tfbert.run(load_config(mode="evaluate", test_file=f"{files}/test.tsv", output_dir=str(output)))
    assert scored["test"]["loss"] == pytest.approx(best["results"]["test"]["loss"], rel=1e-5)
    assert [str(path.parent.parent) for path in output.glob("trials/*/model/tfbert.json")] == [best["folder"]]
    assert not list(output.glob("trials/*/folds/*/model")) and not list(output.glob("trials/*/folds/*/checkpoints"))
    assert "folds=2" in (output / "report.html").read_text("utf-8")


def test_groups_and_their_mistakes(tiny, files, tmp_path):
    flags = (f"--preset={tiny}", f"--train_file={files}/train.tsv", f"--output_dir={tmp_path}/out", *FAST)
    command(*flags, "--group_column=author", "--fold=2", check=0)
    assert json.loads((tmp_path / "out" / "eval_results.json").read_text())["steps"] == 12
    found = command(*flags, "--group_column=writer", f"--output_dir={tmp_path}/bad", check=1)
    assert "has no column 'writer', the --group_column" in found.stderr and not (tmp_path / "bad").exists()
    found = command(*flags, "--group_column=label", f"--output_dir={tmp_path}/bad", check=1)
    assert "--folds=3 needs at least as many groups. There are 2." in found.stderr


def test_a_fold_without_a_label(tiny, tmp_path):
    """The label's rows belong to one group: training without it works, but not where its prior is needed."""
    texts = [f"{text} {number}" for number, text in enumerate(random_texts(30))]
    rows = [
        f"{text}\t{['甲', '乙', '丙'][0 if n < 12 else 1 if n < 24 else 2]}\t{n // 6}\n" for n, text in enumerate(texts)
    ]
    (tmp_path / "train.tsv").write_text("text\tlabel\tauthor\n" + "".join(rows), "utf-8")
    flags = (f"--preset={tiny}", f"--train_file={tmp_path}/train.tsv", "--group_column=author", *FAST)
    labels = np.repeat([0, 1, 2], [12, 12, 6])
    fold = 1 + fold_numbers(labels, 3, [str(n // 6) for n in range(30)])[-1]
    own = (f"--fold={fold}", "--loss=focal", "--oversample=甲=2")
    command(*flags, *own, f"--output_dir={tmp_path}/out", check=0)
    found = command(*flags, f"--fold={fold}", "--class_weights=balanced", f"--output_dir={tmp_path}/bad", check=1)
    assert "No training row has the label '丙', which --class_weights=balanced" in found.stderr
    found = command(*flags, "--tune_threshold=f1", f"--output_dir={tmp_path}/bad", check=1)
    assert "needs two classes, or --task=multilabel; the training data has 3" in found.stderr
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression"])
def test_average(name):
    outputs = np.random.default_rng(0).normal(size=(4, 10, 3)).astype(np.float32) * 5
    task = TASKS[name](["a", "b", "c"]) if name != "regression" else TASKS[name]()
    found = np.asarray(task.mean_outputs(outputs), np.float64)
    if name == "regression":
        np.testing.assert_allclose(found, outputs.mean(axis=0), atol=1e-6)
    elif name == "classification":
        np.testing.assert_allclose(softmax(found, axis=-1), softmax(outputs, axis=-1).mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(found, log_softmax(found, axis=-1), atol=1e-5)
    else:
        np.testing.assert_allclose(expit(found), expit(outputs).mean(axis=0), atol=1e-6)
    labels = {"regression": np.ones(10, np.float32), "classification": np.ones(10, np.int32)}
    assert np.isfinite(scores(task, labels.get(name, np.ones((10, 3), np.uint8)), found.astype(np.float32))["loss"])


@pytest.mark.parametrize("several", [False, True])
def test_flipped_labels_are_found(several):
    pytest.importorskip("cleanlab")
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 3)) < 0.4).astype(np.uint8) if several else rng.integers(0, 3, 300).astype(np.int32)
    true = labels.astype(float) if several else np.eye(3)[labels]
    outputs = (6 * true - 3 + rng.normal(size=(300, 3))).astype(np.float32)
    wrong = [7, 70, 170]
    labels[wrong] = (1 - labels if several else (labels + 1) % 3)[wrong]
    task = TASKS["multilabel" if several else "classification"](["甲", "乙", "丙"])
    found = likely_mislabelled(task, labels, outputs)
    assert set(found[:3]) == set(wrong) and len(found) < 10


def test_the_report_shows_doubted_rows():
    rows = [(8, "<b>门</b>", "否", "是", 0.01)]
    section = mislabelled_section(rows)
    cells = re.findall("<td[^>]*>(.*?)</td>", section)
    assert cells == ["8", "否", "是", "0.0100", "&lt;b&gt;门&lt;/b&gt;"]
    assert "pip install &#x27;cleanlab&gt;=2.6&#x27;" in mislabelled_section(None)
