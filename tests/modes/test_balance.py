"""Runs on rare classes: what is printed, what is refused, and that devices and a resumed run see the same."""

import json
import re

import numpy as np
import pytest

import tfbert
from tests.conftest import command, file_flags, finish, random_texts, workers
from tests.modes.test_resume import newest_step
from tests.processes import wait_until
from tfbert.data.sources import read_examples
from tfbert.inference.saved_model import load_model

FAST = ("--max_seq_length=32", "--train_batch_size=8", "--learning_rate=3e-3")
BALANCED = ("--oversample=ja=3", "--undersample=nein=20", "--class_weights=balanced", "--logit_adjustment=0.5")


@pytest.fixture(scope="module")
def flags(tiny, tmp_path_factory):
    return [f"--preset={tiny}", *file_flags(tmp_path_factory.mktemp("data")), *FAST]


def metrics_of(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_counts_are_printed_and_the_epoch_has_them(flags, tmp_path):
    found = command(*flags, *BALANCED, "--num_train_epochs=2", "--correct_prior", f"--output_dir={tmp_path}", check=0)
    train = read_examples(flags[1].partition("=")[2], label_column="label")
    ja = sum(row["label"] == "ja" for row in train)
    counts = f"ja ({ja}, in an epoch {3 * ja}), nein ({61 - ja}, in an epoch 20); {3 * ja + 20} training rows"
    assert re.search("labels +" + re.escape(counts), found.stdout)
    steps = 2 * -(-(3 * ja + 20) // 8)
    assert json.loads((tmp_path / "eval_results.json").read_text())["steps"] == steps
    # log p - log p' - log w + 0.5 log p', where the balanced weights are 1 / (2 p').
    true, sampled = np.array([ja, 61 - ja]) / 61, np.array([3 * ja, 20]) / (3 * ja + 20)
    expected = np.log(true) - 0.5 * np.log(sampled) - np.log(1 / (2 * sampled))
    np.testing.assert_allclose(load_model(f"{tmp_path}/model").task.decision.prior_shift, expected, rtol=1e-12)


def test_devices_and_a_killed_run_see_the_same(flags, tmp_path):
    flags = [*flags, *BALANCED, "--loss=focal", "--focal_gamma=1", "--max_steps=40", "--dropout=0",
             "--save_checkpoints_steps=3", "--save_summary_steps=4", "--eval_steps=9"]  # fmt: skip
    finish(workers(flags, tmp_path / "one", 1))
    finish(workers([*flags, "--virtual_devices=3"], tmp_path / "three", 1))
    one, three = metrics_of(tmp_path / "one"), metrics_of(tmp_path / "three")
    for a, b in zip(one, three, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    process = workers(flags, tmp_path / "killed", 1)[0]
    wait_until(lambda: newest_step(tmp_path / "killed") >= 12, process)
    process.kill()
    assert process.wait() < 0
    assert "Resuming from the newest checkpoint, step" in finish(workers(flags, tmp_path / "killed", 1))[0]
    assert metrics_of(tmp_path / "killed") == one


def test_several_labels(tiny, tmp_path):
    rows = [
        {"text": text, "label": ["打印"] * ("printer" in text) + ["坏"] * ("down" in text)} for text in random_texts(40)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = command(f"--preset={tiny}", "--task=multilabel", f"--train_file={tmp_path}/rows.jsonl",
                    "--oversample=坏=2.5", "--class_weights=打印=3", "--loss=focal", "--max_steps=2",
                    f"--output_dir={tmp_path}/out", *FAST,
                    check=0)  # fmt: skip
    down = sum("坏" in row["label"] for row in rows)
    assert f"坏 ({down}, in an epoch {np.rint(2.5 * down):.0f})" in found.stdout


@pytest.mark.parametrize("flag", ["--oversample=是=4", "--undersample=是=4", "--class_weights=是=4"])
def test_an_unknown_label_is_refused_with_those_there_are(flags, tmp_path, flag):
    found = command(*flags, flag, f"--output_dir={tmp_path}/bad", check=1)
    name = flag[2:].partition("=")[0]
    assert f"Error: --{name} names the label '是', which the training data lacks. It has: ja, nein." in found.stderr
    assert "Traceback" not in found.stderr and not (tmp_path / "bad").exists()


def test_the_decision_fitted_on_dev_is_used_by_every_mode(flags, tmp_path):
    output, dev = tmp_path / "out", flags[2].partition("=")[2]
    found = command(*flags, "--tune_threshold=f1", "--calibrate", "--max_steps=30", f"--output_dir={output}",
                    f"--test_file={dev}", "--evaluations=3", check=0)  # fmt: skip
    model = load_model(str(output / "model"))
    decision, results = model.task.decision, json.loads((output / "eval_results.json").read_text())
    assert f"Threshold for f1: nein {decision.thresholds[0]:.4f}." in found.stdout + found.stderr
    assert results["dev"] == pytest.approx(results["test"], abs=1e-5)
    untuned = max((line for line in metrics_of(output) if line["split"] == "dev"), key=lambda line: line["accuracy"])
    assert results["dev"]["f1"] >= untuned["f1"] and results["dev"]["loss"] <= untuned["loss"] + 1e-6
    rows = list(read_examples(dev, label_column="label"))
    predictions = tfbert.predict(model, [row["text"] for row in rows])
    for row in predictions:
        assert (row["label"] == "nein") == (row["probabilities"]["nein"] >= decision.thresholds[0])
    right = np.mean([row["label"] == guess["label"] for row, guess in zip(rows, predictions)])
    assert right == pytest.approx(results["dev"]["accuracy"])
    command("--mode=evaluate", f"--test_file={dev}", f"--preset={output}/model", f"--output_dir={tmp_path}", check=0)
    again = json.loads((tmp_path / "eval_results.json").read_text())["test"]
    assert again == pytest.approx(results["dev"], abs=1e-5)
    command("--mode=predict", f"--test_file={dev}", f"--output_dir={output}", check=0)
    lines = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    assert [row["label"] for row in lines] == [row["label"] for row in predictions]


def test_a_threshold_needs_two_classes(flags, tiny, tmp_path):
    path = tmp_path / "three.tsv"
    path.write_text("text\tlabel\n" + "a\t甲\nb\t乙\nc\t丙\n" * 3)
    found = command(f"--preset={tiny}", f"--train_file={path}", f"--dev_file={path}", f"--output_dir={tmp_path}/out",
                    "--tune_threshold=mcc", *FAST, check=1)  # fmt: skip
    assert "needs two classes, or --task=multilabel; the training data has 3: 丙, 乙, 甲." in found.stderr
