"""Tagging from the command line's settings: train, evaluate, predict, sweep, resume, what is refused, what is told."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

import tfbert
from tests.conftest import ROOT, terminated_at_step
from tests.tasks.tagging.sentences import random_sentences, write_conll, write_jsonl
from tfbert import InputError
from tfbert.data.sources import read_examples
from tfbert.training.signals import Interrupted


WITHOUT_DEV = {"dev_file": None, "evaluations": None}


@pytest.fixture(scope="module")
def settings(tiny, tmp_path_factory):
    """The settings of a training of some steps that learns its tags."""
    folder = tmp_path_factory.mktemp("data")
    write_conll(folder / "train.conll", random_sentences(160))
    write_jsonl(folder / "dev.jsonl", random_sentences(40, 1, longest=40))
    files = {"train_file": f"{folder}/train.conll", "dev_file": f"{folder}/dev.jsonl"}
    return {"task": "tagging", "preset": tiny, "max_seq_length": 16, "train_batch_size": 16, "max_steps": 100,
            "learning_rate": 5e-3, "dropout": 0.0, "strategy": "one_device", "evaluations": 4, **files}  # fmt: skip


def done(**settings):
    return tfbert.run(tfbert.load_config(**settings))


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "out"
    return output, done(**settings, output_dir=str(output))


def predicted(trained, settings, path, **options):
    options = {"test_file": settings["dev_file"], "strategy": "one_device"} | options
    done(mode="predict", preset=str(trained[0] / "model"), output_file=str(path), **options)
    return path


def test_it_learns_and_is_scored_again(trained, settings, tmp_path):
    output, found = trained
    assert found["dev"].keys() == {"loss", "f1", "precision", "recall", "f1_strict", "accuracy"}
    assert found["dev"]["f1"] > 0.9 and found["baseline"]["f1"] == 0 and not found["failed"]
    model = {"mode": "evaluate", "preset": f"{output}/model", "strategy": "one_device"}
    again = done(**model, test_file=settings["dev_file"], output_dir=str(tmp_path))
    assert again["test"] == pytest.approx(found["dev"], rel=1e-5)
    report = (output / "report.html").read_text()
    assert "Each type on dev" in report and "Confusions of types" in report and "Worst mistakes on dev" in report
    card = (output / "README.md").read_text()
    assert "BIO, decoded by argmax" in card and 'tfbert.predict(model, [["John"' in card
    about = json.loads((output / "model" / "tfbert.json").read_text())
    assert (about["scheme"], about["tag_decoding"], about["text_columns"]) == ("BIO", "argmax", ["tokens"])


def test_predictions_have_the_rows_and_words_of_the_input(trained, settings, tmp_path):
    """JSON, CSV and CoNLL say the same; rows and words are those of the file, also without tokens."""
    rows = list(read_examples(settings["dev_file"], "tokens", id_column="id", reads="words"))
    lines = predicted(trained, settings, tmp_path / "p.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [line["id"] for line in found] == [row["id"] for row in rows]
    assert [line["tokens"] for line in found] == [row["words"] for row in rows]
    assert all(len(line["tags"]) == len(line["tokens"]) for line in found)
    model = tfbert.load_model(trained[0] / "model")
    assert [line["tags"] for line in found] == [
        answer["tags"] for answer in tfbert.predict(model, [row["words"] for row in rows])
    ]
    right = [tag == given for line, row in zip(found, rows) for tag, given in zip(line["tags"], _tags(settings, row))]
    assert np.mean(right) == pytest.approx(trained[1]["dev"]["accuracy"])
    with open(predicted(trained, settings, tmp_path / "p.csv"), newline="") as file:
        assert [json.loads(row["tags"]) for row in csv.DictReader(file)] == [line["tags"] for line in found]
    sentences = predicted(trained, settings, tmp_path / "p.conll").read_text("utf-8").removesuffix("\n").split("\n\n")
    again = [[line.split("\t") for line in sentence.strip("\n").split("\n") if line] for sentence in sentences]
    filled = [line for line in found if line["tokens"]]
    assert [row for row in again if row] == [[list(pair) for pair in zip(r["tokens"], r["tags"])] for r in filled]
    other = predicted(trained, settings, tmp_path / "tags.out", format="conll")
    assert other.read_bytes() == (tmp_path / "p.conll").read_bytes()


def _tags(settings, row):
    with open(settings["dev_file"]) as file:
        return json.loads(file.readlines()[row["where"][1] - 1])["tags"]


def test_plain_texts_have_offsets(trained, settings, tmp_path):
    path = tmp_path / "new.txt"
    path.write_text("the printer my my is not account!\n\n", "utf-8")
    lines = predicted(trained, settings, tmp_path / "p.jsonl", test_file=str(path)).read_text().splitlines()
    first, empty = map(json.loads, lines)
    assert empty == {"tokens": [], "tags": [], "entities": []}
    assert first["tokens"] == ["the", "printer", "my", "my", "is", "not", "account", "!"]
    about = [(each["type"], each["start"]) for each in first["entities"]]
    assert about == [("LOC", 4), ("PER", 25)]
    for each in first["entities"]:
        assert each["text"] == "the printer my my is not account!"[each["start"] : each["end"]]
        assert each["text"].split() == first["tokens"][each["first"] : each["last"] + 1]
        assert 0 < each["probability"] <= 1


def test_from_pipe_to_pipe(trained):
    """Standard input and output, in a process of its own."""
    pipe = [sys.executable, "-m", "tfbert.run", "--mode=predict", f"--preset={trained[0]}/model", "--test_file=-",
            "--output_file=-", "--format=conll"]  # fmt: skip
    for given in ("please printer\n", '{"tokens": ["please", "printer"]}\n'):
        result = subprocess.run(pipe, input=given, capture_output=True, text=True, cwd=ROOT)
        assert result.stdout == "please\tO\nprinter\tB-LOC\n\n", result.stderr


def test_rows_are_held_out_by_their_tags(settings, tmp_path):
    shares = {"dev_file": None, "dev_share": 0.25, "test_share": 0.25, "max_steps": 2}
    found = done(**settings | shares, output_dir=str(tmp_path))
    assert found.keys() >= {"dev", "test"}
    held_out = json.loads((tmp_path / "split.json").read_text())["held_out"]
    total = len(list(read_examples(settings["train_file"], "tokens", reads="words")))
    assert abs(len(held_out["dev"]) - total / 4) <= 2 and not set(held_out["dev"]) & set(held_out["test"])


def test_an_interrupted_run_ends_in_the_same_bits(settings, tmp_path):
    own = settings | {"dropout": 0.1, "max_steps": 8, "evaluations": None, "eval_steps": 4}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done(**own, output_dir=str(whole))
    with pytest.raises(Interrupted), terminated_at_step(3):
        done(**own, output_dir=str(cut))
    done(**own, output_dir=str(cut))
    for name, value in load_file(whole / "model" / "model.safetensors").items():
        np.testing.assert_array_equal(load_file(cut / "model" / "model.safetensors")[name], value)


def test_a_sweep_over_decodings(settings, tmp_path):
    pytest.importorskip("optuna")
    space = {"sweep": {"tag_decoding": ["argmax", "viterbi"]}, "max_steps": 2}
    found = done(**settings | space, mode="sweep", output_dir=str(tmp_path))
    assert found["trials"] == 2 and "f1 on dev" in (tmp_path / "report.html").read_text()


def test_mixed_precision_on_two_devices(settings, tmp_path):
    own = settings | {"mixed_precision": "bfloat16", "strategy": "mirrored", "max_steps": 2}
    found = done(**own, gradient_accumulation_steps=2, output_dir=str(tmp_path))
    assert np.isfinite(found["dev"]["loss"])


def test_what_is_told(settings, tmp_path, capsys):
    """Labels by word, the scheme, sentences rather than windows; inspect says the same."""
    (tmp_path / "iob.conll").write_text("a I-X\nb I-X\n\nc O\nd I-Y\ne I-Y\n\n" * 4)
    own = settings | WITHOUT_DEV | {"train_file": str(tmp_path / "iob.conll"), "max_steps": 1}
    done(**own, output_dir=str(tmp_path / "out"))
    said = capsys.readouterr().out
    assert "O (4), B-X (0), I-X (8), B-Y (0), I-Y (8)" in said and "IOB1, 2 types (detected)" in said
    assert "data      8 train" in said
    done(mode="inspect", task="tagging", preset=settings["preset"], train_file=str(tmp_path / "iob.conll"))
    assert "Labels: O (4, 20.0%), B-X (0, 0.0%), I-X (8, 40.0%)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"long_text": "mean"}, "--long_text.*long sentences are tagged in overlapping windows"),
        (WITHOUT_DEV | {"folds": 2}, "--folds.*averages one answer"),
        ({"augment": ["swap_words"]}, "--augment.*lose its tag"),
        ({"oversample": ["O=2"]}, "--oversample.*a sentence has many tags"),
        ({"pooling": "cls"}, "--pooling.*tagging"),
        ({"tune_threshold": "f1"}, "--tune_threshold.*tagging"),
        ({"task": "classification", "tag_decoding": "viterbi"}, "--tag_decoding.*classification"),
        ({"class_weights": ["B-ORG=2"]}, "--class_weights names the label 'B-ORG'"),
        ({"label_column": "ner"}, "no column 'ner'"),
    ],
)
def test_what_has_no_meaning_is_refused(settings, changed, said, tmp_path):
    own = settings | ({"train_file": settings["dev_file"]} if "label_column" in changed else {}) | changed
    with pytest.raises(InputError, match=said):
        done(**own, output_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out" / "model").exists()


def test_the_best_path_needs_entities(settings, tmp_path):
    (tmp_path / "pos.conll").write_text("a DT\ncat NN\n\n" * 4)
    own = settings | WITHOUT_DEV | {"train_file": str(tmp_path / "pos.conll"), "max_steps": 1}
    with pytest.raises(InputError, match="viterbi needs tags that mark entities.*has DT, NN"):
        done(**own, tag_decoding="viterbi", output_dir=str(tmp_path / "out"))
    found = done(**own | {"dev_file": own["train_file"]}, output_dir=str(tmp_path / "out"))
    assert found["dev"].keys() == {"loss", "f1", "accuracy"}
    assert "Each tag on dev" in (tmp_path / "out" / "report.html").read_text()


def test_classifiers_write_no_columns(tiny, tmp_path):
    model = tfbert.build_model(tfbert.load_encoder(tiny), tfbert.TASKS["classification"](["no", "yes"]),
                               max_seq_length=16)  # fmt: skip
    tfbert.save_model(model, tmp_path / "model")
    (tmp_path / "x.txt").write_text("hello\n")
    own = {"mode": "predict", "preset": str(tmp_path / "model"), "test_file": str(tmp_path / "x.txt")}
    with pytest.raises(InputError, match="conll has a tag for each word, which a model of --task=classification"):
        done(**own, output_file=str(tmp_path / "x.conll"), strategy="one_device")
    with pytest.raises(InputError, match="must end in .jsonl, .csv or .conll"):
        done(**own, output_file=str(tmp_path / "x.out"))
