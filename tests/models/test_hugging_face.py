"""Saved folders as transformers reads them: the same model, or one whose classifier it reports as missing."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT, random_texts
from tests.models.test_checkpoint_tokenizer import CONFIG
from tests.reference.tokenizer_folders import HONOURED, VOCABULARY, write_folder
from tfbert import TASKS, build_model, load_encoder, load_model, predict, save_model
from tfbert.data.windows import LongText
from tfbert.inference.hugging_face import beyond_transformers, hugging_face_files
from tfbert.inference.saved_model import save_decision
from tfbert.models.pooling import POOLINGS
from tfbert.models.presets import find_preset
from tfbert.reports.model_card import write_model_card
from tfbert.tasks.labelled.decision import Decision

OTHERS = {
    **{pooling: {"pooling": pooling} for pooling in (*POOLINGS, "layer:1") if pooling != "pooler"},
    "windows": {"long_text": LongText("mean", max_windows=2)},
    "attention over windows": {"long_text": LongText("attention", max_windows=2)},
    "hidden layers": {"head_layers": (8,)},
}


def model_of(folder, **options):
    task = TASKS["classification"](["no", "yes"])
    return build_model(load_encoder(str(folder), dropout=0.0), task, max_seq_length=24, **options)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The golden file, and the folder of its model as transformers wrote it."""
    found, folder = dict(np.load(ROOT / "tests" / "golden" / "classifier.npz")), tmp_path_factory.mktemp("golden")
    tensors = {name.removeprefix("tensor:"): x for name, x in found.items() if ":" in name}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(str(found["config"]))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY[:80]) + "\n", encoding="utf-8")
    return found, folder


def test_a_classifier_on_the_pooler_is_transformers_own(golden, tmp_path):
    """The logits are those of transformers; what is saved has its names, its values and its configuration."""
    found, folder = golden
    model = build_model(load_encoder(str(folder)), TASKS["classification"](["a", "b", "c"]), max_seq_length=24)
    model.head.kernel.assign(found["tensor:classifier.weight"].T)
    model.head.bias.assign(found["tensor:classifier.bias"])
    ids = found["ids"].astype(np.int32)
    rows, length = ids.shape
    features = {
        "token_ids": ids, "segment_ids": np.zeros_like(ids), "window_ids": np.ones_like(ids),
        "positions": np.tile(np.arange(length, dtype=np.int32), (rows, 1)),
        "window_start": np.arange(rows, dtype=np.int32) * length, "window_example": np.arange(rows, dtype=np.int32),
        "example_windows": np.ones(rows, np.int32),
    }  # fmt: skip
    logits = model({name: tf.constant(value) for name, value in features.items()})
    np.testing.assert_allclose(logits, found["logits"], atol=1e-4)
    assert np.abs(found["logits"]).max() > 0.5
    save_model(model, str(tmp_path))
    tensors, expected = load_file(tmp_path / "model.safetensors"), load_file(folder / "model.safetensors")
    assert tensors.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value)
    saved, config = (json.loads((path / "config.json").read_text()) for path in (tmp_path, folder))
    for name in ("hidden_act", "layer_norm_eps", "num_attention_heads", "architectures", "type_vocab_size"):
        assert saved[name] == config[name]
    assert beyond_transformers(model) == []


@pytest.mark.parametrize("name", OTHERS)
def test_another_head_is_none_that_transformers_takes_for_its_own(tiny, tmp_path, name):
    """It looks for classifier.weight and .bias, and reports what it does not find."""
    model = model_of(tiny, **OTHERS[name])
    save_model(model, str(tmp_path))
    names = load_file(tmp_path / "model.safetensors")
    assert all(tensor.startswith(("bert.", "tfbert.")) for tensor in names)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["BertModel"] and len(config["id2label"]) == 2
    assert "classifier's weights as missing" in config["tfbert_beyond_transformers"][0]
    loaded = load_model(str(tmp_path))
    for one, other in zip(loaded.weights, model.weights, strict=True):
        assert one.path == other.path and ("seed" in one.path or np.array_equal(one.numpy(), other.numpy()))


def test_models_saved_before_load(tiny, tmp_path):
    """Every classifier stood there under the name of transformers' own."""
    model = model_of(tiny, pooling="mean", head_layers=(8,))
    save_model(model, str(tmp_path))
    tensors = load_file(tmp_path / "model.safetensors")
    before = {name.replace("tfbert.classifier", "classifier"): value for name, value in tensors.items()}
    assert before.keys() != tensors.keys()
    save_file(before, tmp_path / "model.safetensors")
    assert predict(load_model(str(tmp_path)), random_texts(5)) == predict(model, random_texts(5))


def test_what_transformers_does_not_know_is_told(tiny, tmp_path):
    model = model_of(tiny, text_columns=("a", "b"), long_text=LongText("tail"))
    save_model(model, str(tmp_path))
    model.task.decision = Decision((0.5, -0.5), 2.5, (0.7,))
    save_decision(model, str(tmp_path))
    told = json.loads((tmp_path / "config.json").read_text())["tfbert_beyond_transformers"]
    assert told == beyond_transformers(model) and len(told) == 4
    for part in ("[0.5, -0.5]", "temperature, 2.5", "thresholds on: [0.7]", "long_text=tail"):
        assert part in "\n".join(told)
    assert load_model(str(tmp_path)).task.decision.temperature == 2.5
    settings = {"task": "classification", "preset": "x", "train_file": "y", "text_pair_column": None}
    write_model_card(str(tmp_path), settings, model.task, {"best_step": 1, "dev": {"accuracy": 1.0}}, told)
    card = pathlib.Path(tmp_path / "README.md").read_text()
    assert all(f"- {sentence}" in card for sentence in told)


@pytest.mark.parametrize("name", HONOURED)
def test_a_saved_tokenizer_is_the_one_that_was_read(tiny_model, tmp_path, name):
    write_folder(tmp_path, HONOURED[name], CONFIG)
    own, tiny_model.tokenizer = tiny_model.tokenizer, find_preset(str(tmp_path)).tokenizer()
    files = hugging_face_files(tiny_model)
    (tmp_path / "saved").mkdir()
    write_folder(tmp_path / "saved", files | {"config.json": {}}, CONFIG)
    assert find_preset(str(tmp_path / "saved")).tokenizer().identity == tiny_model.tokenizer.identity
    tiny_model.tokenizer = own


def test_pieces_that_are_no_lines_keep_the_others_in_their_places(tiny_model, tmp_path):
    """A tokenizer.json can hold them; in no word they are found."""
    odd = ["\n", "a\r", "", " x ", "\u2028", "last"]
    tiny_model.tokenizer.vocabulary += odd
    (tmp_path / "vocab.txt").write_text(hugging_face_files(tiny_model)["vocab.txt"], encoding="utf-8")
    from tfbert.models.tokenizers.wordpiece import read_vocabulary

    found = read_vocabulary(str(tmp_path / "vocab.txt"))
    assert len(found) == len(tiny_model.tokenizer.vocabulary) and found[-2:] == odd[-2:]
