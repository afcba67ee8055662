"""The training loop: one step on every device, N steps per call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfbert.core.arguments import check_model, check_strategy
from tfbert.core.errors import Diverged, InputError
from tfbert.data.datasets import dataset_for
from tfbert.data.hosts import check_hosts
from tfbert.optim.adam_weight_decay import AdamWeightDecay
from tfbert.optim.gradients import DifferentRows, dense, wide_dtype
from tfbert.training.devices import compiles_all, lost_workers, worker_values

if TYPE_CHECKING:
    from tfbert.data.batches import ExampleBatches
    from tfbert.models.keras_model import BatchModel

# Options of Keras optimizers that the loop handles itself -> what to use instead.
_OF_KERAS = {
    "gradient_accumulation_steps": "pass accumulation= to train",
    "loss_scale_factor": "bfloat16 and float32 need none",
    "use_ema": "pass ema_decay= to the optimizer",
}

# A batch may hold nothing to predict, such as sentences without words: its loss is 0.
_LEAST_WEIGHT = 1e-12
_REMEDY = "Lower --learning_rate, raise --warmup_proportion, or check the labels."


class TrainingLoop:
    """Runs optimiser steps under a distribution strategy, several per call of TensorFlow.

    The loss of a step is the weighted mean over its whole batch: the sum of weighted losses over the sum of weights,
    over all replicas and all parts of gradient accumulation. So it depends neither on the number of devices nor on that
    of the parts.
    """

    def __init__(self, model, optimizer, strategy=None, accumulation=1, xla=False, data_seed=0):
        """Prepares the step; it is traced at the first call.

        Args:
            model: TextModel, created under `strategy.scope()`.
            optimizer: AdamWeightDecay or Lamb, created under the same scope.
            strategy: tf.distribute.Strategy; None: the default one.
            accumulation: int. Number of parts into which a batch is split.
            xla: bool. Compile the forward and backward pass; needs batches of static shapes.
            data_seed: int. Seed of the dropout and mixout masks, together with the step and the replica.

        Raises:
            InputError: an unsupported optimizer, or one with options that the loop handles itself.
        """
        _check_optimizer(optimizer)
        self.model, self.optimizer, self._accumulation = model, optimizer, accumulation
        self.strategy = strategy or tf.distribute.get_strategy()
        self._static_shapes = xla or compiles_all(self.strategy)
        jit = xla and not compiles_all(self.strategy)
        self._gradients = tf.function(self._loss_and_gradients, jit_compile=True) if jit else self._loss_and_gradients
        # If shapes may depend on the batch and no other gradients are to be added.
        self._by_rows = not self._static_shapes and self.strategy.num_replicas_in_sync == accumulation == 1
        with self.strategy.scope():
            optimizer.build(model.trainable_variables)
            self._variables = optimizer.trained_variables
            self._sums = [_per_replica_zeros(v) for v in self._variables] if accumulation > 1 else []
            self._weight, self._loss = (_per_replica_zeros(tf.zeros([])) for _ in range(2))
            self._predicted = _per_replica_zeros(tf.zeros([model.task.outputs]))
            # A variable, so that changing the seed needs no new trace.
            self.data_seed = tf.Variable(data_seed, dtype=tf.int64, trainable=False)
        self._run = tf.function(self._run_steps, autograph=False)  # autograph would take a second

    @property
    def step(self):
        """The number of optimiser steps done, an int."""
        return int(self.optimizer.iterations.numpy())

    def take_predicted(self):
        """Returns how often each label was predicted in training since the last call: np.float32 [outputs]."""
        counts = self._predicted.numpy()
        self._predicted.assign(np.zeros_like(counts))
        return counts

    def forget(self):
        """Resets the state left by an interrupted run: prediction counts and accumulated gradients."""
        for variable in (*self._sums, self._weight, self._loss, self._predicted):
            variable.assign(tf.zeros(variable.shape))

    def run(self, dataset, last_step, steps_per_loop=1, events=(), on_loop=None, stop=None):
        """Runs from the current step to `last_step`; arguments, result and errors as for `train`."""
        dataset = dataset.with_shapes(self._static_shapes, self.model.windows_per_step)
        step, history, stopped = self.step, [], False
        for phase, phase_end in dataset.phases(step, last_step):
            batches = self.batches(phase, phase_end)
            while step < phase_end and not stopped:
                end = min([phase_end, step + steps_per_loop] + [(step // every + 1) * every for every, _ in events])
                losses = self.advance(batches, end - step)
                _check_finite(losses, step)
                step = end
                history.append(losses)
                if on_loop:
                    on_loop(step, losses)
                for every, function in events:
                    if step % every == 0 or step == last_step:
                        function(step)
                stopped = bool(stop and worker_values(self.strategy, int(stop())).any())
            if stopped:
                break
        return np.concatenate(history) if history else np.zeros(0, np.float32)

    def batches(self, dataset, last_step):
        """Returns an iterator over the shares of the batches from the current step up to `last_step`."""
        check_hosts(dataset)
        local = self.strategy.num_replicas_in_sync
        rows = dataset.static_rows(last_step, self._accumulation * local) if self._static_shapes else None

        def of_pipeline(context):
            pipelines = context.num_input_pipelines
            parts = self._accumulation * local // pipelines
            return dataset.shares(self.step, last_step, parts, context.input_pipeline_id, pipelines, rows)

        return iter(self.strategy.distribute_datasets_from_function(of_pipeline))

    def advance(self, batches, steps):
        """Runs some steps; returns the loss of each, np.float32 [steps].

        Raises:
            InputError: another worker is lost.
        """
        with lost_workers():
            return self._run(batches, tf.constant(steps)).numpy()

    @tf.autograph.experimental.do_not_convert
    def step_on(self, batch):
        """Runs one optimiser step of one replica on its share of the batch; `tfbert.preflight` compiles this."""
        if self._accumulation == 1:
            return self._whole_step(batch)
        self._part_of_step(batch, 0)
        return self._end_of_step()

    def _run_steps(self, batches, steps):
        def part_of_step(part):
            self.strategy.run(self._part_of_step, (batches.get_next(), part))
            return part + 1

        def step(i, losses):
            if self._accumulation == 1:
                loss = self.strategy.run(self._whole_step, (batches.get_next(),))
            else:
                tf.while_loop(lambda part: part < self._accumulation, part_of_step, [0])
                loss = self.strategy.run(self._end_of_step)
            return i + 1, losses.write(i, self.strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None))

        _, losses = tf.while_loop(lambda i, _: i < steps, step, (0, tf.TensorArray(tf.float32, steps)))
        return losses.stack()

    @tf.autograph.experimental.do_not_convert
    def _whole_step(self, batch):
        weight = tf.maximum(_sum_over_replicas(tf.reduce_sum(batch[2])), _LEAST_WEIGHT)
        loss, predicted, gradients = self._gradients(*batch, weight, self._seed(0))
        self._predicted.assign_add(predicted)
        self.optimizer.apply(gradients, self._variables)
        return loss

    @tf.autograph.experimental.do_not_convert
    def _part_of_step(self, batch, part):
        loss, predicted, gradients = self._gradients(*batch, tf.ones([]), self._seed(part))
        self._predicted.assign_add(predicted)
        for total, gradient in zip(self._sums, gradients):
            total.assign_add(gradient)
        self._weight.assign_add(tf.reduce_sum(batch[2]))
        self._loss.assign_add(loss)

    @tf.autograph.experimental.do_not_convert
    def _end_of_step(self):
        weight = tf.maximum(_sum_over_replicas(self._weight.read_value()), _LEAST_WEIGHT)
        means = [total.read_value() / tf.cast(weight, total.dtype) for total in self._sums]
        self.optimizer.apply(means, self._variables)
        loss = self._loss.read_value() / weight
        for variable in (*self._sums, self._weight, self._loss):
            variable.assign(tf.zeros_like(variable.read_value()))
        return loss

    def _loss_and_gradients(self, features, labels, weights, weight, seed):
        """Returns the share of the step's loss, sum(weights * losses) / weight, its predictions and gradients."""
        variables = [v.value for v in self._variables]
        # Only trained variables are watched, so there is no backward pass below the lowest trained layer.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self.model(features, training=True, seed=seed)
            loss = tf.reduce_sum(weights * self.model.task.training_loss(labels, outputs)) / weight
        predicted = tf.reduce_sum(self.model.task.predicted(outputs) * tf.sign(weights)[:, tf.newaxis], axis=0)
        return loss, predicted, [self._summed(gradient) for gradient in tape.gradient(loss, variables)]

    def _summed(self, gradient):
        rows = self._by_rows and isinstance(gradient, tf.IndexedSlices)
        return DifferentRows.of(gradient) if rows else dense(gradient)

    def _seed(self, part):
        """Returns the dropout seed of one part of this step on this replica: int32 [2]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        step = tf.cast(self.optimizer.iterations.value, tf.int32)
        number = (step * self._accumulation + part) * self.strategy.num_replicas_in_sync + replica
        return tf.stack([tf.cast(self.data_seed.read_value(), tf.int32), number])


def _check_optimizer(optimizer):
    if not isinstance(optimizer, AdamWeightDecay):
        raise InputError(
            "tfbert.train takes AdamWeightDecay or Lamb; for other optimizers use model.compile and model.fit. "
            f"Received: {type(optimizer).__name__}."
        )
    for name, instead in _OF_KERAS.items():
        if getattr(optimizer, name):
            raise InputError(f"tfbert.train does not support an optimizer with {name}; {instead}.")


def _per_replica_zeros(like):
    return tf.Variable(
        tf.zeros(like.shape, wide_dtype(like.dtype)),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM,
    )


def _sum_over_replicas(value):
    replica = tf.distribute.get_replica_context()
    # An all-reduce registers a gradient, which would keep the graph and its model in memory forever.
    return value if replica.num_replicas_in_sync == 1 else replica.all_reduce(tf.distribute.ReduceOp.SUM, value)


def train(
    model: BatchModel,
    dataset: ExampleBatches | str | Iterable,
    optimizer: AdamWeightDecay,
    strategy: tf.distribute.Strategy | None = None,
    epochs: float = 1,
    steps: int | None = None,
    accumulation: int = 1,
    steps_per_loop: int = 1,
    xla: bool = False,
    data_seed: int = 0,
    events: Sequence[tuple[int, Callable[[int], None]]] = (),
    on_loop: Callable[[int, np.ndarray], None] | None = None,
    stop: Callable[[], bool] | None = None,
    batch_size: int = 32,
) -> np.ndarray:
    """Trains a model on a dataset, on the devices of a strategy.

    Args:
        model: TextModel, created under `strategy.scope()`.
        dataset: ExampleBatches, such as `make_dataset` returns; or a DataFrame, a path, or what else it takes.
        optimizer: AdamWeightDecay or Lamb; training continues from its current step.
        strategy: tf.distribute.Strategy; None: the default one.
        epochs: float. Passes over the data.
        steps: int. Total number of steps; overrides `epochs`.
        accumulation: int. Number of parts into which a batch is split.
        steps_per_loop: int. Steps between host synchronisations.
        xla: bool. Compile the forward and backward pass.
        data_seed: int. Seed of the dropout and mixout masks.
        events: list of (every, function). After each `every` steps and at the end, `function(step)` is called.
        on_loop: callable (step, losses) called after each loop, before the events.
        stop: callable () -> bool, called after the events. If it returns True on any worker, training ends on all.
        batch_size: int. Examples per step, if the dataset is not ExampleBatches yet.

    Returns:
        np.float32 [steps]. The loss of each step that was run.

    Raises:
        InputError: the loss is not finite (the message names the step), `dataset` is something else, or the optimizer
            is not supported.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(tfbert.load_encoder("minilm"), task, max_seq_length=16)
        >>> rows = [{"text": "Lunch is at noon.", "label": "calm"}, {"text": "The server burns!", "label": "urgent"}]
        >>> dataset = tfbert.make_dataset(rows, model.tokenizer, task, batch_size=2, max_seq_length=16)
        >>> losses = tfbert.train(model, dataset, tfbert.AdamWeightDecay(1e-4), epochs=2)
        >>> losses.shape
        (2,)
    """
    check_model(model)
    check_strategy(strategy)
    dataset = dataset_for(model, dataset, "train", batch_size, data_seed)
    loop = TrainingLoop(model, optimizer, strategy, accumulation, xla, data_seed)
    total = steps or total_steps(dataset.steps_per_epoch, epochs)
    return loop.run(dataset, total, steps_per_loop, events, on_loop, stop)


def total_steps(steps_per_epoch, epochs):
    """Returns the number of steps of a number of epochs, rounded up: int."""
    return int(np.ceil(round(steps_per_epoch * epochs, 6)))


def _check_finite(losses, step):
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        raise Diverged(
            f"The loss is {losses[bad[0]]} at step {step + 1 + bad[0]}: training stopped; what was saved before "
            f"is kept. {_REMEDY}"
        )


def check_weights(model, step):
    """Raises Diverged if the weights are not finite although the loss was."""
    floats = (variable for variable in model.variables if "float" in str(variable.dtype))
    if not all(bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(variable)))) for variable in floats):
        raise Diverged(
            f"The weights are not finite after step {step}, although the loss was; training stopped; what was saved "
            f"before is kept. {_REMEDY}"
        )
