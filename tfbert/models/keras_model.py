"""What the models here are to plain Keras: fit, evaluate, predict, `.keras` files, SavedModels."""

import keras
import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.batches import begin_epochs, check_fits
from tfbert.models.dropout import first_seed
from tfbert.models.traces import KeepsTraces

_OF_ROWS = ("token_ids", "segment_ids", "positions", "window_ids")
_OF_WINDOWS = ("window_start", "window_example", "example_windows")
# What does the same under a strategy of several devices.
_INSTEAD = {
    "fit": "tfbert.train(model, dataset, optimizer, strategy)",
    "evaluate": "tfbert.evaluate(model, dataset, strategy)",
    "predict": "tfbert.predict(model, texts)",
}
_ON_ONE = {"fit": "train_on_batch", "evaluate": "test_on_batch", "predict": "predict_on_batch"}


class BatchModel(KeepsTraces, keras.Model):
    """A Keras model of batches (`tfbert.data.rows`), which keeps what has been traced of it.

    Attributes:
        encoder: BertEncoder, if it is to be trained.
        task: one of TASKS, if it is to be compiled.
        features: dict of str to tf.TensorSpec. What it reads of a batch.
        windows_per_step: int or None. Windows that are encoded at a time; None: all of a batch.
    """

    task = None
    features = {name: tf.TensorSpec([None, None], tf.int32, name) for name in _OF_ROWS}
    features |= {name: tf.TensorSpec([None], tf.int32, name) for name in _OF_WINDOWS}

    def trace_state(self):
        """Returns what a trace depends on: list, here how many windows are encoded at a time, too."""
        return [self.windows_per_step, *super().trace_state()]

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs):
        """Configures `fit`: as `keras.Model.compile`, with the task's loss and accuracy where none are given."""
        loss = loss or TaskLoss(self.task)
        metrics = self.task.keras_metrics() if metrics is None and weighted_metrics is None else metrics
        super().compile(optimizer, loss, loss_weights, metrics, weighted_metrics, **kwargs)

    def compile_from_config(self, config):
        """Compiles as the saved model was: what `keras.Model` leaves out where `compile` has defaults of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, class_weight=None, **kwargs):
        """Trains as `keras.Model.fit`, on one device.

        Where `keras.utils.set_random_seed` was called it decides what is dropped out and, with the dataset's own seed,
        the order of the examples: two fits that begin with the same seed are the same.

        Args:
            x: ExampleDataset, or what `tf.data` makes of it.
            y, *args, **kwargs: as there.
            class_weight: dict of int to float. The factor of a class in the loss, by its number; classes that are not
                there have 1. For one class an example; a task of several labels has `class_weights` of its own.

        Raises:
            InputError: a strategy of several devices, something else than batches, `windows_per_step`, or weights of
                classes that are not there.
        """
        self._check("fit", x)
        if seed := first_seed():
            self.encoder.begin_masks(seed)
            begin_epochs(x, seed)
        if class_weight is not None:
            x = self._weighted(x, class_weight)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Scores as `keras.Model.evaluate`; InputError under a strategy of several devices, or for no batches."""
        self._check("evaluate", x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts as `keras.Model.predict`; InputError under a strategy of several devices, or for no batches."""
        self._check("predict", x)
        return super().predict(x, *args, **kwargs)

    def _check(self, name, x):
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1:
            raise InputError(
                f"model.{name} runs on one device, as Keras would cut the rows of a batch from its examples; the "
                f"model was made for {replicas}. Use {_INSTEAD[name]}."
            )
        if self.windows_per_step:
            raise InputError(
                f"model.{name} encodes all windows of a batch at once, and model.windows_per_step is "
                f"{self.windows_per_step}. Set it to None, or use {_INSTEAD[name]}."
            )
        if isinstance(x, (str, list, tuple, dict, np.ndarray, tf.Tensor)):
            raise InputError(
                f"model.{name} takes a dataset of batches, as tfbert.make_dataset gives it; texts go to "
                f"tfbert.predict(model, texts), one batch to model.{_ON_ONE[name]}. Received: {type(x).__name__}."
            )
        check_fits(x, self)

    def check_length(self, max_seq_length):
        """Raises InputError for sequences that are longer than the encoder has positions."""
        self.encoder.check_length(max_seq_length)

    def _weighted(self, x, class_weight):
        """Returns batches whose weights are multiplied by those of their classes."""
        spec = x.element_spec if isinstance(x, tf.data.Dataset) else ()
        if len(spec) != 3 or not self.task.one_class:
            raise InputError(
                "class_weight wants batches of (features, labels, weights) with one class an example, as "
                "tfbert.make_dataset gives them for a classification; other tasks, and other data, take "
                "TASKS[...](labels, class_weights=[...])."
            )
        unknown = [number for number in class_weight if number not in range(self.task.outputs)]
        if unknown:
            raise InputError(
                f"class_weight takes a class by its number, 0 to {self.task.outputs - 1}. Received: {unknown[0]!r}."
            )
        for number, factor in class_weight.items():
            if isinstance(factor, bool) or not isinstance(factor, (int, float, np.number)) or not 0 <= factor < np.inf:
                raise InputError(f"class_weight takes numbers from 0. Received: {factor!r} for the class {number}.")
        factors = tf.constant([class_weight.get(number, 1.0) for number in range(self.task.outputs)], tf.float32)
        return x.map(lambda features, labels, weights: (features, labels, weights * tf.gather(factors, labels)))

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs):
        """Writes a SavedModel as `keras.Model.export`: the features of a batch -> the outputs."""
        return super().export(filepath, format, verbose, input_signature or [self.features], **kwargs)


@keras.saving.register_keras_serializable("tfbert")
class TaskLoss(keras.losses.Loss):
    """The mean of a task's training losses over a batch, each times its weight.

    As with Keras' own losses, and with a task's `class_weights`, the mean is over the number of examples.

    Args:
        task: one of TASKS.
    """

    def __init__(self, task):
        super().__init__(name=task.name)
        self._task = task

    def call(self, y_true, y_pred):
        return self._task.training_loss(y_true, y_pred)

    def get_config(self):
        """Returns what `from_config` needs: dict, as JSON has it."""
        return {"task": self._task.get_config()}

    @classmethod
    def from_config(cls, config):
        """Returns the loss of what `get_config` returned."""
        return cls(task_from_config(config["task"]))


def task_from_config(config):
    """Returns the task of what its `get_config` returned, dict; Keras' registry knows where tasks are."""
    return keras.saving.get_registered_object("tfbert>Task").from_config(config)
