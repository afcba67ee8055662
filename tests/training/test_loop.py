"""The training loop against torch (golden), and against itself on other devices, parts, loops and compilers."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, mirrored, random_texts, rows_of
from tfbert import (
    TASKS,
    AdamWeightDecay,
    InputError,
    add_mixout,
    build_model,
    layer_decay,
    linear_warmup,
    load_encoder,
    make_schedule,
    reinitialize,
    train,
)
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.sources import read_examples
from tfbert.optim.parameter_groups import freeze, gradual_unfreezing, pretrained
from tfbert.training.evaluation import Evaluator
from tfbert.training.loop import TrainingLoop, total_steps

STEPS = 30


def test_loss_curve_equals_torch_and_hugging_face(minilm, shared):
    """50 steps from the same weights and batch order, dropout 0."""
    golden = json.loads((ROOT / "tests" / "golden" / "mrpc_curve.json").read_text())
    model = build_model(load_encoder(minilm, dropout=0.0), TASKS["classification"]([0, 1]), max_seq_length=128)
    model.head.kernel.assign(np.random.default_rng(0).normal(0, 0.02, (384, 2)))
    rows = read_examples(str(shared / "data" / "mrpc" / "train.jsonl"), "text_a", "text_b", "label",
                         limit=golden["steps"] * golden["batch_size"])  # fmt: skip
    examples = tokenize_examples(rows, model.tokenizer, 128, model.task.encode_label)
    dataset = ExampleBatches(examples, golden["batch_size"], 128, shuffle=False, seed=0)
    schedule = linear_warmup(golden["learning_rate"], golden["steps"], golden["warmup_steps"])
    losses = train(model, dataset, AdamWeightDecay(schedule), epochs=1)
    np.testing.assert_allclose(losses, golden["losses"], atol=1e-3)


def small_run(
    folder,
    replicas=1,
    accumulation=1,
    steps_per_loop=1,
    xla=False,
    steps=STEPS,
    rate=3e-3,
    dropout=0.0,
    techniques=False,
    mixout=0.0,
    init_seed=0,
    data_seed=1,
    weighted=False,
    remat=False,
    scored=True,
):
    """Trains the tiny model on 61 rows, batch 32: clipping bites, tokens repeat, an epoch's last batch is short.

    `weighted`: the examples of one class count threefold.
    `techniques`: new top layer and pooler, prior decay, gradual unfreezing, averages, frozen positions, smoothing.
    `scored`: the scores on the same rows are found, too.
    """
    strategy = mirrored(replicas) or tf.distribute.get_strategy()
    with strategy.scope():
        encoder = load_encoder(folder, dropout=dropout)
        encoder.remat = remat
        if techniques:
            reinitialize(encoder, layers=1, pooler=True, init_seed=init_seed)
        if mixout:
            add_mixout(encoder, mixout, reinit_layers=1, reinit_pooler=True)
        task = TASKS["classification"](["no", "yes"], label_smoothing=0.1 if techniques else 0.0)
        model = build_model(encoder, task, max_seq_length=32, init_seed=init_seed)
        options = {
            "prior_weight_decay": pretrained(encoder, reinit_layers=1, reinit_pooler=True),
            "weight_decay": 0.5,
            "start_steps": gradual_unfreezing(encoder, 5),
            "ema_decay": 0.9,
            "lr_multipliers": [("position_embedding/.*", 0.0), *layer_decay(encoder, 0.9)],
        }
        optimizer = AdamWeightDecay(
            make_schedule("cosine" if techniques else "linear", rate, steps, 3),
            global_clipnorm=0.5,
            **(options if techniques else {"lr_multipliers": layer_decay(encoder, 0.9)}),
        )
    texts = random_texts(61)
    rows = rows_of(texts, labels=["yes" if "printer" in text else "no" for text in texts])
    examples = tokenize_examples(rows, model.tokenizer, 32, model.task.encode_label)
    dataset = (Weighted if weighted else ExampleBatches)(examples, 32, 32, shuffle=True, seed=data_seed)
    start = [v.numpy() for v in model.trainable_variables]
    losses = train(model, dataset, optimizer, strategy, steps=steps, accumulation=accumulation,
                   steps_per_loop=steps_per_loop, xla=xla, data_seed=data_seed)  # fmt: skip
    dev = ExampleBatches(examples, 7, 32, shuffle=False, seed=0)
    with optimizer.averaged():
        scores = Evaluator(model, strategy, xla).evaluate(dev) if scored else None
        return losses, scores, start, [v.numpy() for v in model.trainable_variables]


class Weighted(ExampleBatches):
    """The same batches, the examples of the second class counting threefold."""

    def with_shapes(self, static_shapes, windows_per_step=None):
        return Weighted(self.examples, self.batch_size, 32, True, self.seed, static_shapes, windows_per_step)

    def shares(self, *args):
        return (
            super().shares(*args).map(lambda x, labels, weights: (x, labels, weights * tf.where(labels == 1, 3.0, 1.0)))
        )


@pytest.fixture(scope="module")
def one_device(tiny):
    """Returns a run on one device, each kind of run being made once: function (**kind) -> `small_run`'s."""
    return functools.cache(lambda **kind: small_run(tiny, **kind))


@pytest.mark.parametrize(
    "options",
    [
        {"replicas": 3, "accumulation": 2},
        {"accumulation": 4, "steps_per_loop": 10},
        {"xla": True},
        {"xla": True, "replicas": 2, "steps_per_loop": 7},
        {"techniques": True, "replicas": 2, "accumulation": 2, "steps_per_loop": 10},
        {"techniques": True, "xla": True, "steps_per_loop": 10},
        {"weighted": True, "replicas": 2, "steps_per_loop": 10},
        {"remat": True, "xla": True, "techniques": True},
    ],
    ids=str,
)
def test_devices_parts_loops_and_xla_change_nothing(tiny, one_device, options, record_property):
    losses, scores, _, weights = small_run(tiny, **options)
    expected_losses, expected_scores, start, expected_weights = one_device(
        **{kind: True for kind in ("techniques", "weighted") if kind in options}
    )
    np.testing.assert_allclose(losses, expected_losses, atol=1e-5)
    assert scores.keys() == expected_scores.keys()
    for name in scores:
        assert abs(scores[name] - expected_scores[name]) < 1e-5, name
    change = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(expected_weights, start)))
    apart = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(expected_weights, weights)))
    assert apart < 1e-3 * change
    record_property("loss_apart", float(np.abs(losses - expected_losses).max()))
    record_property("weights_apart", float(apart / change))


def test_weights_of_examples_count(one_device):
    assert np.abs(one_device()[0] - one_device(weighted=True)[0]).max() > 0.01


def test_remat_draws_the_same_masks_twice(tiny):
    """With other masks in the second computation the gradients would be of another loss."""
    plain, again = (small_run(tiny, steps=6, dropout=0.1, remat=remat, scored=False) for remat in (False, True))
    np.testing.assert_allclose(again[0], plain[0], atol=1e-5)


def test_training_learns_and_clipping_bites(one_device):
    losses, scores, start, weights = one_device()
    assert losses[-5:].mean() < losses[:5].mean() - 0.1
    assert all(np.abs(a - b).max() > 0 for a, b in zip(start, weights))


def test_the_same_seeds_give_the_same_run_bit_for_bit(tiny):
    options = {"techniques": True, "mixout": 0.5, "replicas": 2, "scored": False}
    first, again = (small_run(tiny, steps=6, dropout=0.1, **options) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    for a, b in zip(first[3], again[3]):
        np.testing.assert_array_equal(a, b)


def test_two_streams_of_randomness(tiny):
    """The initial seed decides the new weights, the data seed order and masks; neither touches the other's."""
    runs = [
        small_run(tiny, steps=1, rate=1e-12, dropout=0.1, techniques=True, mixout=0.5, init_seed=init, data_seed=data,
                  scored=False)  # fmt: skip
        for init, data in ((0, 1), (0, 2), (3, 1))
    ]
    starts = [run[2] for run in runs]
    assert all(np.array_equal(a, b) for a, b in zip(starts[0], starts[1]))
    assert not all(np.array_equal(a, b) for a, b in zip(starts[0], starts[2]))
    assert len({float(run[0][0]) for run in runs}) == 3


@pytest.mark.parametrize(
    "frozen,products,attention",
    [({}, 30, 12), ({"layers": 1}, 21, 8), ({"layers": 2}, 13, 4), ({"part": "encoder"}, 11, 4)],
    ids=str,
)
def test_no_backward_pass_below_the_lowest_trained_layer(tiny, frozen, products, attention):
    """Counts matrix products in the traced step.

    Forward there are 10: four a layer (query, key and value are one), pooler and head; and 2 in each layer's attention.
    Backward each trained one has two more, but the lowest, which needs no gradient of its input, has one.
    """
    model = build_model(load_encoder(tiny, dropout=0.1), TASKS["classification"](["no", "yes"]), max_seq_length=32)
    loop = TrainingLoop(model, AdamWeightDecay(1e-3, lr_multipliers=freeze(model.encoder, **frozen)))
    rows = rows_of(random_texts(16), labels=["no", "yes"] * 8)
    examples = tokenize_examples(rows, model.tokenizer, 32, model.task.encode_label)
    batches = loop.batches(ExampleBatches(examples, 16, 32, False, 0), 1)
    graph = loop._run.get_concrete_function(batches, tf.constant(1)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    kinds = [node.op for node in nodes]
    assert (kinds.count("MatMul"), kinds.count("BatchMatMulV2")) == (products, attention)


def test_evaluation_is_the_same_for_any_batch_size_and_device_count(tiny):
    texts = random_texts(53)
    rows = rows_of(texts, labels=["yes" if "urgent" in text else "no" for text in texts])
    outputs = []
    for replicas, batch_size in ((1, 53), (1, 7), (3, 8)):
        strategy = mirrored(replicas) or tf.distribute.get_strategy()
        with strategy.scope():
            model = build_model(load_encoder(tiny), TASKS["classification"](["no", "yes"]), max_seq_length=32)
        examples = tokenize_examples(rows, model.tokenizer, 32, model.task.encode_label)
        dataset = ExampleBatches(examples, batch_size, 32, shuffle=False, seed=0)
        outputs.append(Evaluator(model, strategy, steps_per_loop=3).outputs(dataset))
    assert outputs[0].shape == (53, 2)
    for other in outputs[1:]:
        np.testing.assert_allclose(other, outputs[0], atol=1e-5)


def test_a_loss_that_is_no_number_stops_and_names_the_step(tiny):
    with pytest.raises(InputError, match=r"The loss is nan at step \d+: training stopped"):
        small_run(tiny, rate=1e30, steps_per_loop=5)


def test_events_come_at_their_steps(tiny_model):
    rows = rows_of(random_texts(40), labels=["no", "yes"] * 20)
    examples = tokenize_examples(rows, tiny_model.tokenizer, 32, tiny_model.task.encode_label)
    seen = []
    events = [(4, lambda step: seen.append(("a", step))), (6, lambda step: seen.append(("b", step)))]
    loops = []
    train(tiny_model, ExampleBatches(examples, 4, 32, True, 0), AdamWeightDecay(1e-4), steps=10, steps_per_loop=5,
          events=events, on_loop=lambda step, losses: loops.append((step, len(losses))))  # fmt: skip
    assert seen == [("a", 4), ("b", 6), ("a", 8), ("a", 10), ("b", 10)]
    assert loops == [(4, 4), (6, 2), (8, 2), (10, 2)]


def test_one_trace_for_a_whole_epoch(tiny_model):
    """The last, short batch included; packed shapes differ from step to step."""
    rows = rows_of(random_texts(45), labels=["no", "yes"] * 22 + ["no"])
    examples = tokenize_examples(rows, tiny_model.tokenizer, 32, tiny_model.task.encode_label)
    for xla in (False, True):
        dataset = ExampleBatches(examples, 8, 32, True, 0).with_shapes(static_shapes=xla)
        loop = TrainingLoop(tiny_model, AdamWeightDecay(1e-4), xla=xla)
        batches = loop.batches(dataset, 12)
        for steps in (1, 1, 5, 5):
            loop.advance(batches, steps)
        assert loop._run.experimental_get_tracing_count() == 1


def test_steps_of_a_run():
    assert total_steps(10, 3.0) == 30
    assert total_steps(10, 0.25) == 3
    assert total_steps(115, 2.6) == 299


@pytest.mark.parametrize("xla", [False, True])
def test_evaluation_is_traced_once_for_all_data_sets(tiny_model, xla):
    evaluator = Evaluator(tiny_model, xla=xla, steps_per_loop=3)
    for count in (29, 8, 53):
        examples = tokenize_examples(rows_of(random_texts(count)), tiny_model.tokenizer, 32)
        assert len(evaluator.outputs(ExampleBatches(examples, 8, 32, shuffle=False, seed=0))) == count
    # The number of rows is free where rows are packed; under XLA every batch has one shape.
    assert evaluator._run.experimental_get_tracing_count() == 1
    if xla:
        assert evaluator._forward.experimental_get_tracing_count() == 1


def test_no_text_and_no_free_shape_reaches_the_device(tiny_model):
    examples = tokenize_examples(rows_of(random_texts(21), labels=["no", "yes", "no"] * 7), tiny_model.tokenizer, 32,
                                 tiny_model.task.encode_label)  # fmt: skip
    dataset = ExampleBatches(examples, 8, 32, True, 0).with_shapes(static_shapes=True)
    for spec in tf.nest.flatten(dataset.shares(0, 3, parts=2).element_spec):
        assert spec.shape.is_fully_defined() and spec.dtype in (tf.int32, tf.int64, tf.float32)
