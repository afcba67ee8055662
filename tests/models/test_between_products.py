"""The parts between BERT's products: compiled as not compiled, in both types, their gradients too."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of
from tests.models.test_encoder import batches
from tfbert.models.between_products import attention, biased_activation, residual_norm
from tfbert.models.dropout import kept
from tfbert.models.encoder import ACTIVATIONS
from tfbert.models.presets import load_encoder

RATE = 0.1


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def parts(compiled, seed):
    """Returns name -> (function of its tensors, the tensors' values)."""
    mask = kept((6, 32), RATE, seed)
    window_ids = tf.constant([[1] * 5 + [2] * 3, [1] * 7 + [0]])
    of_attention = kept((2, 2, 8, 8), RATE, seed)
    vectors = [normal(32, seed=number) for number in range(3)]
    return {
        "activation": (
            lambda x, bias: biased_activation(x, bias, ACTIVATIONS["gelu"], compiled),
            [normal(6, 32), vectors[0]],
        ),
        "norm": (
            lambda *inputs: residual_norm(*inputs, mask, RATE, 1e-12, compiled),
            [normal(6, 32), normal(6, 32, seed=1), *vectors],
        ),
        "attention": (
            lambda q, k, v: attention(q, k, v, window_ids, of_attention, RATE, compiled),
            [normal(2, 2, 8, 16, seed=number) for number in range(3)],
        ),
    }


def value_and_gradients(function, values, dtype):
    """Returns a part's value and the gradients of a weighted sum of it, in a graph of unknown shapes."""
    def run(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*(tf.cast(tensor, dtype) for tensor in tensors))
            weighted = tf.cast(y, tf.float32) * tf.constant(normal(*values[0].shape, seed=9))
            total = tf.reduce_sum(weighted)
        assert y.dtype == dtype
        return [tf.cast(y, tf.float32), *tape.gradient(total, tensors)]

    specs = [tf.TensorSpec([None, *value.shape[1:]] if value.ndim > 1 else value.shape) for value in values]
    return [t.numpy() for t in tf.function(run, input_signature=specs)(*values)]


@pytest.mark.parametrize("dtype,tolerance", [("float32", 2e-6), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("part", ["activation", "norm", "attention"])
@pytest.mark.parametrize("seed", [None, [1, 2]])
def test_compiled_parts_equal_the_plain_ones(part, dtype, tolerance, seed):
    seed = seed and tf.constant(seed)
    plain, compiled = (
        value_and_gradients(*parts(compiled, seed)[part], tf.as_dtype(dtype)) for compiled in (False, True)
    )
    for expected, value in zip(plain, compiled, strict=True):
        size = np.abs(expected).max()
        assert size > 0.1
        np.testing.assert_allclose(value, expected, atol=tolerance * max(1, size))


def test_a_training_step_compiles_parts_and_has_the_plain_gradients(minilm):
    encoder = load_encoder(minilm)
    features = next(iter(batches(encoder, rows_of(random_texts(8)), 40, 8)))[0]
    variables = [v.value for v in encoder.trainable_variables]

    def gradients(features):
        with tf.GradientTape() as tape:
            last = encoder(features, training=True, seed=tf.constant([1, 2]))[-1]
            loss = tf.reduce_sum(tf.square(last[:, 0, :5]))
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables, unconnected_gradients="zero")]

    specs = {
        name: tf.TensorSpec([None] * value.shape.rank, value.dtype) for name, value in features.items()
    }
    graph = tf.function(gradients, input_signature=[specs])
    operations = graph.get_concrete_function().graph.get_operations()
    compiled = [op for op in operations if "_XlaMustCompile" in op.node_def.attr and op.get_attr("_XlaMustCompile")]
    assert len(compiled) == 11 * encoder.num_layers  # softmax, activation, two norms, forward and back; three masks
    for plain, compiled in zip(gradients(features), graph(features), strict=True):
        np.testing.assert_allclose(compiled, plain, atol=1e-5 * max(1.0, np.abs(plain).max()))
