"""`python -m tfbert.run` in processes of its own: the whole way, and one clear sentence for every bad input."""

import json
import os
import re

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from tests.conftest import command, random_texts
from tfbert.training.devices import imitates_bfloat16

FAST = ("--max_seq_length=32", "--train_batch_size=8", "--learning_rate=3e-3", "--virtual_devices=2")


def label_of(text):
    return "ja" if "printer" in text else "nein"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for split, count, seed in (("train", 200, 0), ("dev", 21, 1), ("test", 19, 2)):
        texts = [text or "empty" for text in random_texts(count, seed)]
        rows = "".join(f"{text}\t{label_of(text)}\t{split}-{i}\n" for i, text in enumerate(texts))
        (folder / f"{split}.tsv").write_text("text\tlabel\tid\n" + rows, "utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tiny, files, tmp_path_factory):
    """A finished run of the tiny model on two virtual devices."""
    output = tmp_path_factory.mktemp("run") / "out"
    result = command(
        f"--preset={tiny}", *(f"--{split}_file={files}/{split}.tsv" for split in ("train", "dev", "test")),
        f"--output_dir={output}", "--num_train_epochs=8", "--layer_lr_decay=0.95", "--save_checkpoints_steps=20",
        *FAST,
        check=0,
    )  # fmt: skip
    return output, result


def test_output_folder(trained, files):
    output, _ = trained
    names = {path.name for path in output.iterdir() if not path.name.startswith("events.out.tfevents")}
    assert names == {
        "config.yaml",
        "labels.json",
        "metrics.jsonl",
        "eval_results.json",
        "checkpoints",
        "model",
        "README.md",
        "report.html",
    }
    assert any(path.name.startswith("events.out.tfevents") for path in output.iterdir())
    assert json.loads((output / "labels.json").read_text()) == ["ja", "nein"]
    results = json.loads((output / "eval_results.json").read_text())
    assert set(results) == {
        "dev", "test", "examples_per_second", "best_step", "steps", "baseline", "failed", "warnings", "remarks",
        "linear_probe", "data"}  # fmt: skip
    assert results["steps"] == 200 and results["failed"] is None
    assert results["dev"]["accuracy"] >= 0.9 and results["test"]["accuracy"] >= 0.8
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    dev = [line for line in lines if line["split"] == "dev"]
    assert [line["step"] for line in dev] == list(range(25, 201, 25))
    best = max(dev, key=lambda line: line["accuracy"])
    assert (best["step"], best["accuracy"]) == (results["best_step"], results["dev"]["accuracy"])
    assert sorted(p.name for p in (output / "checkpoints").iterdir()) == [
        "step-00000180.safetensors", "step-00000200.safetensors"]  # fmt: skip
    assert str(files) in (output / "README.md").read_text() and "| accuracy |" in (output / "README.md").read_text()


def test_what_is_printed(trained):
    output, result = trained
    assert re.search(r"^data +200 train, 21 dev, 19 test$", result.stdout, re.MULTILINE)
    assert "200 steps of 8 examples, 8 epochs; the model with the best accuracy on dev is kept" in result.stdout
    assert re.search(r"^devices +2 × CPU, float32$", result.stdout, re.MULTILINE)
    assert "lr multiplier" in result.stdout and "0.9025" in result.stdout  # the embeddings of a two-layer model
    assert "200/200, loss " in result.stderr and " examples/s, " in result.stderr and " left" in result.stderr
    evaluations = [line for line in result.stdout.splitlines() if re.match(r"step +\d+  dev  accuracy ", line)]
    assert len(evaluations) == 8 and max(map(len, evaluations)) < 130
    assert sum(line.endswith("(best so far)") for line in evaluations) >= 1
    assert "{" not in result.stdout, "that is in eval_results.json"


def test_how_it_ends(trained):
    """Scores with their intervals, beside what costs nothing; where everything is; a command that can be copied."""
    output, result = trained
    results = json.loads((output / "eval_results.json").read_text())
    end = result.stdout[result.stdout.index("\nscore ") :].splitlines()
    assert end[1].split("  ")[0] == "score" and [title in end[1] for title in ("linear probe", "one answer")] == [1, 1]
    values = [results[split]["accuracy"] for split in ("dev", "test")]
    values += [results["linear_probe"]["scores"]["accuracy"], results["baseline"]["accuracy"]]
    interval = r" +\d\.\d{4} to \d\.\d{4}"
    dev, test, probe, one = (f" +{value:.4f}" for value in values)
    assert re.fullmatch(f"accuracy{dev}{interval}{test}{interval}{probe}{one}", end[2])
    report, model, predict = end[-3:]
    assert report == f"report   {output}/report.html" and model == f"model    {output}/model"
    assert predict == (
        f"predict  python -m tfbert.run --mode=predict --preset={output}/model --test_file=FILE "
        f"--output_dir={output}-predictions"
    )
    page = (output / "report.html").read_text("utf-8")
    assert f"<span>--preset={output}/model</span>" in page and "a linear probe" in page and "<h2>Data</h2>" in page


def test_config_yaml_repeats_the_run(trained, tmp_path):
    output, _ = trained
    command(f"--config={output}/config.yaml", f"--output_dir={tmp_path}/again", check=0)
    first, again = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (output, tmp_path / "again"))
    assert {**first, "output_dir": ""} == {**again, "output_dir": ""}
    assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (output / "metrics.jsonl").read_bytes()


def test_evaluate_gives_the_same_score(trained, files, tmp_path):
    output, _ = trained
    before = json.loads((output / "eval_results.json").read_text())
    for batch_size, devices in ((8, 1), (5, 3)):
        command("--mode=evaluate", f"--preset={output}/model", f"--test_file={files}/test.tsv",
                f"--dev_file={files}/dev.tsv",
                f"--output_dir={tmp_path}", f"--eval_batch_size={batch_size}", f"--virtual_devices={devices}",
                check=0)  # fmt: skip
        found = json.loads((tmp_path / "eval_results.json").read_text())
        for split in ("dev", "test"):
            assert found[split] == pytest.approx(before[split], abs=1e-5)


def test_predict_keeps_order_and_ids(trained, files, tmp_path):
    output, _ = trained
    command("--mode=predict", f"--output_dir={output}", f"--test_file={files}/test.tsv", check=0)
    rows = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"test-{i}" for i in range(19)]
    right = [row["label"] == label_of(text or "empty") for row, text in zip(rows, random_texts(19, 2))]
    accuracy = json.loads((output / "eval_results.json").read_text())["test"]["accuracy"]
    assert sum(right) / 19 == pytest.approx(accuracy)
    assert set(rows[0]["probabilities"]) == {"ja", "nein"}
    result = command("--mode=predict", f"--output_dir={output}", f"--test_file={files}/test.tsv", check=1)
    assert "already exists" in result.stderr and "or --overwrite, which replaces only this file" in result.stderr
    (tmp_path / "texts.txt").write_text("the printer is down\nthanks\n")
    command("--mode=predict", f"--preset={output}/model", f"--output_dir={tmp_path}",
            f"--test_file={tmp_path}/texts.txt",
            "--xla=on", check=0)  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["ja", "nein"] and "id" not in rows[0]


def test_a_finished_run_is_refused_or_overwritten(trained, tiny, files):
    output, _ = trained
    before = (output / "eval_results.json").read_bytes()
    arguments = (f"--preset={tiny}", f"--train_file={files}/train.tsv", f"--output_dir={output}", *FAST)
    result = command(*arguments, check=1)
    assert "already holds a finished run; choose another --output_dir, or --overwrite" in result.stderr
    assert (output / "eval_results.json").read_bytes() == before


def test_tasks_pairs_and_modes_together(tiny, tmp_path):
    """Multi-label and regression on pairs, a scalar mix, bfloat16, two parts a step, without a dev set."""
    texts, others = random_texts(24), random_texts(24, 1)
    for task, label in (
        ("multilabel", lambda t: ["p"] * ("printer" in t) + ["d"] * ("down" in t)),
        ("regression", len),
    ):
        path = tmp_path / f"{task}.jsonl"
        rows = [json.dumps({"a": a, "b": b, "label": label(a)}) for a, b in zip(texts, others)]
        path.write_text("\n".join(rows) + "\n")
        output = tmp_path / task
        told = command(
            f"--preset={tiny}", f"--task={task}", f"--train_file={path}", f"--test_file={path}", "--text_column=a",
            "--text_pair_column=b", f"--output_dir={output}", "--max_steps=3", "--mixed_precision=bfloat16",
            "--gradient_accumulation_steps=2", "--overwrite", "--pooling=scalar_mix", *FAST, check=0,
        ).stdout  # fmt: skip
        results = json.loads((output / "eval_results.json").read_text())
        assert results["best_step"] == 3 and "loss" in results["test"] and "dev" not in results
        mix = np.exp(load_file(output / "model" / "model.safetensors")["tfbert.mix"].astype(np.float64))
        assert mix[0] != mix[1]
        assert f"from the bottom: {mix[0] / mix.sum():.3f} {mix[1] / mix.sum():.3f}\n" in told
        assert ("this CPU has no bfloat16 instructions" in told) == imitates_bfloat16()
        command("--mode=predict", f"--output_dir={output}", f"--test_file={path}", check=0)
        rows = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
        assert len(rows) == 24 and isinstance(rows[0]["label"], list if task == "multilabel" else float)


def bad(tiny, files, tmp_path, *arguments, environment=None):
    """Runs a training that must fail at the door; returns its one sentence."""
    output = tmp_path / "bad"
    arguments = (f"--preset={tiny}", f"--train_file={files}/train.tsv", f"--output_dir={output}", *FAST, *arguments)
    result = command(*arguments, check=1, environment=environment)
    assert "Traceback" not in result.stderr
    assert not output.exists() or os.listdir(output) == []
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    return errors[0]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--train_file=none.tsv"], "none.tsv: no such file"),
        (
            ["--text_column=body"],
            "there is no column 'body'. The columns are 'text', 'label', 'id'; set the right one",
        ),
        (["--dev_file={tmp}/unknown.tsv"], "unknown.tsv, line 2: the label 'vielleicht' is not among those"),
        (["--task=regression"], "train.tsv, line 2: the label 'ja' is not a number"),
        (["--dev_file={tmp}/empty.tsv"], "empty.tsv is empty"),
        (["--dev_file={tmp}/short.tsv"], "short.tsv, line 3: too few fields"),
        (["--dev_file={tmp}/latin.tsv"], "latin.tsv, line 2: not UTF-8"),
        (["--preset=./nowhere"], "--preset=./nowhere: no such folder"),
        (["--max_seq_length=65"], "max_seq_length must be at most 64"),
        (["--best_metric=pearson", "--dev_file={files}/dev.tsv"], "--best_metric must be one of loss, accuracy"),
        (["--lr_multipliers=transformer=0.5"], "The pattern 'transformer' matches no whole variable path"),
        (["--lr_multipliers=transformer"], "--lr_multipliers takes REGEX=VALUE"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_input_gets_one_clear_sentence(tiny, files, tmp_path, arguments, message):
    (tmp_path / "unknown.tsv").write_text("text\tlabel\na\tvielleicht\n")
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "short.tsv").write_text("text\tlabel\na\tja\nb\n")
    (tmp_path / "latin.tsv").write_bytes(b"text\tlabel\ncaf\xe9\tja\n")
    arguments = [argument.format(tmp=tmp_path, files=files) for argument in arguments]
    assert message in bad(tiny, files, tmp_path, *arguments)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(tiny, files, tmp_path):
    output = tmp_path / "nan"
    arguments = [f"--preset={tiny}", f"--train_file={files}/train.tsv", f"--output_dir={output}", *FAST]
    result = command(
        *arguments, "--learning_rate=1e30", "--warmup_proportion=0.5", "--save_checkpoints_steps=1", check=1
    )
    assert "Error: The loss is nan at step" in result.stderr and "Traceback" not in result.stderr
    assert any(path.name.startswith("step-") for path in (output / "checkpoints").iterdir())
    assert not (output / "eval_results.json").exists()
