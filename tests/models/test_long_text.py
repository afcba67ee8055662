"""Texts of several windows: merging, chunks, and every long-text strategy through training, saving and prediction."""

import itertools
import os

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored, random_texts, rows_of
from tfbert import (
    TASKS,
    AdamWeightDecay,
    LongText,
    build_model,
    load_encoder,
    load_model,
    predict,
    save_model,
    train,
)
from tfbert.data.batches import ExampleBatches, ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.models.pooling import POOLINGS, WindowMerge
from tfbert.training.evaluation import Evaluator
from tfbert.training.loop import TrainingLoop

LENGTH = 16
TASK_LABELS = {
    "classification": (["no", "yes"], lambda number: "yes" if number % 3 else "no"),
    "multilabel": (["a", "b", "c"], lambda number: ["a", "c"] if number % 3 else []),
    "regression": ([], lambda number: number % 5 / 2),
}


@pytest.fixture(scope="module")
def encoder(tiny):
    """For what does not train it: loading one, and tracing its tokeniser, take longer than such a test."""
    return load_encoder(tiny, dropout=0.0)


def model_of(encoder, long_text, pooling="pooler", task="classification", dropout=0.0):
    """Returns a model on an encoder, or on one loaded from a folder."""
    encoder = load_encoder(encoder, dropout=dropout) if isinstance(encoder, str) else encoder
    return build_model(
        encoder, TASKS[task](TASK_LABELS[task][0]), pooling=pooling, max_seq_length=LENGTH, long_text=long_text
    )


def dataset_of(model, count=13, batch_size=4, shuffle=False, static_shapes=False):
    label = TASK_LABELS[model.task.name][1]
    rows = rows_of(random_texts(count, longest=40), labels=[label(number) for number in range(count)])
    examples = tokenize_examples(rows, model.tokenizer, LENGTH, model.task.encode_label, model.long_text)
    return ExampleBatches(examples, batch_size, LENGTH, shuffle, 0, static_shapes)


@pytest.mark.parametrize("merge", ["mean", "max", "attention"])
def test_merges_equal_their_formulas(merge):
    """Windows of an example need not stand side by side; what unused slots hold never leaks."""
    rng = np.random.default_rng(0)
    example = np.array([0, 2, 5, 1, 0, 0, 5, 4], np.int32)  # of five, the fourth without a window; 5 is unused
    vectors = rng.normal(size=(8, 6)).astype(np.float32)
    vectors[example == 5] = 1e30
    features = {
        "window_example": tf.constant(example),
        "example_windows": tf.constant(np.bincount(example, minlength=5)[:5].astype(np.int32)),
    }
    layer = WindowMerge(merge, 6)
    if merge == "attention":
        assert 0 < np.abs(layer.kernel.numpy()).max() <= 0.04 and 0 < np.abs(layer.context.numpy()).max() <= 0.04
        for weight in layer.weights:
            weight.assign(rng.normal(size=weight.shape) * 2)
    found = layer(tf.constant(vectors), features).numpy()
    for number in (0, 1, 2, 4):
        windows = vectors[example == number].astype(np.float64)
        if merge == "attention":
            kernel, bias, context = (weight.numpy().astype(np.float64) for weight in layer.weights)
            score = np.exp(np.tanh(windows @ kernel + bias) @ context)
            expected = score / score.sum() @ windows
        else:
            expected = getattr(windows, merge)(axis=0)
        np.testing.assert_allclose(found[number], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[3], np.zeros(6))


def test_a_document_is_the_mean_of_its_windows(tiny):
    """Each window alone is a text of its own: same pieces, same positions, no attention between them."""
    model = model_of(tiny, LongText("mean", max_windows=3))
    words = ["printer", "is", "not", "down", "please", "urgent"] * 10
    parts = [" ".join(words[start : start + 14]) for start in (0, 14, 28)]
    alone = tokenize_examples(rows_of(parts), model.tokenizer, LENGTH)
    features = next(iter(ExampleDataset(alone, 3, LENGTH, False, 0)))[0]
    vectors = model.pool(features, encoder=model.encoder).numpy()
    outputs = Evaluator(model).outputs(
        ExampleBatches(
            tokenize_examples(rows_of([" ".join(words), parts[0]]), model.tokenizer, LENGTH, None, model.long_text),
            2,
            LENGTH,
            False,
            0,
        )
    )
    np.testing.assert_allclose(outputs[0], model.head(tf.constant(vectors.mean(axis=0)[None]))[0], atol=1e-5)
    np.testing.assert_allclose(outputs[1], model.head(tf.constant(vectors[:1]))[0], atol=1e-5)


def gradients_of(model, dataset, xla=False, seed=(5, 7)):
    """Returns (loss, gradients by variable) of the first batch."""
    loop = TrainingLoop(model, AdamWeightDecay(1e-3), xla=xla)
    batch = next(iter(dataset.with_shapes(xla, model.windows_per_step).shares(0, 1)))
    function = loop._loss_and_gradients
    if xla:
        function = tf.function(function, jit_compile=True, autograph=False)
    loss, _, gradients = function(*batch, tf.reduce_sum(batch[2]), tf.constant(seed))
    return loss.numpy(), [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


@pytest.mark.parametrize("size,xla,remat", [(1, False, False), (64, False, False), (2, False, True), (3, True, False)])
def test_windows_some_at_a_time_give_the_same_gradients(tiny, size, xla, remat):
    model = model_of(tiny, LongText("attention", max_windows=3), pooling="mean")
    dataset = dataset_of(model)
    loss, gradients = gradients_of(model, dataset)
    model.windows_per_step, model.encoder.remat = size, remat
    loss_again, again = gradients_of(model, dataset, xla)
    np.testing.assert_allclose(loss_again, loss, rtol=1e-5)
    for a, b in zip(again, gradients):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(b).max()))


def test_windows_some_at_a_time_drop_out_alike_forward_and_backward(tiny):
    """The gradient is that of the loss with the same masks: compared with the slope along a random direction."""
    model = model_of(tiny, LongText("mean", max_windows=3), dropout=0.3)
    model.windows_per_step = 2
    dataset = dataset_of(model)
    _, gradients = gradients_of(model, dataset)
    variables, rng = model.trainable_variables, np.random.default_rng(0)
    direction = [rng.normal(size=v.shape) for v in variables]
    start, losses = [v.numpy() for v in variables], []
    for step in (1e-3, -1e-3):
        for variable, value, towards in zip(variables, start, direction):
            variable.assign(value + step * towards)
        losses.append(float(gradients_of(model, dataset)[0]))
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction))
    np.testing.assert_allclose((losses[0] - losses[1]) / 2e-3, slope, rtol=2e-2)
    assert gradients_of(model, dataset, seed=(5, 8))[0] != losses[1]


STRATEGIES = [LongText(name, max_windows=3, stride=10) for name in ("mean", "max", "attention")]
STRATEGIES.append(LongText("head_tail", 3))


@pytest.mark.parametrize("number,pooling", list(enumerate([*POOLINGS, "layer:0"])))
def test_every_pooling_compiles_under_xla(encoder, number, pooling):
    """Loss and gradients are those without XLA, where windows share rows: of one window, and merged from several."""
    for strategy, task in ((3, number), (number % 3, number + number // 3)):
        model = model_of(encoder, STRATEGIES[strategy], pooling, list(TASK_LABELS)[task % 3])
        dataset = dataset_of(model)
        (loss, gradients), (compiled_loss, compiled) = (gradients_of(model, dataset, xla) for xla in (False, True))
        np.testing.assert_allclose(compiled_loss, loss, rtol=1e-5)
        for a, b in zip(compiled, gradients, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(b).max()))


def combinations():
    """Returns each merge and a cut, with poolings of tokens and of layers, and each task; or, if asked for, all."""
    if os.environ.get("EVERY_COMBINATION"):
        cuts = [LongText("head"), LongText("tail")]
        return list(itertools.product([*STRATEGIES, *cuts], [*POOLINGS, "layer:1"], TASK_LABELS))
    # test_text_model.py has the other ones
    return list(zip(STRATEGIES, ("mean", "scalar_mix", "pooler", "last4_concat"), itertools.cycle(TASK_LABELS)))


@pytest.mark.parametrize(
    "long_text,pooling,task",
    combinations(),
    ids=lambda value: value.strategy if isinstance(value, LongText) else value,
)
def test_one_trace_under_xla_and_the_same_result_for_other_shapes(tiny, tmp_path, long_text, pooling, task):
    results = []
    for xla in (True, False):  # under XLA every window has a row of its own; else windows share rows
        model = model_of(tiny, long_text, pooling, task)
        dataset = dataset_of(model, shuffle=True)
        loop = TrainingLoop(model, AdamWeightDecay(1e-3), xla=xla)
        losses = loop.run(dataset, 2 * dataset.steps_per_epoch)
        if xla:
            assert loop._gradients.experimental_get_tracing_count() == 1
        results.append((losses, Evaluator(model, xla=xla).evaluate(dataset_of(model, batch_size=5))["loss"]))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=2e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=2e-5)
    save_model(model, str(tmp_path / "model"))
    loaded = load_model(str(tmp_path / "model"))
    texts = random_texts(5, seed=3, longest=50)
    assert loaded.long_text == long_text and predict(loaded, texts) == predict(model, texts)


@pytest.mark.parametrize("replicas,accumulation", [(2, 2)])
def test_devices_and_parts_change_nothing(tiny, replicas, accumulation):
    curves = []
    for count, parts in ((1, 1), (replicas, accumulation)):
        strategy = mirrored(count)
        with (strategy or tf.distribute.get_strategy()).scope():
            model = model_of(tiny, LongText("attention", max_windows=3))
            optimizer = AdamWeightDecay(1e-3)
            optimizer.build(model.trainable_variables)
        dataset = dataset_of(model, shuffle=True)
        losses = train(model, dataset, optimizer, strategy, steps=6, accumulation=parts)
        curves.append([*losses, Evaluator(model, strategy).evaluate(dataset_of(model, batch_size=5))["loss"]])
    np.testing.assert_allclose(curves[1], curves[0], atol=1e-5)
