"""AdamWeightDecay and Lamb beside keras.optimizers.AdamW: what is saved and loaded, and what is refused."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.optim.beside_keras import (
    ALL,
    OURS,
    apply,
    assert_follows,
    every,
    gradients_of,
    make,
    ours,
    small_model,
    train,
    two_variables,
)
from tfbert import AdamWeightDecay, InputError, Lamb

ARGUMENTS = {
    "beta_1": 0.8,
    "beta_2": 0.99,
    "epsilon": 0.0,
    "clipnorm": 0.5,
    "clipvalue": 0.25,
    "global_clipnorm": None,
    "use_ema": True,
    "ema_momentum": 0.9,
    "ema_overwrite_frequency": 7,
    "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 3,
    "weight_decay": 0.0,
    "name": "another",
}
OWN_ARGUMENTS = {
    "global_clipnorm": 2.5,
    "bias_correction": False,
    "lr_multipliers": [("a/.*", 0.1), (r"\d+", 0.0)],
    "exclude_from_weight_decay": ["b"],
    "prior_weight_decay": ["c/(d|e)"],
    "start_steps": [("f", 3)],
    "ema_decay": 0.999,
}


@pytest.mark.parametrize(
    "optimizer_class,name,value",
    [(each, *item) for each in ALL for item in ARGUMENTS.items()]
    + [(each, *item) for each in OURS for item in OWN_ARGUMENTS.items()],
)
def test_every_argument_is_saved(optimizer_class, name, value):
    """Through JSON, as a .keras file has it."""
    optimizer = optimizer_class(**{name: value})
    config = optimizer.get_config()
    assert config[name] == value
    again = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(optimizer))))
    assert type(again) is optimizer_class and again.get_config() == config
    assert optimizer_class.from_config(json.loads(json.dumps(config))).get_config() == config


@every
def test_numbers_of_numpy_are_saved(optimizer_class):
    json.dumps(optimizer_class(weight_decay=float(np.float32(0.1))).get_config())
    if optimizer_class in OURS:
        one = np.float32(0.5)
        groups = {"lr_multipliers": [("a", one)], "start_steps": [("b", one * 4)]}
        optimizer = optimizer_class(weight_decay=one, beta_1=one, **groups)
        config = json.loads(json.dumps(optimizer.get_config()))
        assert config["beta_1"] == 0.5 and config["start_steps"] == [["b", 2]]


@every
def test_weights_are_set_and_stored(optimizer_class):
    optimizer, variables = make(optimizer_class), two_variables()
    optimizer.build(variables)
    for gradients in gradients_of(3):
        apply(optimizer, gradients, variables)
    store = {}
    optimizer.save_own_variables(store)
    values = [variable.numpy() for variable in optimizer.variables]
    for way in ("load", "set"):
        again = make(optimizer_class)
        again.build(two_variables())
        again.load_own_variables(store) if way == "load" else again.set_weights(values)
        assert again.iterations.numpy() == 3
        for a, b in zip(again.variables, values, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
    with pytest.raises(ValueError, match="not compatible"):
        again.set_weights(values[::-1])
    with pytest.raises(ValueError, match="not yet been built"):
        make(optimizer_class).set_weights(values)


@every
def test_values_are_assigned(optimizer_class):
    optimizer, (_, bias) = make(optimizer_class), two_variables()
    for method, value, expected in (("assign", 2.0, 2.0), ("assign_add", 1.0, 3.0), ("assign_sub", 2.5, 0.5)):
        getattr(optimizer, method)(bias, tf.fill([2], value))
        np.testing.assert_array_equal(bias.numpy(), expected)
    with pytest.raises(ValueError, match="stateless_apply is not supported with the TensorFlow backend"):
        optimizer.stateless_apply([], [], [])


@every
def test_loss_scale_optimizer(optimizer_class):
    """A step whose gradients are not finite is left out, and the scale halved."""
    scaled = keras.optimizers.LossScaleOptimizer(make(optimizer_class), initial_scale=4.0)
    gradients = gradients_of(3)
    assert_follows(optimizer_class, scaled, [[4 * g for g in step] for step in gradients], gradients, graph=True)
    variables = scaled._trainable_variables
    before = [variable.numpy() for variable in variables]
    scaled.apply([tf.fill((3, 2), np.inf), tf.ones(2)], variables)
    for variable, value in zip(variables, before):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert scaled.iterations.numpy() == 3 and float(scaled.dynamic_scale) == 2.0
    again = keras.optimizers.deserialize(json.loads(json.dumps(keras.optimizers.serialize(scaled))))
    assert again.inner_optimizer.get_config() == scaled.inner_optimizer.get_config()


STATES = {
    "plain": {},
    "accumulating": {"gradient_accumulation_steps": 2},
    "averages of keras": {"use_ema": True},
    "everything": {
        "ema_decay": 0.9,
        "prior_weight_decay": [".*small.*/dense_*[0-9]*/kernel"],
        "start_steps": [("small.*/dense[^/]*/bias", 2)],
        "clipnorm": 0.5,
    },
}


@pytest.mark.parametrize(
    "optimizer_class,state,dtype",
    [(AdamWeightDecay, state, "float32") for state in STATES]
    + [(Lamb, "everything", "float32"), (AdamWeightDecay, "everything", "bfloat16")]
    + [(keras.optimizers.AdamW, state, "float32") for state in list(STATES)[:3]],
)
def test_a_saved_model_goes_on_as_if_nothing_had_been(optimizer_class, state, dtype, tmp_path):
    """The loaded model's variables have other paths than those the patterns were written for."""
    model = small_model(dtype=dtype)
    model.compile(optimizer_class(0.01, **STATES[state]), "mse", run_eagerly=True)
    train(model, 5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [v.path for v in loaded.variables] != [v.path for v in model.variables]
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    loaded.compile(loaded.optimizer, "mse", run_eagerly=True)
    assert train(model) == train(loaded)
    for a, b in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@ours
def test_a_failed_build_builds_nothing(optimizer_class):
    optimizer, variables = make(optimizer_class, lr_multipliers=[("no/such", 0.5)]), two_variables()
    for _ in range(2):
        with pytest.raises(InputError, match="'no/such' matches no whole variable path"):
            optimizer.build(variables)
    assert not optimizer.built


WRONG = [
    ({"learning_rate": -1.0}, "learning_rate must be a number of 0 or more, finite. Received: learning_rate=-1.0"),
    ({"learning_rate": float("nan")}, "learning_rate must be"),
    ({"weight_decay": None}, "weight_decay must be a number of 0 or more, finite. Received: weight_decay=None"),
    ({"weight_decay": -0.1}, "weight_decay must be"),
    ({"weight_decay": "0.1"}, "weight_decay must be .* Received: weight_decay='0.1'"),
    ({"beta_1": 1.0}, "beta_1 must be a number of 0 or more, below 1. Received: beta_1=1.0"),
    ({"beta_2": -0.5}, "beta_2 must be"),
    ({"epsilon": -1e-6}, "epsilon must be"),
    ({"clipnorm": float("inf")}, "clipnorm must be a number of 0 or more, finite, or None. Received: clipnorm=inf"),
    ({"clipvalue": -1.0}, "clipvalue must be"),
    ({"global_clipnorm": float("nan")}, "global_clipnorm must be"),
    ({"ema_decay": 1.0}, "ema_decay must be a number of 0 or more, below 1, or None"),
    ({"ema_decay": 0.9, "use_ema": True}, "use_ema and ema_decay both keep averages of the weights; give only one"),
    ({"loss_scale_factor": 0.0}, "loss_scale_factor must be more than 0"),
    ({"exclude_from_weight_decay": ".*bias"}, "exclude_from_weight_decay must be a list of regular expressions"),
    ({"exclude_from_weight_decay": ["*bias"]}, r"exclude_from_weight_decay must be .* '\*bias' \(nothing to repeat"),
    ({"prior_weight_decay": ["(a"]}, "prior_weight_decay must be"),
    ({"lr_multipliers": [("[a", 1.0)]}, "lr_multipliers must be"),
    ({"lr_multipliers": {"head": 2.0}}, r"lr_multipliers must be a list of \(regex, value\) pairs"),
    ({"lr_multipliers": [("a", -1.0)]}, "The value of 'a' in lr_multipliers must be a number of 0 or more"),
    ({"start_steps": [("a", 1.5)]}, "The values of start_steps must be whole numbers"),
]  # fmt: skip


@ours
@pytest.mark.parametrize("arguments,message", WRONG, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_told_at_the_constructor(optimizer_class, arguments, message):
    with pytest.raises(InputError, match=message):
        optimizer_class(**arguments)


@every
@pytest.mark.parametrize(
    "arguments",
    [{"gradient_accumulation_steps": 1}, {"use_ema": True, "ema_momentum": 2.0}, {"no_such": 1},
     {"use_ema": True, "ema_overwrite_frequency": 0.5}, {"learning_rate": "fast"}, {"weight_decay": None},
     {"clipnorm": 1.0, "clipvalue": 1.0}],
    ids=str,
)  # fmt: skip
def test_what_keras_refuses_is_refused(optimizer_class, arguments):
    with pytest.raises(ValueError):
        optimizer_class(**arguments)
