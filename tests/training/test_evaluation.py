"""Scores are those of the examples, each once, however the dataset deals them out."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies

from tests.conftest import random_texts, rows_of
from tfbert import (
    TASKS,
    AdamWeightDecay,
    InputError,
    build_model,
    epoch_draws,
    evaluate,
    load_encoder,
    make_dataset,
    predict,
    train,
)
from tfbert.data.batches import ExampleBatches

ROWS = 29


@pytest.fixture(scope="module")
def model(tiny):
    """A classifier whose outputs differ from text to text."""
    model = build_model(load_encoder(tiny, dropout=0.0), TASKS["classification"](["no", "yes"]), max_seq_length=24)
    model.head.kernel.assign(3 * np.random.default_rng(0).normal(size=model.head.kernel.shape))
    return model


@pytest.fixture(scope="module")
def dataset(model):
    # Equal texts would have equal scores, or nearly.
    texts = [f"{number} {text}" for number, text in enumerate(random_texts(ROWS))]
    labels = ["yes" if "printer" in text or number % 5 == 0 else "no" for number, text in enumerate(texts)]
    return make_dataset(rows_of(texts, labels), model.tokenizer, model.task, 16, 24)


@pytest.fixture(scope="module")
def outputs(model, dataset):
    """The model's outputs for the texts, one at a time, each in a row that it fills: float64 [N, 2]."""
    found = []
    for window in dataset.examples.windows(tf.range(ROWS, dtype=tf.int64))[0].to_list():
        ids = tf.constant([window], tf.int32)
        rows = {"token_ids": ids, "segment_ids": 0 * ids, "positions": tf.range(len(window))[tf.newaxis]}
        places = {"window_ids": tf.ones_like(ids), "window_start": [0], "window_example": [0], "example_windows": [1]}
        found.append(model({name: tf.constant(value) for name, value in (rows | places).items()}).numpy()[0])
    return np.array(found, np.float64)


def scores_of(labels, outputs):
    """Returns accuracy, loss and the area under the ROC curve by their definitions."""
    log_p = outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True)
    positive, negative = (log_p[labels == label, 1] for label in (1, 0))
    pairs = np.subtract.outer(positive, negative)
    return {
        "accuracy": np.mean(outputs.argmax(axis=1) == labels),
        "loss": -log_p[np.arange(len(labels)), labels].mean(),
        "roc_auc": np.mean((pairs > 0) + (pairs == 0) / 2),
    }


def same(found, expected):
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)


@hypothesis.settings(max_examples=12, deadline=None, derandomize=True, phases=[hypothesis.Phase.generate])
@hypothesis.given(
    shuffle=strategies.booleans(),
    batch_size=strategies.sampled_from([1, 7, ROWS + 3]),  # the model is traced for each
    row_length=strategies.sampled_from([24, 31, 64, 128]),
    seed=strategies.integers(0, 2**20),
    oversample=strategies.sampled_from([None, 2, 3.5]),
)
def test_any_order_any_batch_any_padding(model, dataset, outputs, shuffle, batch_size, row_length, seed, oversample):
    labels = dataset.examples.labels
    draws = oversample and epoch_draws(model.task, labels, oversample={"yes": oversample})
    batches = ExampleBatches(dataset.examples, batch_size, row_length, shuffle, seed, draws=draws)
    same(evaluate(model, batches), scores_of(labels, outputs))


def test_the_datasets_that_users_make(model, dataset, outputs):
    """By default, with draws, with other texts in later epochs, in part, and after an epoch has been iterated."""
    labels = dataset.examples.labels
    expected = scores_of(labels, outputs)
    same(evaluate(model, dataset), expected)
    list(dataset)
    same(evaluate(model, dataset), expected)
    draws = epoch_draws(model.task, labels, undersample={"no": 3})
    same(evaluate(model, dataset.with_draws(draws)), expected)
    some = np.array([7, 3, 20, 12, 5])
    renewed = dataset._like(renew=lambda epoch: dataset.examples.subset(np.arange(ROWS)[::-1]))
    same(evaluate(model, renewed), expected)
    for whole in (dataset, renewed):
        same(evaluate(model, whole.subset(some)), scores_of(labels[some], outputs[some]))


def test_what_evaluate_does_not_know_is_refused(model, dataset):
    with pytest.raises(InputError, match="takes the dataset that tfbert.make_dataset returned.*_TakeDataset"):
        evaluate(model, dataset.take(1))
    with pytest.raises(InputError, match="tfbert.train takes the dataset.* go to plain Keras, model.fit"):
        train(model, dataset.take(1), AdamWeightDecay(1e-3))


def test_a_dataset_of_another_task_or_length_is_refused(model):
    """A CPU would find a place that is not there in the middle of a step, an accelerator take another for it."""
    rows = rows_of(["the printer"] * 3, ["yes", "no", "yes"])
    permuted = make_dataset(rows, model.tokenizer, TASKS["classification"](["yes", "no"]), 2, 24)
    long = make_dataset(rows_of(["the " * 80], ["no"]), model.tokenizer, model.task, 2, 96)
    model.compile("sgd")
    uses = (model.fit, model.evaluate, model.predict, lambda data: evaluate(model, data),
            lambda data: train(model, data, AdamWeightDecay(1e-3)))  # fmt: skip
    for use in uses:
        with pytest.raises(InputError, match="made for classification of .'yes', 'no'., the model for classification"):
            use(permuted)
        with pytest.raises(InputError, match="max_seq_length must be at most 64"):
            use(long)
    with pytest.raises(InputError, match="max_seq_length must be at most 64"):
        model.evaluate(long.take(1))


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", None, True])
def test_what_is_no_batch_size(model, size):
    for use in (lambda: predict(model, ["a"], size), lambda: make_dataset([], model.tokenizer, model.task, size)):
        with pytest.raises(InputError, match="batch_size must be a whole number of at least 1"):
            use()
