"""The parts between BERT's products, compiled, against their formulas in float64, gradients too; and their masks."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of
from tests.models.test_encoder import batches
from tfbert.models.dropout import kept, site_seed
from tfbert.models.activations import ACTIVATIONS
from tfbert.models.fused import attention, biased_activation, residual_norm
from tfbert.models.presets import load_encoder

RATE = 0.1
WINDOW_IDS = [[1] * 5 + [2] * 3, [1] * 7 + [0]]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dropped(x, shape, seed):
    """Returns what dropout makes of x: float64."""
    if seed is None:
        return x
    return x * tf.cast(kept(tf.constant(shape), RATE, seed), tf.float64) / (1 - RATE)


def activation(x, bias, seed):
    return 0.5 * (x + bias) * (1 + tf.math.erf((x + bias) / np.sqrt(2)))


def norm(x, y, bias, gamma, beta, seed):
    x += dropped(y + bias, (6, 32), seed)
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    return (x - mean) / tf.sqrt(variance + 1e-12) * gamma + beta


def attended(q, k, v, seed):
    ids = np.array(WINDOW_IDS)
    mask = np.where(ids[:, :, None] == ids[:, None], 0.0, -1e9)[:, None]
    probabilities = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / np.sqrt(16) + mask)
    return tf.matmul(dropped(probabilities, (2, 2, 8, 8), seed), v)


# Name -> the compiled part, its formula, the values of their tensors; both take the dropout's seed, too.
PARTS = {
    "activation": (
        lambda x, bias, seed: biased_activation(x, bias, ACTIVATIONS["gelu"], compiled=True),
        activation,
        [normal(6, 32), normal(32, seed=1)],
    ),
    "norm": (
        lambda *inputs: residual_norm(*inputs[:-1], RATE, inputs[-1], 1e-12, compiled=True),
        norm,
        [normal(6, 32), normal(6, 32, seed=1), *(normal(32, seed=number) for number in range(3))],
    ),
    "attention": (
        lambda q, k, v, seed: attention(q, k, v, tf.constant(WINDOW_IDS), RATE, seed, compiled=True),
        attended,
        [normal(2, 2, 8, 16, seed=number) for number in range(3)],
    ),
}


def value_and_gradients(function, values, dtype, seed):
    """Returns a part's value and the gradients of a weighted sum of it."""
    tensors = [tf.constant(value, dtype) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        y = function(*tensors, seed)
        total = tf.reduce_sum(y * tf.constant(normal(*values[0].shape, seed=9), dtype))
    assert y.dtype == dtype
    return [tf.cast(value, tf.float64).numpy() for value in (y, *tape.gradient(total, tensors))]


@pytest.mark.parametrize("dtype,tolerance", [("float32", 3e-6), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seed", [None, (1, 2)])
def test_compiled_parts_equal_their_formulas(part, dtype, tolerance, seed):
    compiled, formula, values = PARTS[part]
    seed, dtype = seed and tf.constant(seed), tf.as_dtype(dtype)
    values = [tf.cast(tf.cast(value, dtype), tf.float32).numpy() for value in values]
    found = value_and_gradients(compiled, values, dtype, seed)
    for value, expected in zip(found, value_and_gradients(formula, values, tf.float64, seed), strict=True):
        np.testing.assert_allclose(value, expected, atol=tolerance * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("dropout,parts", [(0.0, 8), (0.1, 11)])
def test_a_training_step_compiles_its_parts_once_its_shapes_are_unknown(minilm, dropout, parts):
    """In each layer the softmax, the activation and two norms, forward and back, and three masks."""
    encoder = load_encoder(minilm, dropout=dropout)
    features = next(iter(batches(encoder, rows_of(random_texts(8)), 40, 8)))[0]
    variables = [v.value for v in encoder.trainable_variables]

    def gradients(features):
        with tf.GradientTape() as tape:
            last = encoder(features, training=True, seed=tf.constant([1, 2]))[-1]
            loss = tf.reduce_sum(tf.square(last[:, 0, :5]))
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables, unconnected_gradients="zero")]

    specs = {name: tf.TensorSpec([None] * value.shape.rank, value.dtype) for name, value in features.items()}
    graph = tf.function(gradients, input_signature=[specs])
    operations = graph.get_concrete_function().graph.get_operations()
    compiled = [op for op in operations if "_XlaMustCompile" in op.node_def.attr and op.get_attr("_XlaMustCompile")]
    assert len(compiled) == parts * encoder.num_layers
    if not dropout:  # whose masks are others where nothing is compiled
        for plain, found in zip(gradients(features), graph(features), strict=True):
            np.testing.assert_allclose(found, plain, atol=1e-5 * max(1.0, np.abs(plain).max()))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_masks_have_the_rate_and_nothing_to_do_with_one_another(rate):
    """Those of steps, data seeds and places in the model, and the elements of one, near and far."""
    size = 2**18
    seeds = [(0, step) for step in range(12)] + [(seed, 5) for seed in range(1, 12)]
    seeds = [tf.constant(seed) for seed in seeds] + [site_seed(tf.constant((1, 7)), site) for site in range(8)]
    masks = [kept(tf.constant([size]), rate, seed).numpy() for seed in seeds]
    for mask in masks:
        assert abs(mask.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / size)
    pairs = [(a, b) for number, a in enumerate(masks) for b in masks[:number]]
    pairs += [(masks[0][:-lag], masks[0][lag:]) for lag in (*range(1, 65), 128, 384, 1536, 16_384)]
    correlations = np.array([np.corrcoef(a, b)[0, 1] * np.sqrt(a.size) for a, b in pairs])
    assert np.abs(correlations).max() < 5 and 0.8 < correlations.std() < 1.2
    steps = np.stack([kept(tf.constant([512]), rate, tf.constant([3, step])).numpy() for step in range(400)])
    assert 0.8 < steps.mean(axis=0).std() / np.sqrt(rate * (1 - rate) / len(steps)) < 1.2
