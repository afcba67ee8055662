"""Rare classes: draws by label, losses and corrections against formulas in NumPy float64 and scikit-learn."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, log_softmax, logsumexp, softmax
from sklearn.utils.class_weight import compute_class_weight

from tfbert import TASKS, InputError, epoch_draws
from tfbert.tasks.labelled.balance import label_numbers, prior_shift
from tfbert.tasks.labelled.decision import Decision

RNG = np.random.default_rng(1)
CLASSES = np.repeat([0, 1, 2], [70, 25, 5]).astype(np.int32)
LOGITS = RNG.normal(size=(100, 3)).astype(np.float32) * 3
SEVERAL = (RNG.random((100, 3)) < [0.5, 0.2, 0.1]).astype(np.uint8)
NAMES = ["other", "紧急", "x=y"]


def task_of(name="classification", **options):
    return TASKS[name](NAMES, **options)


def training_loss(labels, name="classification", logits=LOGITS, **options):
    return task_of(name, **options).training_loss(tf.constant(labels), tf.constant(logits)).numpy()


def test_draws_by_label():
    draws = epoch_draws(task_of(), CLASSES, {"紧急": 4, "x=y": 2.5}, {"other": 30})
    assert draws.counts.tolist() == [30, 100, 12]  # 12.5 is rounded to even
    assert epoch_draws(task_of(), CLASSES, undersample={"other": 500}).counts.tolist() == [70, 25, 5]
    assert epoch_draws(task_of(), CLASSES) is None
    root = np.sqrt([70, 25, 5])
    assert abs(epoch_draws(task_of(), CLASSES, balance="sqrt").counts - 100 * root / root.sum()).max() < 1
    assert sorted(epoch_draws(task_of(), CLASSES, balance="uniform").counts) == [33, 33, 34]


def test_a_row_of_several_labels_has_their_largest_factor():
    labels = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 1]], np.uint8)
    draws = epoch_draws(task_of("multilabel"), labels, {"other": 2, "x=y": 5})
    assert draws.rates.tolist() == [1, 2, 1, 2, 5] and draws.size == 11
    assert task_of("multilabel").label_counts(labels, draws.rates).tolist() == [4, 8, 5]


def test_an_unknown_label_is_refused_with_those_there_are():
    with pytest.raises(
        InputError, match="--oversample names the label 'urgent', which the training data lacks. It has: other, 紧急"
    ):
        label_numbers("oversample", {"urgent": 4}, task_of())
    assert label_numbers("oversample", {"1": 4, 0: 2}, TASKS["classification"]([0, 1])) == {1: 4, 0: 2}


def test_balanced_weights_are_scikit_learns_and_torchs():
    counts = task_of().label_counts(CLASSES)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=CLASSES)
    np.testing.assert_allclose(task_of().balanced_weights(counts, 100), expected, rtol=1e-12)
    held = SEVERAL.sum(axis=0)
    np.testing.assert_allclose(task_of("multilabel").balanced_weights(held, 100), (100 - held) / held, rtol=1e-12)


def test_class_weights():
    weights = np.array([0.5, 3.0, 10.0])
    expected = weights[CLASSES] * -log_softmax(LOGITS.astype(np.float64), axis=-1)[np.arange(100), CLASSES]
    np.testing.assert_allclose(training_loss(CLASSES, class_weights=weights), expected, rtol=1e-6, atol=1e-5)
    x, y = LOGITS.astype(np.float64), SEVERAL
    expected = -(weights * y * np.log(expit(x)) + (1 - y) * np.log(expit(-x))).mean(axis=-1)
    np.testing.assert_allclose(training_loss(y, "multilabel", class_weights=weights), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss(gamma):
    p = softmax(LOGITS.astype(np.float64), axis=-1)[np.arange(100), CLASSES]
    expected = -((1 - p) ** gamma) * np.log(p)
    np.testing.assert_allclose(training_loss(CLASSES, focal_gamma=gamma), expected, rtol=1e-6, atol=1e-5)
    p, y, alpha = expit(LOGITS.astype(np.float64)), SEVERAL, 0.25
    each = -(alpha * y * (1 - p) ** gamma * np.log(p) + (1 - alpha) * (1 - y) * p**gamma * np.log(1 - p))
    found = training_loss(y, "multilabel", focal_gamma=gamma, focal_alpha=alpha)
    np.testing.assert_allclose(found, each.mean(axis=-1), rtol=1e-6, atol=1e-5)


def test_focal_alpha_is_of_the_second_of_two_classes():
    labels, logits = (CLASSES > 0).astype(np.int32), LOGITS[:, :2]
    p = softmax(logits.astype(np.float64), axis=-1)[np.arange(100), labels]
    task = TASKS["classification"](["no", "yes"], focal_gamma=2.0, focal_alpha=0.25)
    found = task.training_loss(tf.constant(labels), tf.constant(logits))
    np.testing.assert_allclose(found, -np.where(labels, 0.25, 0.75) * (1 - p) ** 2 * np.log(p), rtol=1e-6, atol=1e-5)
    with pytest.raises(InputError, match="--focal_alpha=0.25 weights two classes, but there are 3"):
        task_of(focal_gamma=2.0, focal_alpha=0.25)


@pytest.mark.parametrize("name", ["classification", "multilabel"])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_loss_has_a_finite_slope_everywhere(name, gamma):
    logits = tf.constant([[-200.0, 200.0, 0.0], [200.0, -200.0, 0.0], [0.0, 0.0, 0.0]])
    labels = tf.constant([1, 1, 1]) if name == "classification" else tf.constant([[0, 1, 0]] * 3)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = task_of(name, focal_gamma=gamma).training_loss(labels, logits)
    assert np.isfinite(losses).all() and np.isfinite(tape.gradient(losses, logits)).all()


@pytest.mark.parametrize("tau", [0.5, 1.0])
def test_logit_adjustment(tau):
    """Equation 10 of Menon et al. 2020: log(1 + Σ over y' of (p(y') / p(y))^τ exp(f(y') - f(y)))."""
    prior = task_of().label_counts(CLASSES) / 100
    x = LOGITS.astype(np.float64)
    terms = tau * np.log(prior / prior[CLASSES][:, None]) + x - x[np.arange(100), CLASSES][:, None]
    offsets = tau * task_of().log_prior(task_of().label_counts(CLASSES), 100)
    found = training_loss(CLASSES, logit_offsets=offsets)
    np.testing.assert_allclose(found, logsumexp(terms, axis=1), rtol=1e-6, atol=1e-5)
    odds = (SEVERAL.sum(axis=0) + 1) / (101 - SEVERAL.sum(axis=0))
    offsets = tau * task_of("multilabel").log_prior(SEVERAL.sum(axis=0), 100)
    p = odds**tau * np.exp(x) / (1 + odds**tau * np.exp(x))
    expected = -np.log(np.where(SEVERAL == 1, p, 1 - p)).mean(axis=-1)
    found = training_loss(SEVERAL, "multilabel", logit_offsets=offsets)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)
    bias = task_of("multilabel", logit_offsets=offsets).initial_bias(SEVERAL)
    np.testing.assert_allclose(bias, (1 - tau) * np.log(odds), atol=1e-6)


def corrected(logits, *args, **kwargs):
    return Decision(tuple(prior_shift(*args, **kwargs))).calibrated(logits)


def test_probabilities_go_back_to_the_true_prior():
    """Saerens et al. 2002, equation 4, and for two classes Elkan 2001, theorem 2."""
    true, sampled = np.array([0.7, 0.25, 0.05]), np.array([0.3, 0.3, 0.4])
    p = softmax(LOGITS.astype(np.float64), axis=-1) * true / sampled
    found = softmax(corrected(LOGITS, np.log(true), np.log(sampled)), axis=-1)
    np.testing.assert_allclose(found, p / p.sum(axis=1, keepdims=True), atol=1e-6)
    base, now, p = 0.35, 0.1, softmax(LOGITS[:, :2].astype(np.float64), axis=-1)[:, 1]
    elkan = now * (p - p * base) / (base - p * base + now * p - base * now)
    found = softmax(corrected(LOGITS[:, :2], np.log([1 - now, now]), np.log([1 - base, base])), axis=-1)
    np.testing.assert_allclose(found[:, 1], elkan, atol=1e-6)
    odds = lambda p: np.log(p / (1 - p))  # noqa: E731
    found = expit(corrected(LOGITS[:, 1:2], np.array([odds(now)]), np.array([odds(base)])))
    p = expit(LOGITS[:, 1:2].astype(np.float64))
    np.testing.assert_allclose(found, now * (p - p * base) / (base - p * base + now * p - base * now), atol=1e-6)


@pytest.mark.parametrize("tau", [0.0, 1.0, 0.5])
def test_the_correction_undoes_weights_draws_and_adjustment(tau):
    """Fits a table of frequencies under all of them at once; corrected, it gives the data's own frequencies."""
    texts, labels = (
        np.repeat([0, 1], [60, 40]),
        np.concatenate([np.repeat([0, 1], [50, 10]), np.repeat([0, 1], [15, 25])]),
    )
    task = TASKS["classification"](["no", "yes"])
    draws = epoch_draws(task, labels, {"yes": 3}, {"no": 40})
    true, sampled = (task.log_prior(task.label_counts(labels, rates), total) for rates, total in
                     ((None, 100), (draws.rates, draws.size)))  # fmt: skip
    weights = np.array([1.0, 2.5])
    task = TASKS["classification"](["no", "yes"], class_weights=weights, logit_offsets=tau * sampled)
    table = tf.Variable(tf.zeros([2, 2]))
    optimizer = tf.keras.optimizers.Adam(0.05)
    for _ in range(800):
        with tf.GradientTape() as tape:
            losses = task.training_loss(tf.constant(labels), tf.gather(table, texts))
            loss = tf.reduce_mean(losses * draws.rates.astype(np.float32))
        optimizer.apply([tape.gradient(loss, table)], [table])
    found = softmax(corrected(table.numpy(), true, sampled, class_weights=weights, tau=tau), axis=-1)
    np.testing.assert_allclose(found[:, 1], [10 / 60, 25 / 40], atol=1e-3)
