"""AdamWeightDecay against torch.optim.AdamW (golden) and google-research/bert's formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, mirrored
from tests.reference.optimizers import adam_step, clip
from tfbert import AdamWeightDecay, InputError, Lamb, linear_warmup
from tfbert.optim.gradients import DifferentRows
from tools.make_golden import adamw_inputs

PEAK = 0.1
MULTIPLIERS = [("model/embeddings", 1.0), ("model/(dense/)?kernel", 0.5), (".*/bias", 2.0)]
NAMES = ("embeddings", "kernel", "bias")


class Linear(keras.optimizers.schedules.LearningRateSchedule):
    """PEAK * (20 - step) / 20, as the golden's torch run has it."""

    def __call__(self, step):
        return PEAK * (20 - keras.ops.cast(step, "float32")) / 20


def variables_of(values):
    paths = {"embeddings": "embeddings", "kernel": "kernel", "bias": "bias"}
    found = []
    for name in NAMES:
        with keras.name_scope("model"):
            found.append(keras.Variable(values[name], name=paths[name]))
    assert [v.path for v in found] == ["model/embeddings", "model/kernel", "model/bias"]
    return found


def run(optimizer, steps=20, strategy=None, jit=False, by_rows=False):
    """Applies the golden's gradients; returns the values after each step, by name."""
    values, slices, grads = adamw_inputs()
    strategy = strategy or tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        variables = variables_of(values)
        optimizer = optimizer()
        optimizer.build(variables)

    def apply(step):
        embeddings = tf.IndexedSlices(grads["embeddings"][step] / replicas, slices[step], [11, 4])
        embeddings = DifferentRows.of(embeddings) if by_rows else embeddings
        optimizer.apply([embeddings, *(tf.constant(grads[name][step] / replicas) for name in NAMES[1:])], variables)

    found = []
    for step in range(steps):
        tf.function(lambda: strategy.run(apply, (step,)), jit_compile=jit)()
        found.append([variable.numpy().copy() for variable in variables])
    return {name: np.stack([row[i] for row in found]) for i, name in enumerate(NAMES)}, optimizer


def make(optimizer=AdamWeightDecay, **kwargs):
    options = {"lr_multipliers": MULTIPLIERS, "exclude_from_weight_decay": [".*/bias"]} | kwargs
    return lambda: optimizer(Linear(), **options)


@pytest.mark.parametrize("jit", [False, True])
def test_equals_torch_adamw(jit):
    golden = np.load(ROOT / "tests" / "golden" / "adamw.npz")
    found, _ = run(make(), jit=jit)
    for name in NAMES:
        np.testing.assert_allclose(found[name], golden[name], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("optimizer", [make(), make(Lamb), make(ema_decay=0.9), make(start_steps=[(".*", 3)])])
def test_a_large_table_by_rows_equals_the_dense_one(optimizer, monkeypatch):
    """Its rows are summed and clipped before they are dense, and its decay is compiled."""
    dense, _ = run(optimizer)
    monkeypatch.setattr("tfbert.optim.adam_weight_decay._TABLE", 1)
    by_rows, _ = run(optimizer, by_rows=True)
    for name in NAMES:
        np.testing.assert_allclose(by_rows[name], dense[name], atol=1e-6)


@pytest.mark.parametrize("correction", [False, True])
@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_equals_the_formula_on_any_number_of_replicas(correction, replicas):
    found, _ = run(make(bias_correction=correction), strategy=mirrored(replicas))
    values, slices, grads = adamw_inputs()
    theta = {name: value.astype(np.float64) for name, value in values.items()}
    m, v = ({name: np.zeros_like(value) for name, value in theta.items()} for _ in range(2))
    rates = {"embeddings": 1.0, "kernel": 0.5, "bias": 2.0}
    for step in range(20):
        dense = np.zeros((11, 4))
        np.add.at(dense, slices[step], grads["embeddings"][step])
        clipped = clip([dense, grads["kernel"][step], grads["bias"][step]], 1.0)
        for name, g in zip(NAMES, clipped):
            theta[name], m[name], v[name] = adam_step(
                theta[name], m[name], v[name], g, step + 1, PEAK * (20 - step) / 20 * rates[name],
                decay=0.0 if name == "bias" else 0.01, bias_correction=correction,
            )  # fmt: skip
            np.testing.assert_allclose(found[name][step], theta[name], atol=2e-6, rtol=1e-6)


def test_bias_correction_makes_a_difference():
    on, _ = run(make(), steps=3)
    off, _ = run(make(bias_correction=False), steps=3)
    assert np.abs(on["kernel"] - off["kernel"]).max() > 1e-2


def test_a_multiplier_of_zero_leaves_the_variable_and_makes_no_slots():
    found, optimizer = run(make(lr_multipliers=[(".*embeddings", 0.0)]), steps=3)
    np.testing.assert_array_equal(found["embeddings"][-1], adamw_inputs()[0]["embeddings"])
    assert not any("embeddings" in variable.path for variable in optimizer.variables)
    assert np.abs(found["kernel"][-1] - adamw_inputs()[0]["kernel"]).max() > 1e-3


def test_a_pattern_that_matches_nothing_is_an_error():
    with pytest.raises(InputError, match="'transformer.*' matches no whole variable path"):
        run(make(lr_multipliers=[("transformer.*", 0.5)]))


def test_saves_and_loads_with_its_slots(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 5)).astype(np.float32), rng.normal(size=(64, 1)).astype(np.float32)

    def new():
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(7, activation="tanh"), keras.layers.Dense(1)])
        model.compile(
            optimizer=AdamWeightDecay(linear_warmup(1e-2, 100, 10), lr_multipliers=[(".*bias", 3.0)]), loss="mse"
        )
        return model

    model = new()
    model.fit(x, y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for one in (model, loaded):
        one.fit(x, y, epochs=1, batch_size=16, shuffle=False, verbose=0)
    for a, b in zip(model.weights, loaded.weights):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-7)
