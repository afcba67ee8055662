"""DistilBERT against torch (golden), and through training, saving and prediction."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.conftest import ROOT
from tests.reference.families import DISTILBERT, TEXTS, distilbert_tensors, write_checkpoint
from tfbert import (
    TASKS,
    AdamWeightDecay,
    build_model,
    layer_decay,
    load_encoder,
    load_model,
    make_dataset,
    predict,
    save_model,
    train,
)
from tfbert.data.rows import fill_rows, pad_rows
from tfbert.data.windows import make_windows
from tfbert.optim.parameter_groups import encoder_patterns, freeze, value_of

# Of 3 layers: 3 embeddings' variables with LayerNorm's two, 16 a layer, the pooler's two.
COUNTS = {"embeddings": 4, "layer 0": 16, "layer 1": 16, "layer 2": 16, "pooler": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("distilbert")
    write_checkpoint(path, DISTILBERT, distilbert_tensors())
    return path


def features_of(tokenizer, text):
    made = make_windows(tokenizer([text]), None, 40, tokenizer.cls_id, tokenizer.sep_id)
    lengths = made.pieces.row_lengths().numpy().astype(np.int32)
    placement = pad_rows(lengths, lengths.max(), 1)
    return fill_rows(made.pieces, made.first_lengths, made.counts, placement, 1, 1)


def test_every_layer_is_torchs(folder):
    golden = np.load(ROOT / "tests" / "golden" / "families.npz")
    encoder = load_encoder(str(folder))
    for number, text in enumerate(TEXTS):
        found = encoder(features_of(encoder.tokenizer, text))
        np.testing.assert_allclose(np.concatenate(found), golden[f"distilbert:layers:{number}"], atol=1e-4)


def test_its_head_is_torchs(folder):
    """`pre_classifier` and ReLU where BERT has its pooler, then `classifier`."""
    golden, tensors = np.load(ROOT / "tests" / "golden" / "families.npz"), distilbert_tensors()
    model = build_model(load_encoder(str(folder)), TASKS["classification"](["no", "yes"]), max_seq_length=40)
    model.head.kernel.assign(tensors["classifier.weight"].T)
    model.head.bias.assign(tensors["classifier.bias"])
    for number, text in enumerate(TEXTS):
        found = model(features_of(model.tokenizer, text))[0]
        np.testing.assert_allclose(found, golden[f"distilbert:logits:{number}"], atol=1e-4)


def test_groups_cover_every_variable(folder):
    encoder = load_encoder(str(folder))
    patterns = [(pattern, part) for part, pattern in encoder_patterns(encoder).items()]
    parts = [value_of(patterns, variable.path, default=None) for variable in encoder.trainable_variables]
    assert {part: parts.count(part) for part in parts} == COUNTS
    rates = [value_of(layer_decay(encoder, 0.5), variable.path, 1.0) for variable in encoder.trainable_variables]
    expected = {"embeddings": 0.125, "layer 0": 0.25, "layer 1": 0.5, "layer 2": 1.0, "pooler": 1.0}
    assert rates == [expected[part] for part in parts]
    frozen = [value_of(freeze(encoder, "encoder"), variable.path, 1.0) for variable in encoder.trainable_variables]
    assert frozen == [0.0] * sum(COUNTS.values())


def test_trains_and_comes_back(folder, tmp_path):
    rows = [{"text": text, "label": ["no", "yes"][number % 2], "where": ("x", number)} for number, text in
            enumerate(TEXTS * 2)]  # fmt: skip
    model = build_model(load_encoder(str(folder)), TASKS["classification"](["no", "yes"]), max_seq_length=40)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    optimizer = AdamWeightDecay(1e-3, lr_multipliers=layer_decay(model.encoder, 0.9))
    train(model, make_dataset(rows, model.tokenizer, model.task, 4, 40), optimizer, epochs=1)
    still = [v.path for v in model.trainable_variables if (v.numpy() == before[v.path]).all()]
    assert all(path.endswith("key/bias") for path in still)  # which shifts all of a row's attention alike
    save_model(model, tmp_path / "model")
    assert predict(load_model(tmp_path / "model"), TEXTS) == predict(model, TEXTS)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["model_type"] == "distilbert" and config["architectures"] == ["DistilBertForSequenceClassification"]
    assert {name: config[name] for name in DISTILBERT} == DISTILBERT
    saved, names = load_file(tmp_path / "model" / "model.safetensors"), distilbert_tensors()
    assert {name: value.shape for name, value in saved.items()} == {name: value.shape for name, value in names.items()}
