"""AdamWeightDecay and Lamb as any Keras optimizer, beside keras.optimizers.AdamW: what a step does."""

import json
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored
from tests.optim.beside_keras import (
    DECAY,
    OURS,
    X,
    Y,
    apply,
    assert_follows,
    every,
    gradients_of,
    make,
    on_replicas,
    ours,
    reference,
    small_model,
    train,
    two_variables,
)
from tests.reference.optimizers import clip
from tfbert import AdamWeightDecay, linear_warmup

# Variables without a gradient


@every
@pytest.mark.parametrize("graph", [False, True])
def test_a_variable_without_a_gradient_stays_as_it_is(optimizer_class, graph):
    gradients = gradients_of(4)
    gradients[0][0] = gradients[2][1] = gradients[3][0] = None
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        optimizer = make(optimizer_class)
        assert_follows(optimizer_class, optimizer, gradients, graph=graph)
    if optimizer_class in OURS:
        norms = optimizer.gradient_norms()
        assert norms["model/kernel"] == 0
        assert norms["model/bias"] == pytest.approx(np.linalg.norm(gradients[3][1]), rel=1e-6)


@every
def test_some_of_the_variables(optimizer_class):
    optimizer, (kernel, bias) = make(optimizer_class), two_variables()
    start = [kernel.numpy(), bias.numpy()]
    optimizer.build([kernel, bias])
    gradients = gradients_of(3)
    for step in gradients:
        optimizer.apply_gradients([(tf.constant(step[1], tf.float32), bias)])
    np.testing.assert_array_equal(kernel.numpy(), start[0])
    expected = reference(optimizer_class, start[1], [step[1] for step in gradients])
    np.testing.assert_allclose(bias.numpy(), expected[-1], atol=5e-6)


@every
def test_no_gradient_at_all_is_an_error(optimizer_class):
    optimizer = make(optimizer_class)
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply([None, None], two_variables())


@ours
def test_gradients_of_frozen_variables_alone_do_nothing(optimizer_class):
    optimizer, variables = make(optimizer_class, lr_multipliers=[(".*kernel", 0.0)]), two_variables()
    start = variables[0].numpy()
    optimizer.build(variables)
    optimizer.apply([tf.ones((3, 2))], variables[:1])
    np.testing.assert_array_equal(variables[0].numpy(), start)
    assert optimizer.iterations.numpy() == 1


@every
def test_fit_with_an_unused_layer(optimizer_class):
    model = small_model(unused=True)
    start = model.pooler.kernel.numpy()
    model.compile(make(optimizer_class), "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(X, Y, epochs=3, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    np.testing.assert_array_equal(model.pooler.kernel.numpy(), start)


@every
def test_a_second_compile_after_freezing(optimizer_class):
    model, optimizer = small_model(), make(optimizer_class)
    model.compile(optimizer, "mse", run_eagerly=True)
    train(model)
    model.first.trainable = False
    model.compile(optimizer, "mse", run_eagerly=True)
    frozen, free = model.first.kernel.numpy(), model.last.kernel.numpy()
    train(model)
    np.testing.assert_array_equal(model.first.kernel.numpy(), frozen)
    assert np.abs(model.last.kernel.numpy() - free).max() > 1e-3


@every
def test_variables_it_was_not_built_with_are_an_error(optimizer_class):
    optimizer, (kernel, bias) = make(optimizer_class), two_variables()
    optimizer.build([bias])
    optimizer.build([kernel])  # does nothing
    count = len(optimizer.variables)
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([tf.ones((3, 2))], [kernel])
    assert len(optimizer.variables) == count


@every
def test_variables_of_tensorflow(optimizer_class):
    """As loops of one's own may have them, without a path."""
    start = two_variables()[0].numpy()
    optimizer, variable = make(optimizer_class), tf.Variable(start, name="kernel")
    (gradients,) = zip(*gradients_of(2, [(3, 2)]))
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    expected = reference(optimizer_class, start, gradients)
    np.testing.assert_allclose(variable.numpy(), expected[-1], atol=5e-6)


@every
def test_a_constraint_holds(optimizer_class):
    # In bfloat16 Keras' own does not get that far: its second moment is held in it, too.
    dtype = "bfloat16" if optimizer_class in OURS else "float32"
    optimizer, (_, bias) = make(optimizer_class), two_variables(dtype)
    bias.constraint = keras.constraints.NonNeg()
    for _ in range(30):
        optimizer.apply([tf.ones([2], dtype)], [bias])
    np.testing.assert_array_equal(bias.numpy().astype(np.float32), 0)


# Accumulation, scaling, clipping


@every
@pytest.mark.parametrize("graph", [False, True])
def test_gradient_accumulation(optimizer_class, graph):
    """Three parts are a step on their mean, clipped after they are put together."""
    parts = gradients_of(6)
    means = [[sum(part[i] for part in parts[at : at + 3]) / 3 for i in range(2)] for at in (0, 3)]
    optimizer = make(optimizer_class, gradient_accumulation_steps=3, global_clipnorm=0.5)
    clipped = [clip(step, 0.5) for step in means]
    assert_follows(optimizer_class, optimizer, parts, clipped, graph)
    assert int(optimizer.iterations) == 2
    if optimizer_class in OURS:
        assert optimizer.gradient_norms()["model/bias"] == pytest.approx(np.linalg.norm(means[1][1]), rel=1e-5)


@every
def test_fit_with_gradient_accumulation(optimizer_class):
    model = small_model()
    model.compile(make(optimizer_class, gradient_accumulation_steps=2), "mse")
    history = model.fit(X, Y, epochs=6, batch_size=4, verbose=0).history["loss"]
    assert history[-1] < history[0] and int(model.optimizer.iterations) == 6


@ours
def test_steps_are_counted_in_updates_with_accumulation(optimizer_class):
    optimizer = make(optimizer_class, gradient_accumulation_steps=2, start_steps=[(".*kernel", 1)])
    variables = two_variables()
    start = variables[0].numpy()
    optimizer.build(variables)
    moved = []
    for gradients in gradients_of(4):
        apply(optimizer, gradients, variables)
        moved.append(np.abs(variables[0].numpy() - start).max() > 0)
    assert moved == [False, False, False, True]


@every
def test_loss_scale_factor(optimizer_class):
    gradients = gradients_of(3)
    optimizer = make(optimizer_class, loss_scale_factor=8.0)
    assert float(optimizer.scale_loss(tf.constant(2.0))) == 16.0
    assert_follows(optimizer_class, optimizer, [[8 * g for g in step] for step in gradients], gradients)
    if optimizer_class in OURS:
        assert optimizer.gradient_norms()["model/bias"] == pytest.approx(np.linalg.norm(gradients[2][1]), rel=1e-6)


CLIPS = {
    "clipnorm": lambda step: [clip([g], 0.7)[0] for g in step],
    "clipvalue": lambda step: [np.clip(g, -0.7, 0.7) for g in step],
    "global_clipnorm": lambda step: clip(step, 0.7),
}


@every
@pytest.mark.parametrize("name", CLIPS)
def test_clipping(optimizer_class, name):
    """As Keras does it; the norms that are told are those before."""
    gradients = gradients_of(3)
    optimizer = make(optimizer_class, **{name: 0.7})
    assert_follows(optimizer_class, optimizer, gradients, [CLIPS[name](step) for step in gradients])
    if optimizer_class in OURS:
        expected = [np.linalg.norm(g) for g in gradients[-1]]
        np.testing.assert_allclose(list(optimizer.gradient_norms().values()), expected, rtol=1e-6)


@ours
@pytest.mark.parametrize("options", [*({name: 0.7} for name in CLIPS), {"loss_scale_factor": 2.0},
                                     {"gradient_accumulation_steps": 2}], ids=str)  # fmt: skip
def test_slices_are_as_the_dense_gradient(optimizer_class, options):
    """Of a row that comes twice the sum is clipped, scaled and squared."""
    found = []
    for sparse in (True, False):
        optimizer, (kernel, _) = make(optimizer_class, **options), two_variables()
        for step in range(4):
            gradient = tf.IndexedSlices(tf.fill((3, 2), 1.0 + step), tf.constant([0, 0, 2]), tf.constant([3, 2]))
            optimizer.apply([gradient if sparse else tf.convert_to_tensor(gradient)], [kernel])
        found.append(kernel.numpy())
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", CLIPS)
def test_clipping_is_of_the_sum_over_replicas(name):
    gradients = gradients_of(3)
    strategy = mirrored(2)
    with strategy.scope():
        variables = two_variables()
        optimizer = make(AdamWeightDecay, **{name: 0.7})
        optimizer.build(variables)
    start = [variable.numpy() for variable in variables]
    run = on_replicas(strategy, optimizer, variables)
    for step in gradients:
        run(*(tf.constant(g / 2, tf.float32) for g in step))
    for number, (variable, theta) in enumerate(zip(variables, start)):
        clipped = [CLIPS[name](step)[number] for step in gradients]
        np.testing.assert_allclose(variable.numpy(), reference(AdamWeightDecay, theta, clipped)[-1], atol=5e-6)
    expected = [np.linalg.norm(g) for g in gradients[-1]]
    np.testing.assert_allclose(list(optimizer.gradient_norms().values()), expected, rtol=1e-6)


@ours
def test_one_way_to_clip(optimizer_class):
    assert optimizer_class().global_clipnorm == 1.0
    assert optimizer_class(clipnorm=0.5).global_clipnorm is None
    assert optimizer_class(clipvalue=0.5).global_clipnorm is None
    with pytest.raises(ValueError, match="Only one of `clipnorm`, `clipvalue` and `global_clipnorm`"):
        optimizer_class(clipnorm=0.5, global_clipnorm=1.0)


# Weight decay


@every
def test_weight_decay_reads_what_was_given_and_can_be_assigned(optimizer_class):
    optimizer = make(optimizer_class)
    assert optimizer.weight_decay == DECAY
    optimizer.weight_decay = 0.5
    assert_follows(optimizer_class, optimizer, gradients_of(2), decay=0.5)


@every
@pytest.mark.parametrize("by", ["var_list", "var_names"])
def test_exclude_from_weight_decay(optimizer_class, by):
    variables = two_variables()
    start = variables[0].numpy()
    optimizer = make(optimizer_class)
    optimizer.exclude_from_weight_decay(**{by: [variables[0]] if by == "var_list" else ["kern"]})
    optimizer.build(variables)
    gradients = gradients_of(3)
    for step in gradients:
        apply(optimizer, step, variables)
    expected = reference(optimizer_class, start, [step[0] for step in gradients], decayed=False)
    np.testing.assert_allclose(variables[0].numpy(), expected[-1], atol=5e-6)
    if optimizer_class in OURS:  # and it is saved
        assert optimizer.groups()[0][1]["decay"] == 0
        again = optimizer_class.from_config(json.loads(json.dumps(optimizer.get_config())))
        again.build(variables)
        assert again.groups()[0][1]["decay"] == 0


@ours
def test_an_exclusion_that_matches_nothing_is_told(optimizer_class):
    with pytest.warns(UserWarning, match="exclude_from_weight_decay match no whole variable path: LayerNorm, bias"):
        make(optimizer_class, exclude_from_weight_decay=["LayerNorm", "bias", ".*/bias"]).build(two_variables())


# Learning rates


@every
def test_a_learning_rate_can_be_assigned(optimizer_class):
    optimizer, (kernel, _) = make(optimizer_class), two_variables()
    step = tf.function(lambda: optimizer.apply([tf.ones((3, 2))], [kernel]))
    step()
    for rate, least, most in ((0.0, 0.0, 0.0), (0.25, 1e-2, 1.0)):
        before = kernel.numpy()
        optimizer.learning_rate = rate
        step()
        assert float(optimizer.learning_rate) == rate
        assert least <= np.abs(kernel.numpy() - before).max() <= most
    assert optimizer.get_config()["learning_rate"] == 0.25


@every
def test_callbacks_change_the_learning_rate(optimizer_class):
    model = small_model()
    model.compile(make(optimizer_class), "mse", run_eagerly=True)
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 if epoch == 0 else rate),
        keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=0, min_delta=1e9, cooldown=0),
    ]
    model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.5 * 0.5**2)


@every
def test_a_learning_rate_that_is_a_function_or_a_schedule(optimizer_class):
    assert_follows(optimizer_class, make(optimizer_class, lambda: 0.03), gradients_of(2), rate=0.03)
    optimizer = make(optimizer_class, linear_warmup(0.1, 10))
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        optimizer.learning_rate = 0.1
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.apply([tf.ones((3, 2))], two_variables()[:1])
    assert float(optimizer.learning_rate) == pytest.approx(0.09)


# Averages


@every
def test_keras_own_averages(optimizer_class):
    """The first step's value, then each next one's share; put in place every third step, and at the end."""
    options = {"use_ema": True, "ema_momentum": 0.5}
    optimizer, variables = make(optimizer_class, ema_overwrite_frequency=3, **options), two_variables()
    plain, others = make(optimizer_class), two_variables()
    optimizer.build(variables)
    plain.build(others)
    average = None
    for number, gradients in enumerate(gradients_of(3)):
        apply(optimizer, gradients, variables)
        apply(plain, gradients, others)
        value = others[0].numpy()
        average = value if number == 0 else 0.5 * average + 0.5 * value
        np.testing.assert_allclose(variables[0].numpy(), average if number == 2 else value, atol=1e-5)

    optimizer, variables = make(optimizer_class, **options), two_variables()
    optimizer.build(variables)
    for gradients in gradients_of(3):
        apply(optimizer, gradients, variables)
    optimizer.finalize_variable_values(variables)
    np.testing.assert_allclose(variables[0].numpy(), average, atol=1e-5)


@ours
def test_averages_of_some_variables_are_put_into_those(optimizer_class):
    """As `fit` asks for when a layer was frozen since; keras.optimizers.AdamW gives them those of the first ones."""
    optimizer, variables = make(optimizer_class, use_ema=True, ema_momentum=0.5), two_variables("bfloat16")
    optimizer.build(variables)
    for gradients in gradients_of(3):
        apply(optimizer, gradients, variables)
    kernel = variables[0].numpy()
    optimizer.finalize_variable_values(variables[1:])
    average = next(v for v in optimizer.variables if v.path.endswith("bias_average")).numpy()
    np.testing.assert_array_equal(variables[0].numpy(), kernel)
    np.testing.assert_array_equal(variables[1].numpy(), average.astype(variables[1].numpy().dtype))


@ours
def test_averages_are_of_steps_without_a_gradient_as_well(optimizer_class):
    optimizer, (kernel, bias) = make(optimizer_class, ema_decay=0.5), two_variables()
    optimizer.build([kernel, bias])
    values = []
    for number, gradients in enumerate(gradients_of(4)):
        gradients = gradients if number in (0, 2) else [None, gradients[1]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            apply(optimizer, gradients, [kernel, bias])
        values.append(kernel.numpy())
    weights = [0.125, 0.25, 0.5, 1.0]
    with optimizer.averaged():
        expected = sum(w * value for w, value in zip(weights, values)) / sum(weights)
        np.testing.assert_allclose(kernel.numpy(), expected, atol=1e-6)
