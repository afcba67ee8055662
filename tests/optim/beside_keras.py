"""What the tests of AdamWeightDecay and Lamb beside keras.optimizers.AdamW share: optimizers, variables, a model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.reference.optimizers import adam_step, lamb_step
from tfbert import AdamWeightDecay, Lamb

OURS = [AdamWeightDecay, Lamb]
ALL = [*OURS, keras.optimizers.AdamW]
RATE, DECAY = 0.1, 0.05
every = pytest.mark.parametrize("optimizer_class", ALL)
ours = pytest.mark.parametrize("optimizer_class", OURS)


def make(optimizer_class, learning_rate=RATE, global_clipnorm=None, **options):
    """Returns an optimizer that clips nothing unless it is told to."""
    return optimizer_class(learning_rate, weight_decay=DECAY, epsilon=1e-6, global_clipnorm=global_clipnorm, **options)


def two_variables(dtype="float32"):
    rng = np.random.default_rng(0)
    with keras.name_scope("model"):
        shapes = {"kernel": (3, 2), "bias": (2,)}
        return [keras.Variable(rng.normal(size=shape), dtype=dtype, name=name) for name, shape in shapes.items()]


def gradients_of(steps, shapes=((3, 2), (2,))):
    """Returns float64 gradients for each step: list of list."""
    rng = np.random.default_rng(1)
    return [[rng.normal(size=shape) for shape in shapes] for _ in range(steps)]


def apply(optimizer, gradients, variables, graph=False):
    """Applies one step's gradients, None among them, as a list or in a graph."""
    grads = [None if g is None else tf.constant(g, v.dtype) for g, v in zip(gradients, variables)]

    def step():
        optimizer.apply(grads, variables)

    tf.function(step)() if graph else step()


def reference(optimizer_class, theta, gradients, rate=RATE, decayed=None, decay=DECAY, bias_correction=True):
    """Runs the formula in float64 on one variable: gradients, None for a step without -> its value after each step.

    Vectors do not decay in our optimizers. The epsilon of Keras' is inside the bias correction.
    """
    decayed = theta.ndim > 1 or optimizer_class not in OURS if decayed is None else decayed
    decay, epsilon = decay if decayed else 0.0, 1e-6
    theta, m, v = theta.astype(np.float64), 0.0, 0.0
    values = []
    for t, g in enumerate(gradients, 1):
        if g is not None and optimizer_class is Lamb:
            theta, m, v = lamb_step(theta, m, v, g, t, rate, decay=decay, adapt=decayed)
        elif g is not None:
            inside = epsilon if optimizer_class in OURS else epsilon / np.sqrt(1 - 0.999**t)
            options = {"epsilon": inside, "decay": decay, "bias_correction": bias_correction}
            theta, m, v = adam_step(theta, m, v, g, t, rate, **options)
        values.append(theta)
    return values


def assert_follows(optimizer_class, optimizer, gradients, applied=None, graph=False, **options):
    """Runs steps on two variables, and asserts that they are those of the formula on other, given gradients."""
    variables = two_variables()
    start = [variable.numpy() for variable in variables]
    optimizer.build(variables)
    for step in gradients:
        apply(optimizer, step, variables, graph)
    for number, (variable, theta) in enumerate(zip(variables, start)):
        expected = reference(optimizer_class, theta, [step[number] for step in applied or gradients], **options)
        np.testing.assert_allclose(variable.numpy(), expected[-1], atol=5e-6, err_msg=variable.path)


def small_model(unused=False, **layer):
    """Returns a model of two dense layers, and one that it does not use."""

    @keras.saving.register_keras_serializable("tests")
    class Small(keras.Model):
        def __init__(self, unused=False, **kwargs):
            super().__init__(**kwargs)
            self.first, self.last = keras.layers.Dense(3, activation="tanh", **layer), keras.layers.Dense(1, **layer)
            self.pooler = keras.layers.Dense(2, **layer) if unused else None
            self.unused = unused

        def build(self, shape):
            self.first.build(shape)
            self.last.build((None, 3))
            if self.unused:
                self.pooler.build((None, 3))

        def call(self, x):
            return self.last(self.first(x))

        def get_config(self):
            return super().get_config() | {"unused": self.unused}

    model = Small(unused)
    model.build((None, 4))
    return model


X = np.random.default_rng(2).normal(size=(8, 4)).astype(np.float32)
Y = X[:, :1] - X[:, 1:2]


def train(model, steps=3):
    return [float(np.squeeze(model.train_on_batch(X, Y))) for _ in range(steps)]


def on_replicas(strategy, optimizer, variables):
    """Returns a function of gradients that applies them on every replica, in a graph."""

    def apply(*gradients):
        optimizer.apply([tf.identity(gradient) for gradient in gradients], variables)  # each on the replica's device

    return tf.function(lambda *gradients: strategy.run(apply, gradients), autograph=False)
