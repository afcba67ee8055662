"""`~` is the home folder at every door: settings, and the functions that take a path."""

import dataclasses
import os
import pathlib

import pytest

import tfbert
from tests.conftest import write_tiny
from tfbert import InputError, load_config
from tfbert.config.load import FIELDS, parse
from tfbert.config.setting import kind_of
from tfbert.core.paths import read_path
from tfbert.models.minilm import fetch_minilm

# Settings whose help speaks of files or folders; the rest are no paths.
PATHS = [
    *("train_file", "dev_file", "test_file", "augment", "preset", "vocab_file", "cache_dir", "held_out", "output_file"),
    "output_dir",
    "sweep_store",
]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of its own, and an empty folder to be in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "home"
    assert not list((tmp_path / "here").iterdir()), "something was written to the folder that one stands in"


def test_which_settings_are_paths():
    assert [name for name, field in FIELDS.items() if field.metadata["path"]] == PATHS


@pytest.mark.parametrize("name", PATHS)
def test_settings(name, home):
    several = kind_of(FIELDS[name])[0] is tuple
    expected = (f"{home}/x",) if several else f"{home}/x"
    assert parse(name, "~/x") == expected
    assert parse(name, pathlib.Path("~/x")) == expected
    with pytest.raises(InputError, match="there is no home folder ~nobody-here; a file of that name is ./~nobody"):
        parse(name, "~nobody-here/x")
    assert parse(name, "a~b") == (("a~b",) if several else "a~b")


def test_paths_behind_a_word(home):
    assert read_path("config:~/bert.json") == f"config:{home}/bert.json"
    assert read_path("masked_words:~/model") == f"masked_words:{home}/model"
    assert read_path("sqlite:///~/sweep.db") == f"sqlite:///{home}/sweep.db"
    for other in ("tfds:glue/sst2:train", "hf://org/~name", "gs://bucket/~x", "./~x", "bert_base_en", "~x.tsv"[1:], ""):
        assert read_path(other) == other


def test_the_config_file_and_its_stages(home):
    (home / "run.yaml").write_text("stages: [{a: {train_file: ~/a.txt, task: masked_lm}}]\noutput_dir: ~/out\n")
    config = load_config("~/run.yaml")
    assert config.training.output_dir == f"{home}/out"
    assert dataclasses.asdict(config.stages()[0][1].data)["train_file"] == f"{home}/a.txt"


def test_public_functions(home, monkeypatch):
    tiny = write_tiny(home / "tiny")
    encoder = tfbert.load_encoder("~/tiny", dropout=0.0)
    assert tfbert.load_tokenizer(tiny).vocabulary == tfbert.load_tokenizer("~/tiny").vocabulary  # a pathlib.Path
    new = tfbert.load_encoder("config:~/tiny/config.json", vocab_file="~/tiny/vocab.txt")
    assert new.hidden_dim == encoder.hidden_dim
    task = tfbert.TASKS["classification"](["billing", "technical"])
    model = tfbert.build_model(encoder, task, max_seq_length=16)
    tfbert.save_model(model, "~/saved/model")
    assert (home / "saved" / "model" / "model.safetensors").is_file()
    assert tfbert.load_model("~/saved/model").task.labels == task.labels
    assert tfbert.load_model(home / "saved" / "model").max_seq_length == 16
    (home / "a.tsv").write_text("text\tlabel\nthe printer\tbilling\n")
    for location in ("~/a.tsv", home / "a.tsv"):
        assert tfbert.make_dataset(location, model.tokenizer, task, max_seq_length=16).examples.size == 1
    monkeypatch.setenv("TFBERT_CACHE", "~/cache")
    monkeypatch.setattr(os.path, "isdir", lambda path: True)
    assert fetch_minilm().startswith(f"{home}/cache/minilm-")
    assert fetch_minilm("~/other").startswith(f"{home}/other/minilm-")
