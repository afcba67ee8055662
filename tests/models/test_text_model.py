"""Pooling, head and saved folders."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of, write_tiny
from tfbert import (
    TASKS,
    AdamWeightDecay,
    InputError,
    build_model,
    load_encoder,
    load_model,
    predict,
    save_model,
    train,
)
from tfbert.data.batches import ExampleBatches, ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.models.pooling import POOLINGS, Pooling


def batch_of(tokenizer, static_shapes, count=7, batch_size=9):
    examples = tokenize_examples(rows_of(random_texts(count)), tokenizer, 24)
    return next(iter(ExampleBatches(examples, batch_size, 24, False, 0, static_shapes).shares(0, 1)))[0]


@pytest.mark.parametrize("static_shapes", [False, True])
@pytest.mark.parametrize("name", [*POOLINGS, "layer:0", "layer:2"])
def test_poolings_equal_their_formulas_and_padding_never_leaks(tmp_path, name, static_shapes):
    """On random tensors in place of five layers, with huge values where there is padding."""
    encoder = load_encoder(str(write_tiny(tmp_path / "tiny", layers=5)))
    features = batch_of(encoder.tokenizer, static_shapes)
    window_ids, start = features["window_ids"].numpy(), features["window_start"].numpy()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, *window_ids.shape, 32)).astype(np.float32)
    x[:, window_ids == 0] = 1e30

    def given(features, training, seed, last_layer_at=None, depth=None):
        *below, last = list(x)[: depth + 1]
        last = last if last_layer_at is None else last.reshape(-1, 32)[last_layer_at.numpy()]
        return [tf.constant(layer) for layer in (*below, last)]

    encoder.call = given
    pooling = Pooling(name, encoder)
    if name == "scalar_mix":
        pooling.mix.assign(rng.normal(size=5))
        pooling.scale.assign(1.7)
    found = pooling(features, encoder=encoder).numpy()
    w, b = (v.numpy() for v in (encoder.backbone.pooled_dense.kernel, encoder.backbone.pooled_dense.bias))
    for slot in range(7):
        row, column = divmod(start[slot], window_ids.shape[1])
        tokens = x[-1, row][window_ids[row] == window_ids[row, column]].astype(np.float64)
        cls = x[1:, row, column].astype(np.float64)
        expected = {
            "cls": lambda: tokens[0],
            "mean": lambda: tokens.mean(axis=0),
            "max": lambda: tokens.max(axis=0),
            "pooler": lambda: np.tanh(tokens[0] @ w + b),
            "layer:0": lambda: cls[0],
            "layer:2": lambda: cls[2],
            "first_last": lambda: (cls[0] + cls[4]) / 2,
            "last4_concat": lambda: np.concatenate([cls[1], cls[2], cls[3], cls[4]]),
            "last4_mean": lambda: cls[1:].mean(axis=0),
            "last4_max": lambda: cls[1:].max(axis=0),
            "all_concat": lambda: cls.reshape(-1),
            "all_mean": lambda: cls.mean(axis=0),
            "scalar_mix": lambda: 1.7 * (np.exp(pooling.mix.numpy()) / np.exp(pooling.mix.numpy()).sum()) @ cls,
        }[name]()
        np.testing.assert_allclose(found[slot], expected, atol=1e-5)
    assert np.isfinite(found[:7]).all() and found.shape == (9, pooling.width)


@pytest.mark.parametrize("name", ["pooler", "all_concat", "scalar_mix"])
def test_a_deeper_head_trains_and_survives_saving(tiny, tmp_path, name):
    """Every variable that is trained moves, and the saved model predicts the same."""
    model = build_model(load_encoder(tiny, dropout=0.0), TASKS["classification"](["no", "yes"]), pooling=name,
                        max_seq_length=24, head_layers=(8, 6), head_activation="gelu")  # fmt: skip
    rows = rows_of(random_texts(16), labels=["no", "yes"] * 8)
    dataset = ExampleBatches(tokenize_examples(rows, model.tokenizer, 24, model.task.encode_label), 8, 24, True, 0)
    before = {v.path: v.numpy() for v in model.trainable_variables}
    train(model, dataset, AdamWeightDecay(1e-3), steps=3)
    still = [v.path for v in model.trainable_variables if np.array_equal(v.numpy(), before[v.path])]
    assert all(path.endswith("key/bias") for path in still)  # it adds the same to every score
    assert {"head/hidden_0_kernel", "head/hidden_1_bias", "head/kernel"} <= before.keys()
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    assert predict(loaded, ["the printer is down", "ok"]) == predict(model, ["the printer is down", "ok"])
    if name == "scalar_mix":
        np.testing.assert_array_equal(loaded.pool.shares(), model.pool.shares())


def test_a_head_of_several_layers_equals_its_formula(tiny):
    model = build_model(load_encoder(tiny), TASKS["classification"](["a", "b"]), max_seq_length=16, head_layers=(7, 5))
    x = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)
    expected = x.astype(np.float64)
    for kernel, bias in model.head.hidden:
        expected = np.tanh(expected @ kernel.numpy() + bias.numpy())
    expected = expected @ model.head.kernel.numpy() + model.head.bias.numpy()
    np.testing.assert_allclose(model.head(tf.constant(x)), expected, atol=1e-6)


def test_head_is_seeded_and_small(tiny):
    kernels = [build_model(load_encoder(tiny), TASKS["classification"](["a", "b"]), max_seq_length=16, init_seed=seed)
               .head.kernel.numpy() for seed in (0, 0, 1)]  # fmt: skip
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).max() > 0
    assert np.abs(kernels[0]).max() <= 0.04 and 0.01 < kernels[0].std() < 0.03


def test_bfloat16_logits_stay_near_float32(minilm):
    """Called eagerly and in a graph; the head keeps its weights in float32, as its outputs are."""
    logits = []
    for dtype in ("float32", "mixed_bfloat16"):
        model = build_model(load_encoder(minilm, dtype=dtype), TASKS["classification"](["no", "yes"]))
        model.head.bias.assign([1 / 3, -1 / 3])
        features = batch_of(model.tokenizer, False)
        logits.append(model(features).numpy())
        assert logits[-1].dtype == np.float32
        np.testing.assert_allclose(tf.function(model)(features), logits[-1], atol=1e-6 if dtype == "float32" else 2e-3)
    assert 0 < np.abs(logits[0] - logits[1]).max() < 1e-2


def test_bfloat16_casts_no_whole_token_table(tiny):
    """Keras would cast it in each step, for the few tokens that a batch has."""
    encoder = load_encoder(tiny, dtype="mixed_bfloat16")
    model = build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=24)
    graph = tf.function(model).get_concrete_function(batch_of(model.tokenizer, False)).graph
    table = encoder.backbone.token_embedding.embeddings.shape
    cast = [tuple(operation.inputs[0].shape) for operation in graph.get_operations() if operation.type == "Cast"]
    assert (32, 32) in cast and tuple(table) not in cast


def test_a_multilabel_head_starts_from_the_frequencies(tiny):
    task, labels = TASKS["multilabel"](["a", "b"]), np.array([[1, 0], [1, 0], [0, 0]], np.uint8)
    model = build_model(load_encoder(tiny), task, max_seq_length=16, train_labels=labels)
    np.testing.assert_allclose(model.head.bias, np.log([3 / 2, 1 / 4]), rtol=1e-6)


def test_refusals(tiny):
    encoder, task = load_encoder(tiny), TASKS["regression"]()
    with pytest.raises(InputError, match="max_seq_length must be at most 64"):
        build_model(encoder, task, max_seq_length=65)
    with pytest.raises(InputError, match="--pooling must be one of pooler, cls.* Received: 'sum'"):
        build_model(encoder, task, pooling="sum", max_seq_length=16)
    with pytest.raises(InputError, match="Received: 'last4_men'. Did you mean 'last4_mean'?"):
        build_model(encoder, task, pooling="last4_men", max_seq_length=16)
    with pytest.raises(InputError, match="--pooling=layer:K takes a layer from 0 to 1. Received: 'layer:2'"):
        build_model(encoder, task, pooling="layer:2", max_seq_length=16)


@pytest.mark.parametrize(
    "task", [("classification", ["nein", "ja", "中"]), ("multilabel", [1, 2, 3]), ("regression", [])]
)
def test_a_saved_folder_is_enough(tiny, tmp_path, task):
    model = build_model(load_encoder(tiny, lowercase=False), TASKS[task[0]](task[1]), pooling="mean", max_seq_length=20,
                        text_columns=("a", "b"), init_seed=5)  # fmt: skip
    model.head.bias.assign(np.arange(model.task.outputs))
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    assert (loaded.task.name, loaded.task.labels) == (model.task.name, model.task.labels)
    assert (loaded.pooling, loaded.max_seq_length, loaded.text_columns) == ("mean", 20, ("a", "b"))
    assert not loaded.tokenizer.lowercase
    pairs = list(zip(random_texts(9), random_texts(9, seed=1)))
    assert predict(loaded, pairs) == predict(model, pairs)
    encoder = load_encoder(str(tmp_path / "model"))
    for a, b in zip(encoder.weights, model.encoder.weights):
        if "seed" not in a.path:
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert not (tmp_path / "model.partial").exists()


def test_a_saved_folder_is_hugging_faces_layout(tiny_model, tmp_path):
    """keras-hub reads the encoder with its own converter; the names and labels are those transformers expects."""
    import keras_hub

    save_model(tiny_model, str(tmp_path / "model"))
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert config["architectures"] == ["BertForSequenceClassification"]
    backbone = keras_hub.models.BertBackbone.from_preset(str(tmp_path / "model"))
    for a, b in zip(backbone.trainable_variables, tiny_model.encoder.backbone.trainable_variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_damaged_saved_folders(tiny, tiny_model, tmp_path):
    with pytest.raises(InputError, match="has no tfbert.json"):
        load_model(tiny)
    save_model(tiny_model, str(tmp_path / "model"))
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("classifier.weight")
    save_file(tensors, path)
    with pytest.raises(InputError, match="no tensor classifier.weight"):
        load_model(str(tmp_path / "model"))


def test_works_in_plain_keras(tiny, tmp_path):
    """compile, fit, evaluate, with a last short batch: the loss and accuracy are those of the examples alone."""
    from tfbert import AdamWeightDecay, linear_warmup

    model = build_model(load_encoder(tiny, dropout=0.0), TASKS["classification"](["no", "yes"]), max_seq_length=24)
    texts = random_texts(37)
    rows = rows_of(texts, labels=["yes" if "printer" in text else "no" for text in texts])
    examples = tokenize_examples(rows, model.tokenizer, 24, model.task.encode_label)
    train, dev = (ExampleDataset(examples, 8, 24, shuffle, 0) for shuffle in (True, False))
    model.compile(optimizer=AdamWeightDecay(linear_warmup(3e-3, 100, 10)))
    before = model.evaluate(dev, verbose=0, return_dict=True)
    from tfbert.training.evaluation import evaluate

    scores = evaluate(model, dev)
    assert abs(before["accuracy"] - scores["accuracy"]) < 1e-6
    history = model.fit(train, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2 and history["accuracy"][-1] > 0.9
    assert pathlib.Path(tmp_path).exists()
