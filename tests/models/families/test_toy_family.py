"""A new kind of encoder is one class: it goes through training, scoring, prediction, folds, a sweep and reports."""

import json
import pathlib

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file

import tfbert
from tests.conftest import random_texts, tiny_vocabulary
from tests.reference.families import write_checkpoint
from tfbert.models.families import FAMILIES
from tfbert.models.families.family import Family, Parts, blocks_of
from tfbert.optim.parameter_groups import encoder_patterns, value_of

HIDDEN, INNER, LAYERS = 16, 24, 2
CONFIG = {
    "model_type": "toy", "vocab_size": len(tiny_vocabulary()), "width": HIDDEN, "depth": LAYERS, "heads": 2,
    "inner": INNER, "max_position_embeddings": 40, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip


class ToyBackbone(keras.Model):
    """Tables without segments, and layers of keras-hub, called by other names than its backbones call them."""

    def __init__(self, vocabulary_size, num_layers, num_heads, hidden_dim, intermediate_dim, max_sequence_length,
                 dropout, dtype=None, **kwargs):  # fmt: skip
        super().__init__(dtype=dtype, **kwargs)
        self.vocabulary_size, self.max_sequence_length = vocabulary_size, max_sequence_length
        self.num_layers, self.num_heads, self.hidden_dim = num_layers, num_heads, hidden_dim
        self.intermediate_dim, self.dropout = intermediate_dim, dropout
        self.words = keras.layers.Embedding(vocabulary_size, hidden_dim, dtype=dtype, name="words")
        self.places = keras_hub.layers.PositionEmbedding(max_sequence_length, dtype=dtype, name="places")
        self.first_norm = keras.layers.LayerNormalization(dtype=dtype, name="first_norm")
        self.transformer_layers = [
            keras_hub.layers.TransformerEncoder(intermediate_dim, num_heads, dtype=dtype, name=f"block_{number}")
            for number in range(num_layers)
        ]
        self.summary_dense = keras.layers.Dense(hidden_dim, dtype=dtype, name="summary")
        rows = (None, None, hidden_dim)
        self.words.build((None, None))
        for layer in (self.places, self.first_norm, *self.transformer_layers, self.summary_dense):
            layer.build(rows)
        self.built = True

    def get_config(self):
        names = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim", "max_sequence_length",
                 "dropout")  # fmt: skip
        return {name: getattr(self, name) for name in names}


class Toy(Family):
    """An encoder with names of its own, no segments, and softsign where BERT's pooler has tanh."""

    model_type, architecture = "toy", "Toy"
    settings = {
        "hidden_size": "width",
        "num_hidden_layers": "depth",
        "num_attention_heads": "heads",
        "intermediate_size": "inner",
    }
    fixed = {"type_vocab_size": 1}
    pooler_activation = "softsign"
    renamed = ((r"^encoder\.layer\.(\d+)\.", r"blocks.\1."), (r"^pooler\.dense", "summary"))

    @classmethod
    def backbone_class(cls):
        return ToyBackbone

    @classmethod
    def backbone(cls, sizes, dtype):
        return super().backbone({name: size for name, size in sizes.items() if name != "num_segments"}, dtype)

    @classmethod
    def parts(cls, backbone):
        tables = backbone.words, backbone.places, None
        return Parts(*tables, backbone.first_norm, blocks_of(backbone), backbone.summary_dense)


def toy_tensors():
    """Returns random weights by the names that a toy's folder has: dict of float32."""
    shapes = {
        "embeddings.word_embeddings.weight": (CONFIG["vocab_size"], HIDDEN),
        "embeddings.position_embeddings.weight": (CONFIG["max_position_embeddings"], HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
        "summary.weight": (HIDDEN, HIDDEN),
        "summary.bias": (HIDDEN,),
    }
    for number in range(LAYERS):
        for name, *shape in (
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", INNER, HIDDEN),
            ("output.dense", HIDDEN, INNER),
            ("attention.output.LayerNorm", HIDDEN),
            ("output.LayerNorm", HIDDEN),
        ):
            shapes[f"blocks.{number}.{name}.weight"] = tuple(shape)
            shapes[f"blocks.{number}.{name}.bias"] = (shape[0],)
    rng = np.random.default_rng(0)
    return {
        f"toy.{name}": (rng.normal(0, 0.2, shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in shapes.items()
    }


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setitem(FAMILIES, "toy", Toy)
    path = tmp_path / "toy"
    path.mkdir()
    write_checkpoint(path, CONFIG, toy_tensors())
    (path / "vocab.txt").write_text("\n".join(tiny_vocabulary()) + "\n", encoding="utf-8")
    return path


def done(**settings):
    return tfbert.run(tfbert.load_config(**settings))


def test_train_evaluate_predict_folds_sweep_report(folder, tmp_path):
    pytest.importorskip("optuna")
    for split, count, seed in (("train", 24, 0), ("dev", 12, 1)):
        texts = [text or "empty" for text in random_texts(count, seed)]
        rows = [f"{text}\t{['no', 'yes'][number % 2]}\n" for number, text in enumerate(texts)]
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows), "utf-8")
    data = {"train_file": f"{tmp_path}/train.tsv", "dev_file": f"{tmp_path}/dev.tsv", "max_seq_length": 32}
    settings = {"preset": str(folder), "train_batch_size": 8, "max_steps": 3, "learning_rate": 1e-3,
                "strategy": "one_device", "layer_lr_decay": 0.9, "reinit_layers": 1, "mixout": 0.5} | data  # fmt: skip
    output = tmp_path / "out"
    found = done(**settings, output_dir=str(output))
    assert "accuracy on dev" in (output / "report.html").read_text()
    later = {"output_dir": str(output), "test_file": data["dev_file"], "strategy": "one_device"}
    assert done(mode="evaluate", **later)["test"] == pytest.approx(found["dev"], rel=1e-5)
    assert done(mode="predict", **later)["examples"] == 12
    config = json.loads((output / "model" / "config.json").read_text())
    assert config["architectures"] == ["ToyForSequenceClassification"]
    assert CONFIG.items() <= config.items()
    saved, given = load_file(output / "model" / "model.safetensors"), toy_tensors()
    assert {name: saved[name].shape for name in given} == {name: value.shape for name, value in given.items()}
    space = {"sweep": {"learning_rate": [1e-3]}, "folds": 2, "max_steps": 1}
    sweep = done(**settings | space, mode="sweep", output_dir=str(tmp_path / "sweep"))
    assert "ensemble on dev" in (pathlib.Path(sweep["best"]["folder"]) / "report.html").read_text()
    ensemble = tfbert.load_model(tmp_path / "sweep" / "model")
    assert [member.encoder.family for member in ensemble.members] == [Toy, Toy]


def test_groups_cover_every_variable(folder):
    encoder = tfbert.load_encoder(str(folder))
    patterns = [(pattern, part) for part, pattern in encoder_patterns(encoder).items()]
    parts = [value_of(patterns, variable.path, default=None) for variable in encoder.trainable_variables]
    counts = {"embeddings": 4, "layer 0": 16, "layer 1": 16, "pooler": 2}
    assert {part: parts.count(part) for part in parts} == counts
    assert sum(counts.values()) == len(toy_tensors())
    for name, tensor in toy_tensors().items():
        assert any(np.array_equal(tensor.T.ravel(), value.numpy().ravel()) or np.array_equal(tensor, value.numpy())
                   for value in encoder.trainable_variables), name  # fmt: skip


def test_a_variable_that_no_group_covers_is_refused(folder, monkeypatch):
    """As where a family forgets a layer, which would then be trained at the full rate."""
    encoder = tfbert.load_encoder(str(folder))
    encoder.backbone.forgotten = keras.layers.Dense(3, name="forgotten")
    encoder.backbone.forgotten.build((None, HIDDEN))
    with pytest.raises(ValueError, match="lacks the layer of the variable forgotten"):
        tfbert.layer_decay(encoder, 0.9)
