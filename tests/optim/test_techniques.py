"""Prior weight decay, gradual unfreezing, averages of the weights and LAMB, each against its formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored
from tests.optim.test_adam_weight_decay import NAMES, PEAK, make, run
from tests.reference.optimizers import adam_step, average, clip, lamb_step
from tfbert import InputError, Lamb
from tfbert.config.load import FIELDS
from tfbert.config.setting import choices_of
from tfbert.optim import OPTIMIZERS
from tools.make_golden import adamw_inputs

STEPS = 20


def reference_run(step_of, started=lambda name, step: True):
    """Runs a formula over the golden's gradients; returns the values after each step, by name.

    Args:
        step_of: function (name, theta, m, v, g, step, rate) -> (theta, m, v).
        started: function (name, step) -> whether a variable is trained in this step.
    """
    values, slices, grads = adamw_inputs()
    theta = {name: value.astype(np.float64) for name, value in values.items()}
    m, v = ({name: np.zeros_like(value) for name, value in theta.items()} for _ in range(2))
    found = {name: [] for name in NAMES}
    for step in range(STEPS):
        dense = np.zeros((11, 4))
        np.add.at(dense, slices[step], grads["embeddings"][step])
        g = {"embeddings": dense, "kernel": grads["kernel"][step], "bias": grads["bias"][step]}
        names = [name for name in NAMES if started(name, step)]
        for name, gradient in zip(names, clip([g[name] for name in names], 1.0)):
            rate = PEAK * (20 - step) / 20 * {"embeddings": 1.0, "kernel": 0.5, "bias": 2.0}[name]
            theta[name], m[name], v[name] = step_of(name, theta[name], m[name], v[name], gradient, step, rate)
        for name in NAMES:
            found[name].append(theta[name].copy())
    return {name: np.stack(found[name]) for name in NAMES}


def assert_near(found, expected, atol=2e-6):
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], atol=atol, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("replicas", [1, 2])
def test_prior_weight_decay(replicas):
    """The kernel decays toward its start, the embeddings, which no pattern names, toward 0, the bias not at all."""
    start = {name: value.astype(np.float64) for name, value in adamw_inputs()[0].items()}
    options = {"weight_decay": 0.5, "prior_weight_decay": ["model/kernel"]}
    found, optimizer = run(make(**options), strategy=mirrored(replicas))
    assert_near(
        found,
        reference_run(
            lambda name, theta, m, v, g, step, rate: adam_step(
                theta, m, v, g, step + 1, rate, decay=0.0 if name == "bias" else 0.5,
                reference=start["kernel"] if name == "kernel" else 0.0,
            )
        ),
    )  # fmt: skip
    kept = [variable for variable in optimizer.variables if "reference" in variable.path]
    assert len(kept) == 1
    np.testing.assert_array_equal(kept[0].numpy(), adamw_inputs()[0]["kernel"])


def test_a_reference_is_kept_only_for_what_decays_and_is_trained():
    options = {"prior_weight_decay": [".*"], "lr_multipliers": [("model/kernel", 0.0)]}
    _, optimizer = run(make(**options), steps=1)
    assert [variable.path.split("/")[-1] for variable in optimizer.variables if "reference" in variable.path] == [
        "model_embeddings_reference"
    ]
    with pytest.raises(InputError, match="'encoder/.*' matches no whole variable path"):
        run(make(prior_weight_decay=["encoder/.*"]), steps=1)


@pytest.mark.parametrize("correction", [True, False])
@pytest.mark.parametrize("replicas", [1, 2])
def test_gradual_unfreezing(correction, replicas):
    """A variable moves from its start step on, as if the optimiser began there, and is not in the norm before."""
    starts = {"embeddings": 9, "kernel": 4, "bias": 0}
    found, _ = run(
        make(start_steps=[(f"model/{name}", step) for name, step in starts.items()], bias_correction=correction),
        strategy=mirrored(replicas),
    )
    np.testing.assert_array_equal(found["embeddings"][8], adamw_inputs()[0]["embeddings"])
    assert np.abs(found["embeddings"][9] - found["embeddings"][8]).max() > 1e-3
    assert_near(
        found,
        reference_run(
            lambda name, theta, m, v, g, step, rate: adam_step(
                theta, m, v, g, step + 1 - starts[name], rate, decay=0.0 if name == "bias" else 0.01,
                bias_correction=correction,
            ),
            started=lambda name, step: step >= starts[name],
        ),
    )  # fmt: skip


@pytest.mark.parametrize("decay", [0.5, 0.999])
@pytest.mark.parametrize("replicas", [1, 2])
def test_averages(decay, replicas):
    found, optimizer = run(make(ema_decay=decay), strategy=mirrored(replicas))
    plain, _ = run(make())
    assert_near(found, plain, atol=1e-6)  # training itself is the same
    variables = dict(zip(NAMES, optimizer.trained_variables))
    with optimizer.averaged():
        for name, variable in variables.items():
            np.testing.assert_allclose(variable.numpy(), average(plain[name], decay), atol=2e-6)
    for name, variable in variables.items():
        np.testing.assert_array_equal(variable.numpy(), found[name][-1])


def test_after_one_step_the_average_is_that_step():
    found, optimizer = run(make(ema_decay=0.999), steps=1)
    with optimizer.averaged():
        np.testing.assert_allclose(optimizer.trained_variables[1].numpy(), found["kernel"][0], atol=1e-6)


def test_without_averages_nothing_is_swapped():
    found, optimizer = run(make(), steps=2)
    with optimizer.averaged():
        np.testing.assert_array_equal(optimizer.trained_variables[1].numpy(), found["kernel"][-1])
    assert not any("average" in variable.path for variable in optimizer.variables)


@pytest.mark.parametrize("replicas,jit", [(1, False), (2, False), (1, True)])
def test_lamb(replicas, jit):
    found, _ = run(make(Lamb), strategy=mirrored(replicas), jit=jit)
    expected = reference_run(
        lambda name, theta, m, v, g, step, rate: lamb_step(
            theta, m, v, g, step + 1, rate, decay=0.0 if name == "bias" else 0.01, adapt=name != "bias"
        )
    )
    assert_near(found, expected, atol=5e-6)
    assert np.abs(found["kernel"][-1] - run(make())[0]["kernel"][-1]).max() > 1e-2


def test_lamb_with_a_weight_that_is_zero_takes_adams_step():
    optimizer, variable = Lamb(0.1), keras.Variable(np.zeros(2, np.float32), name="w")
    optimizer.build([variable])
    optimizer.apply([tf.constant([0.5, -0.25])], [variable])
    np.testing.assert_allclose(variable.numpy(), [-0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_saves_all_its_arguments(name):
    optimizer = OPTIMIZERS[name](
        1e-3, prior_weight_decay=["a/.*"], start_steps=[("b/.*", 3)], ema_decay=0.9, lr_multipliers=[("c", 0.5)]
    )
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert (again.prior_weight_decay, again.start_steps, again.ema_decay) == (["a/.*"], [("b/.*", 3)], 0.9)
    assert choices_of(FIELDS["optimizer"]) == tuple(OPTIMIZERS)
