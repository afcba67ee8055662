"""The encoder against Hugging Face (golden) and against BERT written in NumPy."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.conftest import ROOT, random_texts, rows_of, write_tiny
from tests.reference.bert import bert
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.models.presets import load_encoder


def batches(encoder, rows, max_seq_length, batch_size, static_shapes=False):
    examples = tokenize_examples(rows, encoder.tokenizer, max_seq_length)
    return ExampleDataset(examples, batch_size, max_seq_length, shuffle=False, seed=0, static_shapes=static_shapes)


def windows_of(encoder, dataset, layers_of=None):
    """Yields (ids, segments, layers [layers, length, hidden], pooled) of every example."""
    layers_of = layers_of or (lambda features: encoder(features))
    for features, _, _ in dataset:
        layers = np.stack([layer.numpy() for layer in layers_of(features)])
        layers = layers.reshape(layers.shape[0], -1, layers.shape[-1])
        flat = {name: tf.reshape(features[name], [-1]).numpy() for name in ("token_ids", "segment_ids", "window_ids")}
        pooled = encoder.pool(layers[-1][features["window_start"].numpy()]).numpy()
        for slot, start in enumerate(features["window_start"].numpy()):
            if features["window_example"][slot] < len(features["example_windows"]):
                end = start + int((flat["window_ids"][start:] != flat["window_ids"][start]).argmax())
                row = features["token_ids"].shape[1]
                end = min(end if end > start else len(flat["token_ids"]), (start // row + 1) * row)
                yield flat["token_ids"][start:end], flat["segment_ids"][start:end], layers[:, start:end], pooled[slot]


@pytest.mark.parametrize("batch_size,static_shapes", [(64, False), (5, False), (16, True)])
def test_every_layer_of_minilm_equals_hugging_face(minilm, batch_size, static_shapes):
    golden = np.load(ROOT / "tests" / "golden" / "minilm_layers.npz")
    encoder = load_encoder(minilm)
    dataset = batches(encoder, rows_of(golden["texts"].tolist()), 128, batch_size, static_shapes)
    start, count = 0, 0
    for number, (ids, _, layers, pooled) in enumerate(windows_of(encoder, dataset)):
        length = golden["lengths"][number]
        assert len(ids) == length
        np.testing.assert_allclose(layers[:, :, ::48], golden["layers"][:, start : start + length], atol=1e-4)
        np.testing.assert_allclose(pooled, golden["pooled"][number], atol=1e-4)
        start, count = start + length, count + 1
    assert count == 64 and start == golden["layers"].shape[1]


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("pairs", [False, True])
def test_equals_the_formula(tmp_path, activation, pairs):
    folder = write_tiny(tmp_path, activation=activation, prefix="")
    encoder = load_encoder(str(folder))
    rows = rows_of(random_texts(30), pairs=random_texts(30, seed=1) if pairs else None)
    tensors, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    for ids, segments, layers, pooled in windows_of(encoder, batches(encoder, rows, 40, 8)):
        expected, expected_pooled = bert(tensors, config, ids, segments)
        np.testing.assert_allclose(layers, np.stack(expected), atol=1e-5)
        np.testing.assert_allclose(pooled, expected_pooled, atol=1e-5)


def test_the_two_gelus_differ(tmp_path):
    outputs = []
    for activation in ("gelu", "gelu_new"):
        encoder = load_encoder(str(write_tiny(tmp_path / activation, activation=activation)))
        outputs.append([w[2] for w in windows_of(encoder, batches(encoder, rows_of(["the printer"]), 16, 1))][0])
    assert 1e-5 < np.abs(outputs[0] - outputs[1]).max() < 1e-2


def test_last_layer_at_some_tokens_is_the_whole_one_s_output_there(tiny):
    encoder = load_encoder(tiny)
    features = next(iter(batches(encoder, rows_of(random_texts(16)), 40, 16)))[0]
    whole = encoder(features)
    *lower, last = encoder(features, last_layer_at=features["window_start"])
    np.testing.assert_array_equal(lower, whole[:-1])
    expected = tf.reshape(whole[-1], (-1, encoder.hidden_dim)).numpy()[features["window_start"].numpy()]
    np.testing.assert_allclose(last, expected, atol=1e-6)


def test_xla_changes_nothing(tiny):
    encoder = load_encoder(tiny)
    dataset = batches(encoder, rows_of(random_texts(16)), 40, 16, static_shapes=True)
    compiled = tf.function(lambda features: encoder(features), jit_compile=True)
    for plain, fast in zip(windows_of(encoder, dataset), windows_of(encoder, dataset, compiled), strict=True):
        np.testing.assert_allclose(plain[2], fast[2], atol=1e-5)


def test_bfloat16_stays_near_float32(minilm):
    rows = rows_of(np.load(ROOT / "tests" / "golden" / "minilm_layers.npz")["texts"].tolist()[:16])
    outputs = []
    for dtype in ("float32", "mixed_bfloat16"):
        encoder = load_encoder(minilm, dtype=dtype)
        assert all(v.dtype == "float32" for v in encoder.trainable_variables)
        outputs.append(np.stack([pooled for *_, pooled in windows_of(encoder, batches(encoder, rows, 64, 16))]))
    assert 0 < np.abs(outputs[0] - outputs[1].astype(np.float32)).max() < 0.1


def dropped(encoder, features, seed):
    return encoder(features, training=True, seed=tf.constant(seed, tf.int32))[-1].numpy()


def test_dropout_is_a_function_of_the_seed(tiny):
    encoder = load_encoder(tiny)
    features = next(iter(batches(encoder, rows_of(random_texts(8)), 40, 8)))[0]
    first, again, other = (dropped(encoder, features, seed) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert np.abs(dropped(load_encoder(tiny, dropout=0.0), features, [1, 2]) - encoder(features)[-1]).max() < 1e-6


def test_dropout_keeps_the_expectation_and_the_share():
    from tfbert.models.dropout import dropout, site_seed

    x = tf.ones([1000, 101])
    for rate in (0.1, 0.5):
        y = dropout(x, rate, tf.constant([3, 4])).numpy()
        assert abs((y == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / y.size)
        np.testing.assert_allclose(y[y > 0], 1 / (1 - rate), rtol=1e-4)
    a, b = ((dropout(x, 0.5, site_seed(tf.constant([3, 4]), site)).numpy() > 0).ravel() for site in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(a.size)


def test_keras_hub_agrees_on_a_preset_folder(tiny, tmp_path):
    """The same weights through keras-hub's own BertBackbone, padded, in the Keras layout: gelu is tanh there."""
    import keras_hub

    source = load_encoder(tiny)
    source.backbone.save_to_preset(str(tmp_path / "keras"))
    keras_hub.models.BertTokenizer(source.tokenizer.vocabulary, lowercase=True).save_to_preset(str(tmp_path / "keras"))
    encoder = load_encoder(str(tmp_path / "keras"))
    assert encoder.activation == "gelu_new" and encoder.tokenizer.lowercase
    backbone = keras_hub.models.BertBackbone.from_preset(str(tmp_path / "keras"))
    rows = rows_of(random_texts(12))
    for ids, segments, layers, pooled in windows_of(encoder, batches(encoder, rows, 40, 6)):
        pad = 40 - len(ids)
        out = backbone({"token_ids": np.pad(ids, (0, pad))[None], "segment_ids": np.pad(segments, (0, pad))[None],
                        "padding_mask": np.pad(np.ones_like(ids), (0, pad))[None]})  # fmt: skip
        np.testing.assert_allclose(layers[-1], out["sequence_output"][0, : len(ids)], atol=1e-5)
        np.testing.assert_allclose(pooled, out["pooled_output"][0], atol=1e-5)


def test_gradients_do_not_depend_on_packing(tiny_model):
    """Packed, padded, one example a batch: the same gradient of the summed loss."""
    rows = rows_of(random_texts(10), labels=["no", "yes"] * 5)
    found = []
    for batch_size, static_shapes in ((10, False), (10, True), (1, False)):
        examples = tokenize_examples(rows, tiny_model.tokenizer, 40, tiny_model.task.encode_label)
        total = [0.0] * len(tiny_model.trainable_variables)
        for features, labels, _ in ExampleDataset(examples, batch_size, 40, False, 0, static_shapes):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tiny_model.task.loss(labels, tiny_model(features)))
            grads = tape.gradient(loss, [v.value for v in tiny_model.trainable_variables])
            total = [a + tf.convert_to_tensor(g) for a, g in zip(total, grads)]
        found.append([t.numpy() for t in total])
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-4)


def test_golden_file_is_what_the_tool_makes():
    from tools.make_golden import mixed_texts

    if (pathlib.Path(ROOT).parent / "shared").is_dir():
        assert np.load(ROOT / "tests" / "golden" / "minilm_layers.npz")["texts"].tolist() == mixed_texts()
