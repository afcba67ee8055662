"""Mixout against its equation, on the masks it drew; its expectation; where it acts and where not."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_text_model import batch_of
from tfbert import TASKS, InputError, add_mixout, build_model, load_encoder

SEED = tf.constant([5, 6], tf.int32)
DENSE = 6  # kernels of a layer


def mixed_encoder(folder, p=0.4, **arguments):
    """Returns an encoder whose kernels have moved away from the references by a known amount."""
    encoder = load_encoder(folder)
    add_mixout(encoder, p, **arguments)
    rng = np.random.default_rng(0)
    for variable in encoder.backbone.trainable_variables:
        if variable.path.endswith("kernel"):
            variable.assign_add(rng.normal(0, 0.1, variable.shape))
    return encoder


def of_dense(encoder, dense, seed):
    """Returns U, W and the mixed kernel, each [inputs, outputs]."""
    reference = encoder.mixout._references[dense.path].numpy()
    mixed = encoder._kernel(dense, seed)
    return reference.reshape(mixed.shape), dense.kernel.numpy().reshape(mixed.shape), mixed.numpy()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_equals_the_equation_of_the_paper(minilm, p):
    """((1 - M) U + M W - p U) / (1 - p): every input unit has, with all its outputs, M = 0 or M = 1."""
    encoder = mixed_encoder(minilm, p)
    p = round(p * 2**16) / 2**16  # masks are drawn from 16 bits
    block = encoder.backbone.transformer_layers[1]
    for dense in (block._self_attention_layer.query_dense, block._self_attention_layer.output_dense,
                  block._feedforward_output_dense, encoder.backbone.pooled_dense):  # fmt: skip
        u, w, mixed = (x.astype(np.float64) for x in of_dense(encoder, dense, SEED))
        fallen = np.isclose(mixed, u, atol=1e-6).all(axis=1)
        m = 1.0 - fallen[:, None]
        np.testing.assert_allclose(mixed, ((1 - m) * u + m * w - p * u) / (1 - p), atol=3e-6 if p == 0.9 else 1e-6)
        assert abs(fallen.mean() - p) < 4 * np.sqrt(p * (1 - p) / len(fallen))


def test_the_expectation_is_the_kernel(tiny):
    encoder = mixed_encoder(tiny, 0.3)
    dense = encoder.backbone.transformer_layers[0]._feedforward_output_dense
    draws = np.stack([of_dense(encoder, dense, tf.constant([5, step]))[2] for step in range(400)])
    u, w, _ = of_dense(encoder, dense, SEED)
    error = np.abs(w - u) * np.sqrt(0.3 / 0.7 / 400)
    assert (np.abs(draws.mean(axis=0) - w) < 5 * error + 1e-6).all()


def test_masks_are_a_function_of_seed_and_kernel(tiny):
    encoder = mixed_encoder(tiny, 0.5)
    layers = encoder.backbone.transformer_layers
    parts = [part for layer in layers for part in (layer._self_attention_layer.query_dense,
             layer._self_attention_layer.key_dense, layer._feedforward_intermediate_dense)]  # fmt: skip

    def masks(seed):
        return [np.isclose(*of_dense(encoder, part, tf.constant(seed))[::2]).all(axis=1) for part in parts]

    np.testing.assert_array_equal(masks([1, 2]), masks([1, 2]))
    drawn = masks([1, 2]) + masks([1, 3]) + masks([2, 2])
    assert all((a != b).any() for i, a in enumerate(drawn) for b in drawn[i + 1 :])


def test_off_at_inference(tiny):
    encoder, plain = mixed_encoder(tiny), load_encoder(tiny)
    for mine, theirs in zip(encoder.backbone.trainable_variables, plain.backbone.trainable_variables):
        theirs.assign(mine)
    features = batch_of(plain.tokenizer, static_shapes=False)
    np.testing.assert_array_equal(encoder(features)[-1], plain(features)[-1])
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 32)), tf.float32)
    np.testing.assert_array_equal(encoder.pool(x), plain.pool(x))
    assert np.abs(encoder(features, training=True, seed=SEED)[-1] - plain(features)[-1]).max() > 1e-2


def test_it_stands_in_dropouts_place_but_not_in_new_layers(tiny):
    """At the pre-trained weights mixing changes nothing, so that what is left is dropout, where it is left."""
    features = batch_of(load_encoder(tiny).tokenizer, static_shapes=False)

    def differences(**arguments):
        encoder = load_encoder(tiny, dropout=0.5)
        add_mixout(encoder, 0.5, **arguments)
        quiet, loud = encoder(features), encoder(features, training=True, seed=SEED)
        return [float(np.abs(a - b).max()) for a, b in zip(quiet, loud)]

    assert max(differences()) < 1e-5
    embeddings, first, second = differences(reinit_layers=1)
    assert embeddings < 1e-5 and first < 1e-5 and second > 0.1


def test_new_layers_and_pooler_have_no_reference(tiny):
    for arguments, count in (
        ({}, 2 * DENSE + 1),
        ({"reinit_layers": 1}, DENSE + 1),
        ({"reinit_pooler": True}, 2 * DENSE),
    ):
        encoder = load_encoder(tiny)
        trained = len(encoder.trainable_variables)
        add_mixout(encoder, 0.5, **arguments)
        assert len(encoder.mixout.weights) == count
        assert len(encoder.trainable_variables) == trained
        model = build_model(encoder, TASKS["regression"](), max_seq_length=16)
        assert sum(v.path.startswith("mixout/") for v in model.variables) == count


def test_the_gradient_is_that_of_the_equation(tiny):
    encoder = mixed_encoder(tiny, 0.3)
    dense = encoder.backbone.transformer_layers[0]._feedforward_output_dense
    u, w, mixed = of_dense(encoder, dense, SEED)
    with tf.GradientTape() as tape:
        out = tf.reduce_sum(encoder._kernel(dense, SEED))
    gradient = tape.gradient(out, dense.kernel.value).numpy()
    m = ~np.isclose(mixed, u, atol=1e-6).all(axis=1)
    np.testing.assert_allclose(gradient, np.tile(m[:, None] / 0.7, (1, 32)), atol=1e-4)


@pytest.mark.parametrize("caller", ["model", "encoder"])
def test_the_difference_is_taken_before_the_cast(tiny, caller, monkeypatch):
    """W - U is soon below bfloat16's resolution of W; by the paper's equation, in the pooler as in the layers."""
    p, used = 0.9, {}
    plain, encoder = (load_encoder(tiny, dtype=dtype) for dtype in ("float32", "mixed_bfloat16"))
    for each in (plain, encoder):
        add_mixout(each, p)
        for variable in each.backbone.trainable_variables:
            variable.assign_add(np.full(variable.shape, 1e-4))
    p = round(p * 2**16) / 2**16

    def record(dense, seed, kernel=encoder._kernel):
        used[dense.path] = kernel(dense, seed)
        return used[dense.path]

    monkeypatch.setattr(encoder, "_kernel", record)
    features = batch_of(encoder.tokenizer, static_shapes=False)
    if caller == "model":
        model = build_model(encoder, TASKS["regression"](), max_seq_length=16)
        model(features, training=True, seed=SEED)
    else:
        last = encoder(features, training=True, seed=SEED)[-1]
        encoder.pool(last[:, 0], training=True, seed=SEED)
    for name in ("transformer_layer_1/feedforward_output_dense", "pooled_dense"):
        dense, same = (denses[name] for denses in (named_denses(encoder), named_denses(plain)))
        _, w, mixed = of_dense(plain, same, SEED)
        m = (mixed > w).all(axis=1, keepdims=True)  # a kept unit's weights are further from U than W is
        u, w = (x.numpy().astype(np.float64) for x in (encoder.mixout._references[dense.path], dense.kernel))
        found = used[dense.path].numpy()
        expected = ((1 - m) * u + m * w - p * u) / (1 - p)
        assert found.dtype.name == "bfloat16"
        # Half a unit in the last place of bfloat16, beside float32's.
        np.testing.assert_allclose(found.astype(np.float64), expected, rtol=2**-8, atol=1e-6)


def named_denses(encoder):
    dense = encoder.backbone.transformer_layers[1]._feedforward_output_dense
    return {"transformer_layer_1/feedforward_output_dense": dense, "pooled_dense": encoder.backbone.pooled_dense}


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_probability_that_is_none_is_refused(tiny, p):
    with pytest.raises(InputError, match="The probability of mixout must be at least 0 and below 1. Received"):
        add_mixout(load_encoder(tiny), p)


def test_a_probability_just_below_one_keeps_something(tiny):
    """Masks are drawn from 16 bits: 1 would divide by 0."""
    encoder = mixed_encoder(tiny, 1 - 1e-7)
    kernel = encoder._kernel(encoder.backbone.pooled_dense, SEED)
    assert np.isfinite(kernel.numpy()).all()


def test_more_new_layers_than_there_are(tiny):
    for layers in (3, -1):
        with pytest.raises(InputError, match=f"--reinit_layers must be at most 2, .* Received: {layers}"):
            add_mixout(load_encoder(tiny), 0.5, reinit_layers=layers)
