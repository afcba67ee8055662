"""`.keras` files, checkpoints of them, clones and SavedModels of every kind of model."""

import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, write_tiny
from tests.models.test_plain_keras import data_of, model_of
from tests.tasks.masked_lm.test_model import batches_of
from tfbert import (
    TASKS,
    AdamWeightDecay,
    LongText,
    add_mixout,
    build_model,
    build_pretraining_model,
    layer_decay,
    linear_warmup,
    load_encoder,
    predict,
)
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.features import vector_model
from tfbert.models.pooling import POOLINGS

TEXTS = ["the printer is not down", "ok", "中文 my account !"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One layer: what takes time here is to make models."""
    return str(write_tiny(tmp_path_factory.mktemp("tiny"), layers=1))


def moved(model, seed=0):
    """Moves the weights of a model away from any that it could have by itself; returns the model."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign_add(rng.normal(0, 0.1, variable.shape).astype(np.float32))
    return model


def again(model, path):
    """Returns what comes back of a model that is saved, after looking at its weights and configuration."""
    model.save(path / "m.keras")
    loaded = keras.models.load_model(path / "m.keras")
    assert type(loaded) is type(model) and loaded.get_config() == model.get_config()
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    return loaded


@pytest.mark.parametrize("pooling", [*POOLINGS, "layer:0"])
def test_every_pooling(tiny, tmp_path, pooling):
    task = TASKS["classification"](["no", "yes"])
    model = moved(build_model(load_encoder(tiny), task, pooling=pooling, max_seq_length=24))
    again(model, tmp_path)


TASKS_WITH_OPTIONS = {
    "classification": (["nein", 7, "中"], {"label_smoothing": 0.1, "class_weights": np.array([1.0, 2.0, 0.5])}),
    "multilabel": (["a", "b"], {"focal_gamma": 2.0, "logit_offsets": (0.5, -0.5)}),
    "regression": ([], {}),
}


@pytest.mark.parametrize("name", TASKS_WITH_OPTIONS)
def test_every_task_with_all_its_options(tiny, tmp_path, name):
    labels, options = TASKS_WITH_OPTIONS[name]
    task = TASKS[name](labels, **options)
    task.decision = dataclasses.replace(task.decision, temperature=1.5, prior_shift=(0.5,) * task.outputs)
    encoder = load_encoder(tiny, dropout=0.3, lowercase=False)
    strategy = LongText("attention", max_windows=3, stride=5)
    model = moved(build_model(encoder, task, max_seq_length=24, text_columns=("a", "b"), head_layers=(8, 6),
                              head_activation="gelu", long_text=strategy))  # fmt: skip
    model.windows_per_step, model.encoder.remat = 2, True
    loaded = again(model, tmp_path)
    assert loaded.task.labels == labels and loaded.long_text == strategy and loaded.text_columns == ("a", "b")
    assert loaded.encoder.dropout_rate == 0.3 and not loaded.tokenizer.lowercase
    assert loaded.head.dropout_rate == 0.3
    pairs = [(text, text) for text in TEXTS]
    assert predict(loaded, pairs) == predict(model, pairs)
    labels = tf.constant(np.ones([2, task.outputs] if name == "multilabel" else [2], np.int32))
    outputs = tf.constant(np.random.default_rng(0).normal(size=(2, task.outputs)), tf.float32)
    np.testing.assert_array_equal(loaded.task.training_loss(labels, outputs), task.training_loss(labels, outputs))


def test_mixout_and_what_is_frozen(tiny, tmp_path):
    """What the kernels fall back on is kept, not what they are when the file is read."""
    encoder = load_encoder(tiny, dropout=0.1)
    add_mixout(encoder, 0.5, reinit_pooler=True)
    model = moved(build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=24))
    model.encoder.backbone.token_embedding.trainable = model.head.trainable = False
    loaded = again(model, tmp_path)
    features, seed = next(iter(data_of(model)))[0], tf.constant([3, 4])
    mixed = model(features, training=True, seed=seed)
    np.testing.assert_array_equal(loaded(features, training=True, seed=seed), mixed)
    assert np.abs(mixed - model(features)).max() > 1e-3


@pytest.mark.parametrize("next_sentence", [False, True])
def test_a_pretraining_model(tiny, tmp_path, next_sentence):
    task = TASKS["masked_lm"](next_sentence=next_sentence)
    model = moved(build_pretraining_model(load_encoder(tiny), task, max_seq_length=16))
    loaded = again(model, tmp_path)
    assert loaded.head.next_sentence == next_sentence
    features = next(iter(batches_of(model.tokenizer, 4, next_sentence).shares(0, 1)))[0]
    np.testing.assert_array_equal(loaded(features), model(features))
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(features), model(features), atol=1e-5)


def test_ensembles_encoders_and_vectors_in_bfloat16(tiny, tmp_path):
    task = TASKS["classification"](["no", "yes"])
    encoder = load_encoder(tiny, dtype="mixed_bfloat16")
    member = moved(build_model(encoder, task, max_seq_length=24, tokenizer=load_encoder(tiny).tokenizer))
    assert again(member, tmp_path).head.compute_dtype == "bfloat16"
    assert again(member.encoder, tmp_path).tokenizer.vocabulary == encoder.tokenizer.vocabulary
    again(vector_model(encoder, "mean", 24), tmp_path)
    ensemble = EnsembleModel([member, moved(build_model(load_encoder(tiny), task, max_seq_length=24))], task)
    loaded = again(ensemble, tmp_path)
    assert predict(loaded, TEXTS) == predict(ensemble, TEXTS)


def test_training_goes_on_from_a_file(tiny, tmp_path):
    """A checkpoint of Keras holds the optimizer, too: fit goes on from it as if it had never stopped."""

    def compiled():
        model = model_of(tiny)
        multipliers = [("head/.*", 2.0), *layer_decay(model.encoder, 0.9)]
        optimizer = AdamWeightDecay(linear_warmup(1e-2, 20, 2), lr_multipliers=multipliers,
                                    prior_weight_decay=["head/kernel"], weight_decay=0.1, ema_decay=0.9)  # fmt: skip
        model.compile(optimizer, run_eagerly=True)
        return model

    straight, model = compiled(), compiled()
    dataset = data_of(model, rows=9, batch_size=4, shuffle=False)
    straight.fit(dataset, epochs=2, verbose=0)
    kept = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras", monitor="val_loss", save_best_only=True)
    model.fit(dataset, validation_data=dataset, callbacks=[kept], verbose=0)
    loaded = keras.models.load_model(tmp_path / "1.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.evaluate(dataset, verbose=0) == model.evaluate(dataset, verbose=0)
    history = loaded.fit(dataset, verbose=0).history
    assert "accuracy" in history
    for one, other in zip(straight.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)


def test_a_clone_is_of_the_same_kind_with_weights_of_its_own(tiny):
    model = moved(model_of(tiny))
    clone = keras.models.clone_model(model)
    assert clone.get_config() == model.get_config() and clone.head.kernel is not model.head.kernel
    assert np.abs(clone.head.kernel - model.head.kernel).max() > 0.01
    clone.set_weights(model.get_weights())
    assert predict(clone, TEXTS) == predict(model, TEXTS)


def test_an_exported_model_takes_batches_of_any_shape(tiny, tmp_path):
    model = moved(model_of(tiny))
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    for features, _, _ in data_of(model, rows=9, batch_size=8, shuffle=False):
        np.testing.assert_allclose(exported.serve(features), model(features), atol=1e-5)


def test_a_new_process_predicts_from_the_file(tiny, tmp_path):
    model = moved(model_of(tiny))
    model.save(tmp_path / "m.keras")
    script = (
        "import keras, tfbert, json\n"
        f"print(json.dumps(tfbert.predict(keras.models.load_model({str(tmp_path / 'm.keras')!r}), {TEXTS!r})))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    for found, expected in zip(json.loads(result.stdout.splitlines()[-1]), predict(model, TEXTS), strict=True):
        assert found["label"] == expected["label"]
        assert found["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
