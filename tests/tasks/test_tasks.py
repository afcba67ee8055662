"""Losses and scores against formulas in NumPy; labels and their errors. One check runs over every task."""

import types

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, logsumexp

from tfbert import TASKS, InputError
from tfbert.training.evaluation import scores

WHERE = ("train.tsv", 7)
RNG = np.random.default_rng(0)
EXAMPLES = {
    "classification": (TASKS["classification"](["x", "y", "z"]), RNG.integers(0, 3, 40).astype(np.int32)),
    "multilabel": (TASKS["multilabel"](["x", "y", "z"]), RNG.integers(0, 2, (40, 3)).astype(np.uint8)),
    "regression": (TASKS["regression"](), RNG.normal(size=40).astype(np.float32)),
}
LOGITS = {name: RNG.normal(size=(40, task.outputs)).astype(np.float32) * 3 for name, (task, _) in EXAMPLES.items()}
# Of a masked-word model these are scores: sum of losses, number, right ones; loss and rightness of the next sentence.
COUNTS = RNG.integers(1, 20, 40)
RIGHT = [RNG.integers(0, COUNTS + 1), RNG.random(40), RNG.integers(0, 2, 40)]
LOGITS["masked_lm"] = np.stack([RNG.random(40) * COUNTS, COUNTS, *RIGHT], axis=1).astype(np.float32)
EXAMPLES["masked_lm"] = (TASKS["masked_lm"](), np.full(40, 40 / COUNTS.sum(), np.float32))

FORMULAS = {
    "classification": lambda y, x: -log_softmax(x, axis=-1)[np.arange(len(y)), y],
    "multilabel": lambda y, x: (logsumexp([np.zeros_like(x), x], axis=0) - y * x).mean(axis=-1),
    "regression": lambda y, x: (x[:, 0] - y) ** 2,
    "masked_lm": lambda y, x: x[:, 0] / x[:, 1].mean() + x[:, 3],
}


def test_every_task_is_tested():
    elsewhere = {"span", "tagging"}  # whose labels are objects: tests/tasks/tagging, tests/tasks/span
    assert set(EXAMPLES) | elsewhere == set(TASKS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_loss_equals_its_formula(name):
    task, labels = EXAMPLES[name]
    expected = FORMULAS[name](labels, LOGITS[name].astype(np.float64))
    np.testing.assert_allclose(task.loss(tf.constant(labels), tf.constant(LOGITS[name])), expected, atol=1e-5)
    assert abs(scores(task, labels, LOGITS[name])["loss"] - expected.mean()) < 1e-6


@pytest.mark.parametrize("name", EXAMPLES)
def test_training_loss_without_smoothing_is_the_loss(name):
    task, labels = EXAMPLES[name]
    losses = (of(tf.constant(labels), tf.constant(LOGITS[name])) for of in (task.loss, task.training_loss))
    np.testing.assert_allclose(*losses, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_label_smoothing(share):
    """The cross-entropy of the smoothed targets, q = (1 - ε) y + ε / K, and ε / 2 for the two classes of a label."""
    labels, logits = EXAMPLES["classification"][1], LOGITS["classification"]
    targets = (1 - share) * np.eye(3)[labels] + share / 3
    task = TASKS["classification"](["x", "y", "z"], label_smoothing=share)
    expected = -(targets * log_softmax(logits.astype(np.float64), axis=-1)).sum(axis=-1)
    np.testing.assert_allclose(task.training_loss(tf.constant(labels), tf.constant(logits)), expected, atol=2e-6)
    np.testing.assert_allclose(
        task.loss(tf.constant(labels), tf.constant(logits)), FORMULAS["classification"](labels, logits), atol=1e-5
    )
    labels, logits = EXAMPLES["multilabel"][1], LOGITS["multilabel"].astype(np.float64)
    targets = (1 - share) * labels + share / 2
    task = TASKS["multilabel"](["x", "y", "z"], label_smoothing=share)
    expected = -(targets * np.log(expit(logits)) + (1 - targets) * np.log(expit(-logits))).mean(axis=-1)
    found = task.training_loss(tf.constant(labels), tf.constant(LOGITS["multilabel"]))
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("name", EXAMPLES)
def test_scores_have_the_names_they_should(name):
    task, labels = EXAMPLES[name]
    assert set(task.metrics(labels, LOGITS[name])) == set(task.metric_names)
    assert task.default_metric in task.metric_names


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression"])
def test_predictions_agree_with_scores(name):
    task, labels = EXAMPLES[name]
    predictions = task.predictions(LOGITS[name])
    guesses = np.stack([task.encode_label(row["label"], WHERE) for row in predictions])
    if name == "classification":
        assert (guesses == labels).mean() == task.metrics(labels, LOGITS[name])["accuracy"]
        assert all(abs(sum(row["probabilities"].values()) - 1) < 1e-5 for row in predictions)
        assert all(max(row["probabilities"], key=row["probabilities"].get) == row["label"] for row in predictions)
    elif name == "multilabel":
        assert (guesses == labels).all(axis=1).mean() == task.metrics(labels, LOGITS[name])["accuracy"]
        np.testing.assert_allclose(
            [list(r["probabilities"].values()) for r in predictions], expit(LOGITS[name]), atol=1e-6
        )
    else:
        np.testing.assert_allclose(guesses, LOGITS[name][:, 0], atol=1e-6)


def counts(labels, guesses, of):
    return [np.sum((labels == of) & (guesses == of)), np.sum((labels != of) & (guesses == of)),
            np.sum((labels == of) & (guesses != of))]  # fmt: skip


def f1(tp, fp, fn):
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


def test_classification_scores_by_hand():
    task, labels = EXAMPLES["classification"]
    guesses = LOGITS["classification"].argmax(axis=1)
    found = task.metrics(labels, LOGITS["classification"])
    assert found["accuracy"] == (guesses == labels).mean()
    each = [f1(*counts(labels, guesses, of)) for of in range(3)]
    assert abs(found["f1_macro"] - np.mean(each)) < 1e-12 and found["f1"] == found["f1_macro"]
    confusion = np.array([[np.sum((labels == a) & (guesses == b)) for b in range(3)] for a in range(3)])
    c, s, t, p = np.trace(confusion), confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
    mcc = (c * s - t @ p) / np.sqrt((s**2 - p @ p) * (s**2 - t @ t))
    assert abs(found["mcc"] - mcc) < 1e-12


def test_binary_scores_are_those_of_the_second_class():
    task = TASKS["classification"](["neg", "pos"])
    labels = np.array([0, 0, 1, 1, 1, 0], np.int32)
    positive = np.array([-1.0, 2.0, 3.0, -2.0, 1.0, -3.0], np.float32)
    found = task.metrics(labels, np.stack([np.zeros(6), positive], axis=1))
    assert abs(found["f1"] - f1(2, 1, 1)) < 1e-12
    pairs = [(a > b) + 0.5 * (a == b) for a in positive[labels == 1] for b in positive[labels == 0]]
    assert abs(found["roc_auc"] - np.mean(pairs)) < 1e-12
    order = labels[np.argsort(-positive)]
    precision = np.cumsum(order) / np.arange(1, 7)
    assert abs(found["average_precision"] - precision[order == 1].mean()) < 1e-12


def test_regression_scores_by_hand():
    task, labels = EXAMPLES["regression"]
    values = LOGITS["regression"][:, 0].astype(np.float64)
    found = task.metrics(labels, LOGITS["regression"])
    assert abs(found["pearson"] - np.corrcoef(labels, values)[0, 1]) < 1e-6
    ranks = [np.argsort(np.argsort(x)) for x in (labels, values)]
    assert abs(found["spearman"] - np.corrcoef(*ranks)[0, 1]) < 1e-9
    assert abs(found["pearson_spearman"] - (found["pearson"] + found["spearman"]) / 2) < 1e-12


def test_multilabel_scores_by_hand():
    task, labels = EXAMPLES["multilabel"]
    guesses = (LOGITS["multilabel"] >= 0).astype(int)
    found = task.metrics(labels, LOGITS["multilabel"])
    assert abs(found["f1_micro"] - f1(*counts(labels, guesses, 1))) < 1e-12
    assert abs(found["f1_macro"] - np.mean([f1(*counts(labels[:, i], guesses[:, i], 1)) for i in range(3)])) < 1e-12


@pytest.mark.parametrize("name", EXAMPLES)
def test_undefined_scores_are_left_out(name):
    task, labels = EXAMPLES[name]
    found = scores(task, labels[:1], LOGITS[name][:1])
    assert all(np.isfinite(value) for value in found.values()) and "loss" in found
    assert "roc_auc" not in found and "pearson" not in found


def learn(name, labels):
    return TASKS[name].from_examples({"label": label, "where": ("f", i)} for i, label in enumerate(labels))


def test_labels_keep_their_type_and_order():
    assert learn("classification", [10, 9, 10, 2]).labels == [2, 9, 10]
    assert learn("classification", ["10", "9", "2"]).labels == ["2", "9", "10"]
    assert learn("classification", ["b", "a", "B", "中"]).labels == ["B", "a", "b", "中"]
    assert learn("classification", [True, False]).labels == ["false", "true"]
    assert learn("classification", [1.0, 0.0]).labels == [0, 1]
    assert learn("multilabel", [["b"], [], ["a", "b"]]).labels == ["a", "b"]
    assert learn("multilabel", ["3, 1", "", "2"]).labels == ["1", "2", "3"]
    assert learn("regression", [1, 2]).labels == []


def test_labels_are_found_whatever_the_file_made_of_them():
    task = learn("classification", [0, 1])
    assert task.encode_label("1", WHERE) == task.encode_label(1, WHERE) == task.encode_label(1.0, WHERE) == 1
    assert learn("multilabel", [[1], [2]]).encode_label("1,2", WHERE).tolist() == [1, 1]


@pytest.mark.parametrize(
    "name,label,message",
    [
        ("classification", "maybe", "train.tsv, line 7: the label 'maybe' is not among those .*: 'no', 'yes'"),
        ("classification", 2.5, "the label 2.5 is not a class"),
        ("classification", ["no"], "is not a class"),
        ("classification", "", "is not a class"),
        ("multilabel", ["no", "perhaps"], "'perhaps' is not among"),
        ("multilabel", {"no": 1}, "are not a list"),
        ("regression", "five", "line 7: the label 'five' is not a number"),
        ("regression", "nan", "is not a number"),
        ("regression", 1e39, "is not a number"),
        ("regression", None, "is not a number"),
    ],
)  # fmt: skip
def test_bad_labels(name, label, message):
    with pytest.raises(InputError, match=message):
        TASKS[name](["no", "yes"]).encode_label(label, WHERE)


def test_too_few_classes():
    with pytest.raises(InputError, match="at least two classes"):
        learn("classification", ["a", "a"])
    with pytest.raises(InputError, match="no row has one"):
        learn("multilabel", [[], []])


def test_which_score_is_better():
    is_better = TASKS["classification"].is_better
    assert is_better("accuracy", 0.9, 0.8) and not is_better("accuracy", 0.8, 0.8)
    assert is_better("loss", 0.1, 0.2) and not TASKS["regression"].is_better("mean_squared_error", 0.3, 0.2)
    assert is_better("mcc", 0.0, None) and is_better("mcc", None, None) and not is_better("mcc", None, 0.1)


def test_initial_biases():
    labels = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 0]], np.uint8)
    task = TASKS["multilabel"](["a", "b", "c"])
    # (3 + 1) / (0 + 1), (0 + 1) / (3 + 1), (1 + 1) / (2 + 1)
    np.testing.assert_allclose(task.initial_bias(labels), np.log([4, 1 / 4, 2 / 3]), rtol=1e-6)
    np.testing.assert_array_equal(TASKS["classification"](["a", "b"]).initial_bias(np.array([0, 1])), [0, 0])
    np.testing.assert_array_equal(TASKS["regression"]().initial_bias(np.array([0.5])), [0])


def test_masked_lm_scores_by_hand():
    task, outputs = TASKS["masked_lm"](), LOGITS["masked_lm"].astype(np.float64)
    expected = {
        "perplexity": np.exp(outputs[:, 0].sum() / COUNTS.sum()),
        "masked_accuracy": outputs[:, 2].sum() / COUNTS.sum(),
        "next_sentence_accuracy": outputs[:, 4].mean(),
    }
    assert task.metrics(None, outputs) == pytest.approx(expected)
    assert set(TASKS["masked_lm"](next_sentence=False).metrics(None, outputs)) == {"perplexity", "masked_accuracy"}
    found = scores(task, COUNTS, LOGITS["masked_lm"])["loss"]  # both means, over words and over pairs
    assert found == pytest.approx(np.log(expected["perplexity"]) + outputs[:, 3].mean(), rel=1e-5)
    better = [task.is_better("perplexity", *pair) for pair in ((3.0, 4.0), (5.0, 4.0))]
    assert better == [True, False]


def test_masked_lm_baseline_is_that_of_word_frequencies():
    counts = np.array([0, 30, 50, 20])
    examples = types.SimpleNamespace(piece_counts=lambda: counts, labels=np.array([0, 1, 1, 1]))
    found = TASKS["masked_lm"]().constant_outputs(examples)
    entropy = -(0.3 * np.log(0.3) + 0.5 * np.log(0.5) + 0.2 * np.log(0.2))
    pairs = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    np.testing.assert_allclose(found, [entropy, 1, 0.5, pairs, 0.75], rtol=1e-6)
