"""The label that scores and threshold of two are about: chosen, told, kept with the model, refused where it is none."""

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from tests.conftest import file_flags
from tfbert import TASKS, InputError, load_config, load_model, predict, run
from tfbert.data.sources import read_examples


def learn(labels, **options):
    return TASKS["classification"].from_examples([{"label": label, "where": ("f", 1)} for label in labels], **options)


def test_a_run_about_the_label_that_sorts_first(tiny, tmp_path, capsys):
    files = dict(flag[2:].split("=") for flag in file_flags(tmp_path))
    output = tmp_path / "run"
    settings = dict(files, preset=tiny, output_dir=str(output), max_seq_length=32, max_steps=20, learning_rate=3e-3)
    settings |= {"positive_label": "ja", "tune_threshold": "f1"}
    results = run(load_config(**settings))["dev"]
    said = capsys.readouterr().out
    assert "positive  'ja' (--positive_label), which F1, precision, recall and a threshold are about" in said
    assert "Threshold for f1: ja " in said
    model = load_model(str(output / "model"))
    assert model.task.labels == ["nein", "ja"]
    rows = list(read_examples(files["dev_file"], label_column="label"))
    held = np.array([row["label"] == "ja" for row in rows])
    found = predict(model, [row["text"] for row in rows])
    assert results["f1"] == pytest.approx(f1_score(held, [row["label"] == "ja" for row in found]))
    given = [row["probabilities"]["ja"] for row in found]
    assert results["roc_auc"] == pytest.approx(roc_auc_score(held, given))
    [threshold] = model.task.decision.thresholds
    assert [row["label"] == "ja" for row in found] == [value >= threshold for value in given]
    evaluated = run(load_config(mode="evaluate", output_dir=str(output), test_file=files["dev_file"]))["test"]
    assert evaluated["f1"] == pytest.approx(results["f1"])
    with pytest.raises(InputError, match="--positive_label=nein is not what this model was trained with: .*'ja'"):
        run(load_config(mode="evaluate", output_dir=str(output), test_file=files["dev_file"], positive_label="nein"))
    assert json.loads((output / "model" / "tfbert.json").read_text())["labels"] == ["nein", "ja"]


def test_a_number_may_be_named_as_text():
    assert learn([0, 1], positive_label="0").labels == [1, 0]
    assert learn(["a", "b"], positive_label="b").labels == ["a", "b"]


@pytest.mark.parametrize(
    "labels,positive,message",
    [
        (["no", "yes"], "ja", "--positive_label must be one of the labels, no, yes. Received: 'ja'"),
        (["a", "b", "c"], "a", "--positive_label=a needs two labels. There are 3: a, b, c"),
    ],
)
def test_what_is_none_is_refused(labels, positive, message):
    with pytest.raises(InputError, match=message):
        learn(labels, positive_label=positive)


@pytest.mark.parametrize("task", ["multilabel", "regression", "masked_lm"])
def test_other_tasks_have_none(task):
    with pytest.raises(InputError, match="positive_label"):
        load_config(task=task, positive_label="yes")
