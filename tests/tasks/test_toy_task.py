"""A new kind of task is one class: two of them go through training, scoring, prediction, folds, a sweep and reports."""

import json
import pathlib

import keras
import numpy as np
import pytest
from keras import ops

import tfbert
from tests.conftest import random_texts, rows_of
from tfbert import TASKS, InputError
from tfbert.modes.sweep_study import SweepTrial
from tfbert.reports.sweep_report import write_sweep_report
from tfbert.tasks.classification import Classification
from tfbert.tasks.rules import RULES, rules_of
from tfbert.tasks.text_task import TextTask


class Ordinal(Classification):
    """Classes in an order: the squared distance between cumulative probabilities; answers with the median."""

    name = "ordinal"
    default_metric = "off_by"
    directions = Classification.directions | {"off_by": "lower"}

    def loss(self, labels, logits):
        true = ops.one_hot(ops.cast(labels, "int32"), self.outputs)
        return ops.sum(ops.square(ops.cumsum(ops.softmax(logits, axis=-1) - true, axis=-1)), axis=-1)

    def training_loss(self, labels, logits):
        return self.loss(labels, logits)

    def guesses(self, logits):
        return (np.cumsum(self.probabilities(logits), axis=1) < 0.5 - 1e-9).sum(axis=1)

    def metrics(self, labels, logits):
        return super().metrics(labels, logits) | {"off_by": float(abs(self.guesses(logits) - labels).mean())}


class Counts(TextTask):
    """How often something happens: a Poisson rate, of which the model gives the logarithm."""

    name = "counts"
    default_metric = "deviance"
    directions = {"deviance": "lower", "exact": "higher"}

    def encode_label(self, label, where):
        return np.float32(int(label))

    def decode_label(self, label):
        return int(label)

    def initial_bias(self, labels):
        return np.log(np.mean(labels, keepdims=True) + 1e-3).astype(np.float32)

    def constant_outputs(self, examples):
        return self.initial_bias(examples.labels)

    def loss(self, labels, outputs):
        return ops.exp(outputs[:, 0]) - ops.cast(labels, "float32") * outputs[:, 0]

    def keras_metrics(self):
        return [keras.metrics.Poisson()]

    def metrics(self, labels, outputs):
        rates = np.exp(np.asarray(outputs[:, 0], np.float64))
        ratios = np.where(labels > 0, labels * np.log(np.maximum(labels, 1) / rates), 0.0)
        exact = np.mean(np.rint(rates) == labels)
        return {"deviance": float(2 * np.mean(ratios - labels + rates)), "exact": float(exact)}

    def predictions(self, outputs, rows=None):
        return [{"label": int(round(rate)), "rate": round(rate, 6)} for rate in np.exp(outputs[:, 0]).tolist()]

    def mean_outputs(self, outputs):
        return ops.log(ops.mean(ops.exp(outputs), axis=0))


LABEL_OF = {Ordinal: lambda text: min(text.split().count("the"), 2), Counts: lambda text: text.split().count("the")}


@pytest.fixture(params=LABEL_OF, ids=lambda task: task.name)
def toy(request, monkeypatch):
    monkeypatch.setitem(TASKS, request.param.name, request.param)
    return request.param


@pytest.fixture
def settings(toy, tiny, tmp_path):
    """The settings of a training of a few steps, and those of scoring and predicting its dev rows."""
    for split, count, seed in (("train", 40, 0), ("dev", 20, 1)):
        rows = [f"{text or 'empty'}\t{LABEL_OF[toy](text)}\n" for text in random_texts(count, seed)]
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows), "utf-8")
    data = {"train_file": f"{tmp_path}/train.tsv", "dev_file": f"{tmp_path}/dev.tsv"}
    return {"task": toy.name, "preset": tiny, "max_seq_length": 32, "train_batch_size": 8, "max_steps": 4,
            "learning_rate": 1e-3, "strategy": "one_device", **data}  # fmt: skip


def done(**settings):
    return tfbert.run(tfbert.load_config(**settings))


def test_train_save_load_evaluate_predict(toy, settings, tmp_path):
    output = str(tmp_path / "out")
    found = done(**settings, output_dir=output)
    assert {"loss", toy.default_metric} <= found["baseline"].keys() & found["dev"].keys()
    assert found["dev"].keys() <= {"loss", *toy.directions}
    report = (tmp_path / "out" / "report.html").read_text()
    assert f"{toy.default_metric} on dev" in report and ("Confusions on dev" in report) == (toy is Ordinal)
    assert "tfbert.predict(model" in (tmp_path / "out" / "README.md").read_text()
    later = {"output_dir": output, "test_file": settings["dev_file"], "strategy": "one_device"}
    assert done(mode="evaluate", **later)["test"] == pytest.approx(found["dev"], rel=1e-5)
    assert done(mode="predict", **later)["examples"] == 20
    model = tfbert.load_model(f"{output}/model")
    assert type(model.task) is toy and model.task.labels == (["0", "1", "2"] if toy is Ordinal else [])
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    again = tfbert.predict(model, [text or "empty" for text in random_texts(20, 1)])
    assert [line["label"] for line in lines] == [line["label"] for line in again]
    config = json.loads((tmp_path / "out" / "model" / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert len(config["id2label"]) == model.task.outputs
    assert config.get("problem_type") == ("single_label_classification" if toy is Ordinal else None)


def test_a_sweep_of_folds(toy, settings, tmp_path):
    """The trial is a cross-validation, whose ensemble is kept."""
    pytest.importorskip("optuna")
    output = tmp_path / "sweep"
    space = {"sweep": {"learning_rate": [1e-3]}, "folds": 2, "max_steps": 1}
    found = done(**settings | space, mode="sweep", output_dir=str(output))
    assert found["trials"] == 1 and found["best"]["results"]["dev"].keys() >= {"loss", toy.default_metric}
    assert found["best"]["results"]["out_of_fold"].keys() >= {"loss", toy.default_metric}
    assert f"{toy.default_metric} on dev" in (output / "report.html").read_text()
    assert "ensemble on dev" in (pathlib.Path(found["best"]["folder"]) / "report.html").read_text()
    ensemble = tfbert.load_model(str(output / "model"))
    assert type(ensemble.task) is toy and len(ensemble.members) == 2
    texts = ["the printer is down", "the the the"]
    members = np.stack([member(features_of(member, texts)) for member in ensemble.members])
    expected = ensemble.task.predictions(np.asarray(ensemble.task.mean_outputs(members)))
    assert [row["label"] for row in tfbert.predict(ensemble, texts)] == [row["label"] for row in expected]


def features_of(model, texts):
    return next(iter(model.batches_of(rows_of(texts), len(texts)).shares(0, 1)))[0]


def test_a_sweep_knows_which_score_is_better(toy, tmp_path):
    scores = {"1e-3": 0.5, "1e-2": 0.2, "1e-1": 0.4}
    trials = [
        SweepTrial({"learning_rate": rate}, str(tmp_path), {"dev": {toy.default_metric: score}}, None, 1.0)
        for rate, score in scores.items()
    ]
    write_sweep_report(str(tmp_path), {"task": toy.name, "preset": "tiny"}, toy.default_metric, trials)
    assert f"Best median {toy.default_metric}: <b>learning_rate=1e-2</b>, 0.2" in (tmp_path / "report.html").read_text()


def test_what_means_nothing_to_a_task_is_refused(toy):
    with pytest.raises(InputError, match=f"--max_ngram=3 has no effect with --task={toy.name}"):
        tfbert.load_config(task=toy.name, max_ngram=3)
    if toy is Counts:
        with pytest.raises(InputError, match="--balance=sqrt and --task=counts exclude each other: there are no lab"):
            tfbert.load_config(task=toy.name, balance="sqrt")


def test_rules_stand_with_the_class():
    """The light table, read before TensorFlow, and the classes say the same."""
    for name in TASKS:
        assert rules_of(name) == TASKS[name].rules == RULES[name]
