"""Evaluation: the model's outputs for every example of a dataset, in order, on any number of devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfbert.core.arguments import check_model, check_strategy
from tfbert.data.datasets import dataset_for
from tfbert.data.hosts import check_hosts
from tfbert.models.text_outputs import finite_outputs
from tfbert.training.devices import compiles_all, lost_workers

if TYPE_CHECKING:
    from tfbert.data.batches import ExampleBatches
    from tfbert.models.keras_model import BatchModel

# Number of datasets whose pipelines are cached: dev and test.
_KEPT = 2


class Evaluator:
    """Runs a model over datasets; its function is traced once for all of them.

    Args of the constructor:
        model: TextModel or VectorModel.
        strategy: tf.distribute.Strategy; None: the default one.
        xla: bool. Compile the forward pass; batches then have static shapes.
        steps_per_loop: int. Batches per call of TensorFlow.
    """

    def __init__(self, model, strategy=None, xla=False, steps_per_loop=32):
        self.model, self._steps_per_loop = model, steps_per_loop
        self.strategy = strategy or tf.distribute.get_strategy()
        self._static_shapes = xla or compiles_all(self.strategy)
        jit = xla and not compiles_all(self.strategy)
        self._forward = tf.function(self._outputs, jit_compile=True) if jit else self._outputs
        self._run = tf.function(self._run_steps, autograph=False)
        self._pipelines = {}

    def outputs(self, dataset, on_loop=None):
        """Returns the model's outputs, calibrated, for each row in order: np.float32 [rows, width], or what `of_rows`
        of the examples makes of them.

        Args:
            dataset: ExampleBatches, whose order and sampling do not matter.
            on_loop: callable (examples just done) called after each loop.

        Raises:
            Diverged: an output is not finite.
        """
        dataset = dataset.in_order()
        batches = iter(self._distributed(dataset))
        found = []
        for first in range(0, dataset.steps_per_epoch, self._steps_per_loop):
            steps = min(self._steps_per_loop, dataset.steps_per_epoch - first)
            with lost_workers():
                outputs, weights = self._run(batches, tf.constant(steps))
                found.append(outputs.numpy()[weights.numpy() > 0])
            if on_loop:
                on_loop(min(steps * dataset.batch_size, dataset.examples.size - first * dataset.batch_size))
        return dataset.examples.of_rows(finite_outputs(self.model.calibrated(np.concatenate(found))))

    def _distributed(self, dataset):
        """Returns the batches of a dataset on the devices; cached, as creating them takes longer than scoring."""
        check_hosts(dataset)
        key = *dataset.content, self.model.windows_per_step
        if key not in self._pipelines:
            batches = dataset.with_shapes(self._static_shapes, self.model.windows_per_step)
            replicas = self.strategy.num_replicas_in_sync

            def of_pipeline(context):
                pipelines = context.num_input_pipelines
                return batches.shares(
                    0, batches.steps_per_epoch, replicas // pipelines, context.input_pipeline_id, pipelines
                )

            distributed = self.strategy.distribute_datasets_from_function(of_pipeline)
            self._pipelines[key] = distributed
            if len(self._pipelines) > _KEPT:  # a long prediction consists of many datasets
                self._pipelines.pop(next(iter(self._pipelines)))
        return self._pipelines[key]

    def forget_data(self):
        """Frees the cached datasets; traced functions are kept."""
        self._pipelines.clear()

    def evaluate(self, dataset):
        """Returns the scores of a labelled dataset: dict with `loss` and the task's metrics."""
        return scores(self.model.task, dataset.examples.labels, self.outputs(dataset))

    def _run_steps(self, batches, steps):
        def step(i, outputs, weights):
            features, _, weight = batches.get_next()
            # A plain function: MirroredStrategy would compile a tf.function for all its devices as one.
            found = self.strategy.run(lambda features: self._forward(features), (features,))
            return i + 1, outputs.write(i, self._gather(found)), weights.write(i, self._gather(weight))

        outputs = tf.TensorArray(tf.float32, steps, infer_shape=False, element_shape=[None, self.model.width])
        weights = tf.TensorArray(tf.float32, steps, infer_shape=False, element_shape=[None])
        _, outputs, weights = tf.while_loop(lambda i, *_: i < steps, step, (0, outputs, weights))
        return outputs.concat(), weights.concat()

    def _gather(self, value):
        return self.strategy.gather(value, axis=0) if self.strategy.num_replicas_in_sync > 1 else value

    @tf.autograph.experimental.do_not_convert
    def _outputs(self, features):
        return self.model(features, training=False)


def scores(task, labels, outputs):
    """Returns `loss`, the mean over the examples, and the task's metrics, those that are finite: dict of float.

    Args:
        task: one of TASKS.
        labels: np.ndarray [N, ...].
        outputs: np.ndarray [N, outputs].
    """
    found = {"loss": task.mean_loss(labels, outputs), **task.metrics(labels, outputs)}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def dev_score(results, metric):
    """Returns a dev score from the content of `eval_results.json`, or None: (dict, str) -> float."""
    score = results.get("dev", {}).get(metric)
    return score if score is not None and np.isfinite(score) else None


def evaluate(
    model: BatchModel, dataset: ExampleBatches | str | Iterable, strategy: tf.distribute.Strategy | None = None
) -> dict[str, float]:
    """Returns the scores of a labelled dataset: dict with `loss` and the task's metrics.

    The traced function is cached with the model.

    Args:
        model: TextModel.
        dataset: ExampleBatches, such as `make_dataset` returns, or what that takes; each example counts once,
            shuffled or not.
        strategy: tf.distribute.Strategy; None: the default one.

    Raises:
        InputError: `dataset` is something else.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(tfbert.load_encoder("minilm"), task, max_seq_length=16)
        >>> rows = [{"text": "Lunch is at noon.", "label": "calm"}, {"text": "The server burns!", "label": "urgent"}]
        >>> dataset = tfbert.make_dataset(rows, model.tokenizer, task, batch_size=2, max_seq_length=16)
        >>> "accuracy" in tfbert.evaluate(model, dataset)
        True
    """
    check_model(model)
    check_strategy(strategy)
    dataset = dataset_for(model, dataset, "evaluate")
    strategy = strategy or tf.distribute.get_strategy()
    evaluator = model.traced(("evaluate", strategy), lambda: Evaluator(model, strategy))
    try:
        return evaluator.evaluate(dataset)
    finally:
        evaluator.forget_data()
