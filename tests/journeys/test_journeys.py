"""Journeys of seven kinds of users: each a few real processes, a real file, and what they read on the way."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfbert
from tests.conftest import ROOT, SAMPLES, command, write_tiny
from tests.processes import Run, wait_until

SHORT = ("--max_seq_length=32", "--train_batch_size=8", "--max_steps=6", "--learning_rate=1e-3")


def told_command(text, mode):
    """Returns the arguments of the last command of a mode that a run has printed: list of str."""
    lines = re.findall(rf"python -m tfbert\.run (--mode={mode} [^\n]*)", text)
    assert lines, f"no command is told: {text[-1500:]}"
    return shlex.split(lines[-1])


def lines_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_newcomer(tmp_path):
    """The quickstart, and the command that it ends with."""
    output = tmp_path / "quickstart"
    own = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # the tests set it
    first = [sys.executable, "-m", "tfbert.run", "--config=configs/quickstart.yaml", f"--output_dir={output}"]
    run = subprocess.run([*first, "--max_steps=4"], capture_output=True, text=True, cwd=ROOT, env=own)
    assert run.returncode == 0, run.stderr[-3000:]
    assert not re.search(r"cuda|oneDNN|absl|tensorflow/", run.stdout + run.stderr, re.IGNORECASE)
    assert (output / "report.html").exists() and str(output / "model") in run.stdout
    assert max(len(line) for line in run.stdout.splitlines() if str(tmp_path) not in line) < 200
    mine = tmp_path / "mine.txt"
    mine.write_text("The printer is on fire!\nWhen is lunch?\n")
    told = [f"--test_file={mine}" if part.startswith("--test_file") else part for part in
            told_command(run.stdout, "predict")]  # fmt: skip
    command(*told, check=0)
    [found] = tmp_path.glob("quickstart-predictions/predictions.jsonl")
    assert [row["label"] in ("normal", "urgent") for row in lines_of(found)] == [True, True]


def test_excel_user(tiny, tmp_path):
    """A CSV as Excel saves it where the decimal sign is a comma; a workbook is refused with the way out."""
    rows = [("Der Drucker läuft nicht", "Störung"), ("Grüße aus Köln", "Übriges")] * 20
    table = "Nachricht;Art\r\n" + "".join(f"{text} {number};{kind}\r\n" for number, (text, kind) in enumerate(rows))
    (tmp_path / "export.csv").write_bytes(table.encode("cp1252"))
    (tmp_path / "export.xlsx").write_bytes(b"PK\x03\x04")
    own = ("--text_column=Nachricht", "--label_column=Art", f"--preset={tiny}", "--dev_share=0.2", *SHORT)
    refused = command(f"--train_file={tmp_path}/export.xlsx", f"--output_dir={tmp_path}/x", *own, check=1, forked=False)
    assert "CSV" in refused.stderr and refused.stderr.count("\n") <= 1 and not (tmp_path / "x" / "model").exists()
    run = command(f"--train_file={tmp_path}/export.csv", f"--output_dir={tmp_path}/out", *own, check=0)
    assert "cp1252" in run.stdout and "separated by ';'" in run.stdout
    assert re.search(r"\b32\b.*\b8\b", run.stdout), run.stdout[:1500]  # rows to train on, and to evaluate on
    assert tfbert.load_model(tmp_path / "out" / "model").task.labels == ["Störung", "Übriges"]


def test_one_in_ten_is_positive(tmp_path):
    """A first run with F1 0 says what to do; that run finds the rare class."""
    data = [f"--{split}_file={SAMPLES}/support_desk_{split}.tsv" for split in ("train", "dev")]
    first = command("--preset=minilm", *data, f"--output_dir={tmp_path}/first", "--max_seq_length=48",
                    check=0)  # fmt: skip
    told = first.stdout + (tmp_path / "first" / "report.html").read_text("utf-8")
    assert "'urgent'" in first.stdout and "--tune_threshold=f1" in told and "--best_metric=f1" in told
    assert "--num_train_epochs=" in first.stdout


def test_keras_programmer(tiny, tmp_path):
    """Rows in memory, plain Keras, and the same answers from a saved model in another process."""
    script = f"""
import keras, tfbert
keras.utils.set_random_seed(0)
encoder = tfbert.load_encoder({tiny!r})
task = tfbert.TASKS["classification"](labels=["no", "yes"])
model = tfbert.build_model(encoder, task, max_seq_length=16)
rows = {{"text": ["the printer is down", "thanks", "urgent !", "ok"] * 4, "label": ["no", "yes", "no", "yes"] * 4}}
train = tfbert.make_dataset(rows, model.tokenizer, task, batch_size=4, max_seq_length=16)
model.compile(optimizer=tfbert.AdamWeightDecay(3e-3, lr_multipliers=tfbert.layer_decay(encoder, 0.9)))
history = model.fit(train, validation_data=train, epochs=6, verbose=0,
                    callbacks=[keras.callbacks.EarlyStopping("val_loss")]).history
assert min(history["val_loss"]) < history["val_loss"][0], history
tfbert.save_model(model, {str(tmp_path / "model")!r})
print(tfbert.predict(model, ["the printer is down"])[0]["probabilities"]["no"])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr[-2000:]
    [again] = tfbert.predict(tfbert.load_model(tmp_path / "model"), ["the printer is down"])
    assert again["probabilities"]["no"] == pytest.approx(float(run.stdout.split()[-1]), abs=1e-5)


def test_hugging_face_user(tmp_path):
    """Names of run_glue.py are answered with ours; a folder goes in, and one that transformers knows comes out."""
    folder = write_tiny(tmp_path / "bert")
    rows = "".join(f"{text}\t{label}\n" for text, label in [("the printer is down", "no"), ("thanks", "yes")] * 8)
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + rows)
    theirs = ("--model_name_or_path=" + str(folder), "--lr=1e-3", "--num_epochs=1")
    for flag, ours in zip(theirs, ("--preset", "--learning_rate", "--num_train_epochs")):
        wrong = command(flag, forked=False)
        assert wrong.returncode != 0 and ours in wrong.stderr + wrong.stdout, wrong.stderr
    run = command(f"--preset={folder}", f"--train_file={tmp_path}/train.tsv", "--text_column=sentence",
                  f"--output_dir={tmp_path}/out", *SHORT, check=0)  # fmt: skip
    assert "16 train" in run.stdout
    config = json.loads((tmp_path / "out" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "no", "1": "yes"}
    weights = load_file(tmp_path / "out" / "model" / "model.safetensors")
    assert weights["classifier.weight"].shape == (2, 32) and "bert.embeddings.word_embeddings.weight" in weights


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """The folder of a saved model of the tiny encoder."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    task = tfbert.TASKS["classification"](labels=["no", "yes"])
    tfbert.save_model(tfbert.build_model(tfbert.load_encoder(tiny), task, max_seq_length=16), folder)
    return folder


def test_operator(saved, tmp_path):
    """A pipe in, a pipe out; and a long job that is stopped, told, and gone on with."""
    pipe = [sys.executable, "-m", "tfbert.run", "--mode=predict", f"--preset={saved}", "--test_file=-",
            "--output_file=-", f"--output_dir={tmp_path}/pipe"]  # fmt: skip
    run = subprocess.run(pipe, input="the printer is down\nthanks\n", capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert [json.loads(line).keys() >= {"label", "probabilities"} for line in run.stdout.splitlines()] == [True, True]
    rng = np.random.default_rng(0)
    rows = [{"id": number, "text": " ".join(rng.choice(["the", "printer", "down"], 12))} for number in range(20_000)]
    (tmp_path / "big.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    job = ["--mode=predict", f"--preset={saved}", f"--test_file={tmp_path}/big.jsonl"]
    command(*job, f"--output_dir={tmp_path}/whole", check=0)
    stopped = Run([*job, f"--output_dir={tmp_path}/parts"], separate_errors=True)
    wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob("parts/*partial*")), stopped)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait() == 128 + signal.SIGTERM
    assert "--resume" in stopped.outputs()[1]
    command(*job, f"--output_dir={tmp_path}/parts", "--resume", check=0)
    whole, parts = ((tmp_path / name / "predictions.jsonl").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_chinese_user(tiny, tmp_path):
    """A GBK file with Chinese column names and labels, in a shell whose locale is C."""
    rows = "".join(f"{text}，{number},{label}\n" for number, (text, label) in
                   enumerate([("中文很好", "好评"), ("不好", "差评")] * 12))  # fmt: skip
    (tmp_path / "评论.csv").write_bytes(("内容,标签\n" + rows.replace("，", " ")).encode("gb18030"))
    plain = {"LANG": "C", "LC_ALL": "C"}
    own = ("--text_column=内容", "--label_column=标签", f"--preset={tiny}", "--dev_share=0.25", *SHORT)
    command(f"--train_file={tmp_path}/评论.csv", f"--output_dir={tmp_path}/结果", *own, check=0, environment=plain)
    command("--mode=predict", f"--output_dir={tmp_path}/结果", f"--test_file={tmp_path}/评论.csv", check=0)
    predictions = (tmp_path / "结果" / "predictions.jsonl").read_text("utf-8")
    assert "好评" in predictions and "\\u" not in predictions and predictions.count("\n") == 24
    assert os.fsdecode("结果") in os.listdir(tmp_path)
