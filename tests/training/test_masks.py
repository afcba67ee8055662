"""Dropout's masks: no two alike over the steps, the parts of a step, the replicas and the places in the model.

The masks that are drawn are looked at. So that this test is known to see what it is for, the faults stand here too.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import mirrored, random_texts, rows_of, write_tiny
from tfbert import TASKS, AdamWeightDecay, LongText, add_mixout, build_model, load_encoder, make_dataset, train
from tfbert.models import encoder as encoder_module
from tfbert.models import fused, heads, mixout
from tfbert.training.loop import TrainingLoop

PLACES = 1 + 3 + 1  # the embeddings, three in a layer, the head
SEEN = 32  # elements of a mask that are compared: at a rate of 0.5 two agree by chance once in 2^32


class Masks(list):
    """The first elements of every mask that is drawn while a model is trained, bytes."""

    def add(self, mask):
        """Adds a mask when the graph runs: float or bool tensor."""

        def note(mask):
            assert mask.size >= SEEN
            self.append((mask.ravel()[:SEEN] != 0).tobytes())
            return np.int32(0)

        return tf.numpy_function(note, [mask], tf.int32)


@pytest.fixture
def masks(monkeypatch):
    found = Masks()
    for module in (encoder_module, fused, heads, mixout):
        draw = module.dropout

        def dropout(x, rate, seed, draw=draw):
            if seed is not None and rate:
                with tf.control_dependencies([found.add(draw(tf.ones_like(x), rate, seed))]):
                    x = tf.identity(x)
            return draw(x, rate, seed)

        monkeypatch.setattr(module, "dropout", dropout)
    kept = fused.kept

    def kept_mask(*args):
        mask = kept(*args)
        with tf.control_dependencies([found.add(mask)]):
            return tf.identity(mask)

    monkeypatch.setattr(fused, "kept", kept_mask)
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One layer: what takes time here is to trace the graphs."""
    return str(write_tiny(tmp_path_factory.mktemp("small"), layers=1))


def trained(folder, replicas=1, parts=1, steps=1, mixed=False, windows_per_step=None, **options):
    """Trains on batches of 16 texts."""
    strategy = mirrored(replicas) or tf.distribute.get_strategy()
    with strategy.scope():
        encoder = load_encoder(folder, dropout=0.5)
        if mixed:
            add_mixout(encoder, 0.5)
        model = build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=24, **options)
        model.windows_per_step = windows_per_step
        optimizer = AdamWeightDecay(1e-3)
    rows = rows_of(random_texts(16 * steps), labels=["no", "yes"] * 8 * steps)
    dataset = make_dataset(rows, model.tokenizer, model.task, 16, 24, **options)
    train(model, dataset, optimizer, strategy, steps=steps, accumulation=parts, data_seed=7)


def test_no_two_masks_are_alike(small, masks):
    trained(small, replicas=2, parts=2, steps=2)
    assert len(masks) == len(set(masks)) == 2 * 2 * 2 * PLACES


def test_nor_where_parts_of_a_layer_are_compiled(small, masks, monkeypatch):
    monkeypatch.setattr(encoder_module, "_COMPILED_WIDTH", 32)
    trained(small, steps=2)
    assert len(masks) == len(set(masks)) == 2 * PLACES


def test_nor_those_of_mixout(small, masks):
    """One for each of a layer's six kernels and for the pooler's, and that of the head's dropout."""
    trained(small, parts=2, steps=2, mixed=True)
    assert len(masks) == len(set(masks)) == 2 * 2 * (6 + 1 + 1)


def test_nor_where_windows_are_encoded_some_at_a_time(small, masks):
    """The backward pass draws those of the forward pass again."""
    trained(small, windows_per_step=8, long_text=LongText("mean", max_windows=1))
    in_chunks = 16 // 8 * (PLACES - 1)
    assert len(masks) == 2 * in_chunks + 1 and len(set(masks)) == in_chunks + 1


def test_nor_in_the_steps_of_fit(small, masks):
    model = build_model(load_encoder(small, dropout=0.5), TASKS["classification"](["no", "yes"]), max_seq_length=24)
    model.compile(AdamWeightDecay(1e-3), run_eagerly=True)
    rows = rows_of(random_texts(32), labels=["no", "yes"] * 16)
    model.fit(make_dataset(rows, model.tokenizer, model.task, 16, 24), epochs=2, verbose=0)
    assert len(masks) == len(set(masks)) == 2 * 2 * PLACES


def equal_in_all_steps(loop, part, seed):
    per_step = loop._accumulation * loop.strategy.num_replicas_in_sync
    return tf.stack([seed(loop, part)[0], seed(loop, part)[1] % per_step])


def equal_in_all_parts(loop, part, seed):
    return seed(loop, 0)


def equal_on_all_replicas(loop, part, seed):
    replicas = loop.strategy.num_replicas_in_sync
    return tf.stack([seed(loop, part)[0], seed(loop, part)[1] // replicas * replicas])


@pytest.mark.parametrize(
    "fault,layout",
    [(equal_in_all_steps, {"steps": 2}), (equal_in_all_parts, {"parts": 2}), (equal_on_all_replicas, {"replicas": 2})],
)
def test_masks_that_are_alike_over_time_are_found(small, masks, monkeypatch, fault, layout):
    seed = TrainingLoop._seed
    monkeypatch.setattr(TrainingLoop, "_seed", lambda self, part: fault(self, part, seed))
    trained(small, **layout)
    assert len(masks) == 2 * PLACES and len(set(masks)) == PLACES


@pytest.mark.parametrize(
    "place,different",
    [
        (lambda number: number, 8),
        (lambda number: 0, 1),
        (lambda number: 1 + (number - 1) % 3 if 1 <= number <= 6 else number, 8 - 3),
        (lambda number: 1 + (number - 1) // 3 * 3 if 1 <= number <= 6 else number, 8 - 4),
    ],
    ids=["no fault", "the same everywhere", "the same in both layers", "the same within a layer"],
)
def test_masks_that_are_alike_over_the_model_are_found(tiny, masks, monkeypatch, place, different):
    """Of the embeddings, two layers and the head."""
    for module in (encoder_module, heads):
        site_seed = module.site_seed
        monkeypatch.setattr(module, "site_seed", lambda seed, number: site_seed(seed, place(number)))
    model = build_model(load_encoder(tiny, dropout=0.5), TASKS["classification"](["no", "yes"]), max_seq_length=24)
    rows = rows_of(random_texts(16), labels=["no", "yes"] * 8)
    features, _, _ = next(iter(make_dataset(rows, model.tokenizer, model.task, 16, 24)))
    model(features, training=True, seed=tf.constant([7, 0]))
    assert len(masks) == 8 and len(set(masks)) == different
