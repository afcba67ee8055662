"""The signs of a failing run: on made-up runs, and on one that really fails."""

import json
import types

import numpy as np
import pytest

from tests.conftest import command, file_flags
from tfbert import TASKS, AdamWeightDecay, build_model, load_encoder
from tfbert.training.health import RunHealth, majority_share, part_norms, vanished


def examples_of(*labels, dtype=np.float32):
    return types.SimpleNamespace(labels=np.array(labels, dtype))


DEV = examples_of(0, 1, 1, 1, 0, 1, dtype=np.int32)
ONE_CLASS = np.tile(np.float32([0.0, 5.0]), (6, 1))


def watch(metric="accuracy", rate=2e-5, bias_correction=True, warmup=10):
    return RunHealth(TASKS["classification"](["no", "yes"]), DEV, metric, rate, bias_correction, warmup)


def test_baselines():
    assert watch().baseline["accuracy"] == pytest.approx(4 / 6)
    assert watch().failed({"accuracy": 4 / 6}) == (
        "accuracy on dev is 0.6667, no better than 0.6667, the score of a constant answer"
    )
    assert watch().failed({"accuracy": 5 / 6}) is None
    assert watch("mcc").failed({"mcc": 0.0}) and not watch("mcc").failed({"mcc": 0.1})
    assert "undefined" in watch("roc_auc").failed({})
    numbers = RunHealth(TASKS["regression"](), examples_of(1, 2, 4), "pearson", 2e-5, True, 10)
    assert numbers.baseline["mean_squared_error"] == pytest.approx(np.var([1, 2, 4]))
    assert "undefined, no better than 0.0000" in numbers.failed({}) and not numbers.failed({"pearson": 0.2})
    lower = RunHealth(TASKS["regression"](), examples_of(1, 2, 4), "mean_squared_error", 2e-5, True, 10)
    assert lower.failed({"mean_squared_error": 9.0}) and not lower.failed({"mean_squared_error": 0.1})
    labels = examples_of([1, 0], [1, 0], [0, 1], dtype=np.uint8)
    several = RunHealth(TASKS["multilabel"](["a", "b"]), labels, "f1_micro", 2e-5, True, 10)
    assert several.baseline["accuracy"] == pytest.approx(2 / 3)


def test_majority_share():
    task = TASKS["classification"](["no", "yes"])
    assert majority_share(task, ONE_CLASS) == 1.0
    assert majority_share(task, np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 1]]) == pytest.approx(0.6)
    assert majority_share(TASKS["multilabel"](["a", "b"]), np.float32([[1, -1], [1, -1], [1, 1]])) == pytest.approx(
        2 / 3
    )
    assert majority_share(TASKS["regression"](), np.zeros((3, 1))) == 0.0


RANKED = {"accuracy": 4 / 6, "f1": 0.0, "roc_auc": 0.95, "average_precision": 0.9}


def test_a_run_whose_outputs_rank_the_texts_has_not_failed():
    """With rare classes, nothing beyond the threshold of 0.5 is no failure; a rate that is high is no cause."""
    health = watch("f1", rate=1e-3)
    assert health.baseline["roc_auc"] == 0.5 and health.baseline["average_precision"] == pytest.approx(4 / 6)
    assert health.failed(RANKED) is None and not health.hopeless(RANKED, 0.9)
    weak = {"embeddings": 1e-5, "head": 0.3}
    assert health.look(7, weak, RANKED, ONE_CLASS, RANKED) == [] and health.warnings == {}
    by_one = {"accuracy": 4 / 6, "f1": 0.0, "roc_auc": 0.5, "average_precision": 0.9}
    assert health.failed(by_one) is None, "average precision alone"
    for scores in ({"f1": 0.0, "roc_auc": 0.6, "average_precision": 0.7}, {"f1": 0.0}):
        assert "f1 on dev is 0.0000, no better than" in health.failed(scores)
    assert len(health.look(8, weak, by_one | {"average_precision": 0.7}, ONE_CLASS, {"f1": 0.0})) == 2
    numbers = RunHealth(TASKS["regression"](), examples_of(1, 2, 4), "pearson", 2e-5, True, 10)
    assert numbers.failed({"pearson": -0.1, "roc_auc": 0.99})


@pytest.mark.parametrize(
    "settings,cause",
    [
        ({"bias_correction": False}, "no bias correction (--bias_correction)."),
        ({"rate": 3e-4}, "a learning rate of 0.0003, which is high (2e-5 to 5e-5 is usual)."),
        ({"warmup": 0}, "no warm-up (--warmup_steps)."),
        ({}, "an unlucky seed, or too few steps (--num_train_epochs)."),
    ],
    ids=str,
)
def test_warnings_name_the_likely_cause_once(settings, cause):
    health = watch(**settings)
    good, bad = {"embeddings": 0.1, "layer 0": 0.2, "head": 0.3}, {"embeddings": 1e-5, "layer 0": 1e-4, "head": 0.3}
    assert vanished({"embeddings": 0.0, "layer 0": 0.1, "head": 0.2}) == []  # not unfrozen yet
    assert vanished(good) == [] and vanished(bad) == ["embeddings", "layer 0"]
    assert health.look(7, good) == []
    assert health.look(7, good, None, ONE_CLASS, {"accuracy": 4 / 6}) == [
        f"Step 7: every dev text gets the same answer. Likely cause: {cause}"
    ]
    assert not health.hopeless({"accuracy": 4 / 6}, 0.3) and health.hopeless({"accuracy": 4 / 6}, 0.5)
    assert health.look(7, bad, {"accuracy": 5 / 6}) == []  # all is learnt
    (warning,) = health.look(7, bad, {"accuracy": 4 / 6}, ONE_CLASS, {"accuracy": 4 / 6})
    assert warning.startswith("Step 7: the gradients of embeddings to layer 0 have vanished") and warning.endswith(
        cause
    )
    assert health.hopeless({"accuracy": 4 / 6}, 0.3) and not health.hopeless({"accuracy": 5 / 6}, 0.9)
    assert health.look(7, bad) == []


def test_part_norms(tiny):
    """By part of the model, from the bottom up; together they are the norm that is clipped."""
    model = build_model(load_encoder(tiny), TASKS["classification"](["no", "yes"]), max_seq_length=32)
    optimizer = AdamWeightDecay(1e-3)
    optimizer.build(model.trainable_variables)
    gradients = [np.full(v.shape, 0.01, np.float32) for v in model.trainable_variables]
    optimizer.apply(gradients)
    norms = part_norms(optimizer.gradient_norms(), model.encoder)
    assert list(norms) == ["embeddings", "layer 0", "layer 1", "pooler", "head"]
    assert norms["head"] == pytest.approx(0.01 * np.sqrt(32 * 2 + 2), rel=1e-5)
    assert np.sqrt(sum(norm**2 for norm in norms.values())) == pytest.approx(
        np.sqrt(sum((g**2).sum() for g in gradients)), rel=1e-5
    )


@pytest.fixture(scope="module")
def flags(tiny, tmp_path_factory):
    """A rate of 0.3 without warm-up destroys the encoder within its first steps."""
    folder = tmp_path_factory.mktemp("data")
    return [f"--preset={tiny}", *file_flags(folder), "--max_seq_length=32", "--train_batch_size=8", "--max_steps=40",
            "--evaluations=10", "--learning_rate=0.3", "--nobias_correction", "--warmup_proportion=0",
            "--schedule=constant"]  # fmt: skip


def test_a_run_that_fails_is_marked_stopped_and_counted(flags, tmp_path):
    result = command(*flags, f"--output_dir={tmp_path}", "--stop_failed_runs", check=0)
    results = json.loads((tmp_path / "eval_results.json").read_text())
    assert results["failed"].startswith("accuracy on dev is") and results["steps"] < 40
    assert f"Stopped at step {results['steps']}: the run is failing: accuracy on dev is" in result.stdout
    assert results["warnings"] and "no bias correction" in results["warnings"][0]
    assert "Warning: Step" in result.stdout and "restarts" not in results
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["majority_share"] <= 1 for line in lines)
    assert {"gradient_norm/embeddings", "gradient_norm/layer 1", "gradient_norm/head"} <= lines[0].keys()
    command(*flags, f"--output_dir={tmp_path}", "--overwrite", "--learning_rate=1e-3", check=0)
    results = json.loads((tmp_path / "eval_results.json").read_text())
    assert results["restarts"] == 1 and results["steps"] == 40
    assert "It replaces 1 failed run in this folder." in (tmp_path / "report.html").read_text("utf-8")


def test_a_score_that_is_undefined(tiny, tmp_path):
    """All dev numbers are the same: nothing correlates with them."""
    for split, numbers in (("train", "123412341234"), ("dev", "2222")):
        rows = "".join(f"the printer {number}\t{number}\n" for number in numbers)
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + rows)
    flags = [f"--{split}_file={tmp_path}/{split}.tsv" for split in ("train", "dev")]
    command(f"--preset={tiny}", "--task=regression", *flags, "--max_seq_length=16", "--max_steps=4",
            "--evaluations=2", f"--output_dir={tmp_path}/out", check=0)  # fmt: skip
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    assert "pearson" not in results["dev"] and "is undefined" in results["failed"]
    assert "This run has failed" in (tmp_path / "out" / "report.html").read_text("utf-8")
