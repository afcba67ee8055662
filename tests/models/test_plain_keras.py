"""The models on their datasets in plain Keras: what fit, evaluate and predict say is true of the examples."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored, random_texts, rows_of, write_tiny
from tfbert import (
    TASKS,
    AdamWeightDecay,
    InputError,
    build_model,
    evaluate,
    load_encoder,
    load_tokenizer,
    make_dataset,
    predict,
)
from tfbert.inference.ensemble import EnsembleModel

LABELS = {
    "classification": lambda number: "yes" if number % 3 else "no",
    "multilabel": lambda number: [name for bit, name in enumerate(("no", "yes")) if number >> bit & 1],
    "regression": lambda number: number / 10,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One layer: what takes time here is to trace the graphs."""
    return str(write_tiny(tmp_path_factory.mktemp("tiny"), layers=1))


def model_of(folder, task="classification", dropout=0.0, **options):
    """Returns a model whose outputs differ from text to text."""
    names = ["no", "yes"] if task != "regression" else []
    encoder, task = load_encoder(folder, dropout=dropout), TASKS[task](names, **options)
    model = build_model(encoder, task, _tokenizer(folder), max_seq_length=24)
    model.head.kernel.assign(3 * np.random.default_rng(0).normal(size=model.head.kernel.shape))
    return model


@functools.cache
def _tokenizer(folder):
    return load_tokenizer(folder)  # which keeps what it has traced


def data_of(model, rows=33, batch_size=32, shuffle=True, **options):
    texts = [f"{number} {text}" for number, text in enumerate(random_texts(rows))]
    labels = [LABELS[model.task.name](number) for number in range(rows)]
    examples = rows_of(texts, labels)
    return make_dataset(examples, model.tokenizer, model.task, batch_size, 24, shuffle=shuffle, **options)


def truth(model, dataset):
    """Returns the outputs of each text in a row of its own, and the losses, in NumPy: float [N, outputs], float [N]."""
    labels = dataset.examples.labels
    whole = dataset.in_order().with_batch_size(len(labels)).with_shapes(True)
    outputs = model(next(iter(whole.shares(0, 1)))[0]).numpy().astype(np.float64)
    if model.task.name == "regression":
        return outputs, (outputs[:, 0] - labels) ** 2
    if model.task.name == "multilabel":
        return outputs, np.mean(np.logaddexp(0, outputs) - labels * outputs, axis=1)
    return outputs, np.logaddexp.reduce(outputs, axis=1) - outputs[np.arange(len(labels)), labels]


@pytest.mark.parametrize("task", LABELS)
def test_a_last_batch_of_one_counts_as_one(tiny, task):
    """33 rows by 32: the loss, the metrics and the predictions are those of the 33."""
    model = model_of(tiny, task)
    model.compile(AdamWeightDecay(0.0), run_eagerly=task != "classification")
    dataset = data_of(model, shuffle=False)
    outputs, losses = truth(model, dataset)
    scores = model.evaluate(dataset, return_dict=True, verbose=0)
    assert scores["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    if task == "classification":
        assert scores["accuracy"] == pytest.approx((outputs.argmax(axis=1) == dataset.examples.labels).mean(), rel=1e-6)
    np.testing.assert_allclose(model.predict(dataset, verbose=0), outputs, atol=1e-5)
    history = model.fit(dataset, validation_data=data_of(model), verbose=0).history
    np.testing.assert_allclose([history["loss"][0], history["val_loss"][0]], losses.mean(), rtol=1e-5)


def test_a_loss_of_the_users_own(tiny):
    """The step of a last batch of one row is that of the row, its loss and metrics count once."""
    model = model_of(tiny)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, metrics=["accuracy"], run_eagerly=True)
    dataset = data_of(model, shuffle=False)
    outputs, losses = truth(model, dataset)
    scores = model.evaluate(dataset, return_dict=True, verbose=0)
    assert scores["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert scores["accuracy"] == pytest.approx((outputs.argmax(axis=1) == dataset.examples.labels).mean(), rel=1e-6)
    features, labels, _ = next(iter(dataset.skip(1)))
    with tf.GradientTape() as tape:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(features, training=True))
    expected = model.head.kernel.numpy() - 0.1 * tape.gradient(loss, model.head.kernel.value).numpy()
    model.fit(dataset.skip(1), verbose=0)
    np.testing.assert_allclose(model.head.kernel, expected, atol=1e-5)


def test_what_tf_data_makes_of_a_dataset(tiny):
    model = model_of(tiny)
    model.compile(AdamWeightDecay(0.0), run_eagerly=True)
    dataset = data_of(model, rows=21, batch_size=8, shuffle=False)
    loss = truth(model, dataset)[1]
    assert len(dataset) == len(list(dataset)) == len(dataset.prefetch(1)) == 3
    for same in (dataset.prefetch(1), dataset.cache(), dataset.with_options(tf.data.Options()), dataset.take(3)):
        for _ in range(2):
            assert model.evaluate(same, verbose=0)[0] == pytest.approx(loss.mean(), rel=1e-5)
    assert model.evaluate(dataset.take(2), verbose=0)[0] == pytest.approx(loss[:16].mean(), rel=1e-5)
    assert model.evaluate(dataset, steps=1, verbose=0)[0] == pytest.approx(loss[:8].mean(), rel=1e-5)
    features = dataset.map(lambda features, labels, weights: features)
    assert model.predict(features, verbose=0).shape == (21, 2)
    assert model.predict_on_batch(next(iter(features))).shape == (8, 2)
    weighted = dataset.map(lambda features, labels, weights: (features, labels, weights * 2))
    assert model.evaluate(weighted, verbose=0)[0] == pytest.approx(2 * loss.mean(), rel=1e-5)
    features, labels, weights = next(iter(dataset))
    assert model.train_on_batch(features, labels, weights)[0] == pytest.approx(loss[:8].mean(), rel=1e-5)
    for cut in (dataset.unbatch, lambda: dataset.rebatch(4)):
        with pytest.raises(InputError, match="cannot be split"):
            cut()


def test_steps_per_epoch_go_through_the_data_without_a_gap(tiny):
    model = model_of(tiny)
    model.compile(AdamWeightDecay(0.0), run_eagerly=True)
    dataset = data_of(model, rows=21, batch_size=8, shuffle=False)
    loss = truth(model, dataset)[1]
    found = model.fit(dataset, steps_per_epoch=1, epochs=3, verbose=0).history["loss"]
    np.testing.assert_allclose(found, [loss[:8].mean(), loss[8:16].mean(), loss[16:].mean()], rtol=1e-5)
    several = data_of(model, rows=21, batch_size=8)
    found = model.fit(several, initial_epoch=2, epochs=4, validation_data=dataset, validation_steps=2, verbose=0)
    np.testing.assert_allclose(found.history["loss"], [loss.mean()] * 2, rtol=1e-5)
    np.testing.assert_allclose(found.history["val_loss"], [loss[:16].mean()] * 2, rtol=1e-5)


def test_class_weight_is_that_of_the_task(tiny):
    runs = []
    for in_fit in (True, False):
        model = model_of(tiny, class_weights=None if in_fit else (1.0, 5.0))
        model.compile(AdamWeightDecay(1e-3), run_eagerly=not in_fit)
        history = model.fit(data_of(model), epochs=2, verbose=0, class_weight={1: 5.0} if in_fit else None).history
        runs.append((history, model.head.kernel.numpy()))
    assert runs[0][0].keys() == runs[1][0].keys()
    for name, values in runs[0][0].items():
        np.testing.assert_allclose(values, runs[1][0][name], rtol=1e-5)
    np.testing.assert_allclose(runs[0][1], runs[1][1], atol=1e-6)
    with pytest.raises(InputError, match="class numbers, 0 to 1. Received: 'yes'"):
        model.fit(data_of(model), class_weight={"yes": 5.0})
    several = model_of(tiny, "multilabel")
    several.compile(AdamWeightDecay(1e-3))
    with pytest.raises(InputError, match="class_weights="):
        several.fit(data_of(several), class_weight={1: 5.0})


def test_fit_follows_the_random_seed_of_keras(tiny):
    """Dropout's masks and the order are those of the seed, which may come after the model and the dataset, too."""

    datasets = {}

    def trained(seed, early):
        if seed is not None and early:
            keras.utils.set_random_seed(seed)
        model = model_of(tiny, dropout=0.3)
        if seed is not None and not early:
            keras.utils.set_random_seed(seed)
        model.compile(AdamWeightDecay(1e-2), run_eagerly=True)
        # As a dataset that is used again it begins with other epochs.
        dataset = datasets.setdefault(early, data_of(model, batch_size=8).prefetch(1))
        model.fit(dataset, verbose=0)
        return model.head.kernel.numpy()

    for early in (True, False):
        first, again, other = (trained(seed, early) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 1e-6


def test_a_second_fit_drops_out_other_units(tiny):
    keras.utils.set_random_seed(3)
    model = model_of(tiny, dropout=0.3)
    model.compile(AdamWeightDecay(0.0))
    dataset = data_of(model, rows=8, shuffle=False)
    losses = [model.fit(dataset, verbose=0).history["loss"][0] for _ in range(2)]
    assert losses[0] != losses[1]


def test_several_devices_and_texts_are_refused(tiny):
    with mirrored(2).scope():
        model = model_of(tiny)
        model.compile(AdamWeightDecay(1e-3))
    dataset = data_of(model)
    with pytest.raises(InputError, match="model.fit runs on one device.*made for 2. Use tfbert.train"):
        model.fit(dataset)
    with pytest.raises(InputError, match="tfbert.evaluate"):
        model.evaluate(dataset)
    with pytest.raises(InputError, match="tfbert.predict"):
        model.predict(dataset)
    model = model_of(tiny)
    model.windows_per_step = 2
    with pytest.raises(InputError, match="Set it to None, or use tfbert.predict"):
        model.predict(dataset)
    with pytest.raises(InputError, match="train its members"):
        EnsembleModel([model], model.task).fit(dataset)
    with pytest.raises(InputError, match="texts go to tfbert.predict.*Received: list"):
        model_of(tiny).predict(["the printer"])
    with pytest.raises(InputError, match="one batch to model.test_on_batch. Received: dict"):
        model_of(tiny).evaluate(next(iter(dataset))[0])


@pytest.mark.parametrize("strategy", [None, mirrored(2)], ids=["one", "two"])
def test_evaluate_traces_once_and_sees_what_changes(tiny, strategy):
    with (strategy or tf.distribute.get_strategy()).scope():
        model = model_of(tiny)
    calls, call = [], model.call
    model.call = lambda features, **kwargs: (calls.append(1), call(features, **kwargs))[1]
    dataset = data_of(model)
    first = evaluate(model, dataset, strategy)
    traced = len(calls)
    assert evaluate(model, data_of(model, shuffle=False), strategy) == first and len(calls) == traced
    model.head.kernel.assign(-model.head.kernel)
    model.trainable = False
    assert evaluate(model, dataset, strategy)["accuracy"] == pytest.approx(1 - first["accuracy"])
    assert len(calls) == traced
    if strategy is None:
        model.windows_per_step = 2
        evaluate(model, dataset)
        assert len(calls) > traced
        model.head = model_of(tiny).head
        assert evaluate(model, dataset) == pytest.approx(first, rel=1e-5)


def test_predict_sees_another_head(tiny):
    model = model_of(tiny)
    first = predict(model, ["the printer"])
    model.head = build_model(load_encoder(tiny), model.task, max_seq_length=24, init_seed=7).head
    assert predict(model, ["the printer"]) != first


def test_the_tokenizer_takes_one_string(tiny):
    tokenizer = load_encoder(tiny).tokenizer
    texts = ["the printer", "中文 is ok", ""]
    expected = [pieces.numpy().tolist() for pieces in tokenizer(texts)]
    assert [tokenizer(text).numpy().tolist() for text in texts] == expected
    unbatched = tf.data.Dataset.from_tensor_slices(texts).map(tokenizer)
    assert unbatched.element_spec == tf.TensorSpec([None], tf.int32)
    assert [pieces.numpy().tolist() for pieces in unbatched] == expected
