"""AdamWeightDecay and Lamb on variables of 16 and 64 bits, against the formulas in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored
from tests.optim.beside_keras import (
    RATE,
    X,
    Y,
    apply,
    gradients_of,
    make,
    on_replicas,
    ours,
    reference,
    small_model,
    two_variables,
)
from tfbert import AdamWeightDecay, Lamb

PRECISION = {"bfloat16": 2**-8, "float16": 2**-11, "float64": 1e-12}


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize(
    "optimizer_class,correction,replicas",
    [(AdamWeightDecay, True, 1), (AdamWeightDecay, False, 1), (AdamWeightDecay, True, 2), (Lamb, True, 1)],
)
def test_other_dtypes_follow_the_formula(optimizer_class, correction, replicas, dtype):
    """To half a unit in the last place after many steps, each of which is less than that."""
    steps, rate = 60, 2.0**-11
    strategy = mirrored(replicas) or tf.distribute.get_strategy()
    with strategy.scope():
        variables = two_variables(dtype)
        optimizer = make(optimizer_class, rate, bias_correction=correction, ema_decay=0.5, clipnorm=1e3)
        optimizer.build(variables)
    start = [variable.numpy().astype(np.float64) for variable in variables]
    # Powers of two are halved exactly: each replica's gradients are its share of the whole.
    gradients = [[(g / replicas).astype(variables[0].numpy().dtype) for g in step] for step in gradients_of(steps)]
    run = on_replicas(strategy, optimizer, variables)
    for step in gradients:
        run(*map(tf.constant, step))
    for number, (variable, theta) in enumerate(zip(variables, start)):
        whole = [step[number].astype(np.float64) * replicas for step in gradients]
        values = reference(optimizer_class, theta, whole, rate, bias_correction=correction)
        assert np.abs(values[-1] - theta).max() > 8 * rate
        found = variable.numpy().astype(np.float64)
        np.testing.assert_allclose(found, values[-1], rtol=PRECISION[dtype], atol=1e-2 * PRECISION[dtype])
        weights = 0.5 ** np.arange(steps)[::-1]
        average = sum(w * value for w, value in zip(weights, values)) / weights.sum()
        kept = next(v for v in optimizer.variables if v.path.endswith(f"{variable.name}_average"))
        np.testing.assert_allclose(kept.numpy(), average, rtol=1e-12 if dtype == "float64" else 1e-5, atol=1e-6)
    assert not any(v.dtype in ("bfloat16", "float16") for v in optimizer.variables)


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "float64", "mixed_bfloat16", "mixed_float16"])
def test_fit_under_every_policy(policy):
    model = small_model(dtype=policy)
    model.compile(make(AdamWeightDecay, 0.02), "mse")
    history = model.fit(X, Y, epochs=5, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0]


@ours
def test_a_value_assigned_to_a_variable_of_16_bits_is_gone_on_from(optimizer_class):
    optimizer, (_, bias) = make(optimizer_class, 0.0), two_variables("bfloat16")
    optimizer.apply([tf.ones(2, tf.bfloat16)], [bias])
    bias.assign([3.0, -5.0])
    optimizer.apply([tf.ones(2, tf.bfloat16)], [bias])
    np.testing.assert_array_equal(bias.numpy().astype(np.float32), [3.0, -5.0])


@ours
def test_averages_come_and_go_exactly(optimizer_class):
    optimizer, variables = make(optimizer_class, ema_decay=0.9), two_variables("bfloat16")
    optimizer.build(variables)
    for gradients in gradients_of(5):
        apply(optimizer, gradients, variables)
    values = [variable.numpy() for variable in [*variables, *optimizer.variables]]
    with optimizer.averaged():
        assert np.abs(variables[0].numpy() - values[0]).astype(np.float32).max() > 0.01
    for variable, value in zip([*variables, *optimizer.variables], values):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@ours
def test_variables_of_several_dtypes_share_a_norm(optimizer_class):
    (one, _), (_, other) = two_variables("float64"), two_variables("bfloat16")
    optimizer = make(optimizer_class, global_clipnorm=1.0)
    gradients = [tf.fill((3, 2), tf.constant(3.0, tf.float64)), tf.fill([2], tf.constant(4.0, tf.bfloat16))]
    optimizer.apply(gradients, [one, other])
    momentum = next(v for v in optimizer.variables if v.path.endswith("bias_momentum"))
    np.testing.assert_allclose(momentum.numpy(), 0.1 * 4 / np.sqrt(6 * 9 + 2 * 16), rtol=1e-6)


@ours
def test_epsilon_and_betas_of_zero(optimizer_class):
    """Where no gradient ever came nothing moves, and 0 / 0 is 0."""
    optimizer = optimizer_class(RATE, weight_decay=0.0, epsilon=0.0, beta_1=0.0, beta_2=0.0, global_clipnorm=None)
    (kernel, _) = two_variables()
    start = kernel.numpy()
    gradient = np.array([[0, 0], [2, -3], [1e-4, 0]], np.float32)
    for _ in range(2):
        optimizer.apply([tf.constant(gradient)], [kernel])
    np.testing.assert_allclose(kernel.numpy(), start - 2 * RATE * np.sign(gradient), atol=1e-6)
