"""Names that people type for a BERT, and where each is got."""

import pathlib
import shutil

import keras_hub
import pytest

from tfbert import InputError
from tfbert.models.preset_names import PRESET_NAMES, source_of
from tfbert.models.presets import find_preset


@pytest.mark.parametrize(
    "name,source",
    [
        ("bert-base-uncased", "hf://google-bert/bert-base-uncased"),
        ("bert-base-chinese", "hf://google-bert/bert-base-chinese"),
        ("google-bert/bert-base-cased", "hf://google-bert/bert-base-cased"),
        ("distilbert-base-uncased", "hf://distilbert/distilbert-base-uncased"),
        ("hfl/chinese-roberta-wwm-ext", "hf://hfl/chinese-roberta-wwm-ext"),
        ("google/bert_uncased_L-2_H-128_A-2", "bert_tiny_en_uncased"),
        ("chinese_L-12_H-768_A-12", "bert_base_zh"),
        ("bert_base_en", "bert_base_en"),
        ("hf://google-bert/bert-base-cased", "hf://google-bert/bert-base-cased"),
        ("kaggle://keras/bert/keras/bert_base_en", "kaggle://keras/bert/keras/bert_base_en"),
    ],
)
def test_names_find_their_source(name, source):
    assert source_of(name) == source


def test_every_source_is_one():
    """On Hugging Face, or among Keras' presets; none of Keras' presets of BERT is read from elsewhere."""
    presets = keras_hub.models.BertBackbone.presets
    assert all(source.startswith("hf://") or source in presets for source in PRESET_NAMES.values())
    assert not PRESET_NAMES.keys() & presets.keys()
    assert keras_hub.models.DistilBertBackbone.presets.keys() <= PRESET_NAMES.keys()


def test_a_folder_wins(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bert-base-uncased", "google-bert/bert-base-cased"):
        shutil.copytree(tiny, pathlib.Path(name))
        assert find_preset(name).rows == find_preset(tiny).rows


@pytest.mark.parametrize(
    "name,message",
    [
        ("bert-base-cased", "bert-base-cased is not a folder, and hf://google-bert/bert-base-cased cannot be fetched"),
        ("runs/model", "runs/model is not a folder, and hf://runs/model cannot be fetched from the Hugging Face hub"),
        ("bert-tiny", "=bert_tiny_en_uncased .* cannot be loaded as a Keras preset: .* Check the network, or give"),
        ("kaggle://keras/bert/keras/no_such", "cannot be loaded as a Keras preset"),
        ("bert-base-uncasd", "Did you mean 'bert-base-uncased'. Give a folder, hf://ORG/NAME, minilm, or one of"),
        ("minlm", "Did you mean 'minilm'"),
    ],
)
def test_what_cannot_be_had_is_told(name, message, monkeypatch, tmp_path):
    """The real loading code meets a network that is not there."""
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=message):
        find_preset(name)
