"""The Keras interface of the models: fit, evaluate, predict, `.keras` files, SavedModels."""

import keras
import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.batches import ExampleBatches, begin_epochs, check_fits
from tfbert.data.examples import paired, tokenize_examples
from tfbert.models.dropout import first_seed
from tfbert.models.freezing import frozen_layers
from tfbert.models.traces import KeepsTraces

_OF_ROWS = ("token_ids", "segment_ids", "positions", "window_ids")
_OF_WINDOWS = ("window_start", "window_example", "example_windows")
# Equivalents under a strategy with several devices.
_INSTEAD = {
    "fit": "tfbert.train(model, dataset, optimizer, strategy)",
    "evaluate": "tfbert.evaluate(model, dataset, strategy)",
    "predict": "tfbert.predict(model, texts)",
}
_ON_ONE = {"fit": "train_on_batch", "evaluate": "test_on_batch", "predict": "predict_on_batch"}


class BatchModel(KeepsTraces, keras.Model):
    """A Keras model over batches (`tfbert.data.rows`).

    Attributes:
        encoder: BertEncoder, if it can be trained.
        task: one of TASKS, if it can be compiled.
        features: dict of str to tf.TensorSpec. The features that it reads of a batch.
        windows_per_step: int or None. Windows that are encoded at a time; None: all of a batch.
    """

    task = None
    features = {name: tf.TensorSpec([None, None], tf.int32, name) for name in _OF_ROWS}
    features |= {name: tf.TensorSpec([None], tf.int32, name) for name in _OF_WINDOWS}

    def shared_config(self):
        """Returns what models of one encoder have in common for `from_config`, including the vocabulary: dict."""
        own_tokenizer = self.tokenizer is not self.encoder.tokenizer
        return {
            "name": self.name,
            "encoder": self.encoder.get_config(),
            "tokenizer": self.tokenizer.get_config() if own_tokenizer else None,
            "max_seq_length": self.max_seq_length,
            "text_columns": list(self.text_columns),
            "frozen": frozen_layers(self),
        }

    def trace_state(self):
        """Returns what a trace depends on: list, here how many windows are encoded at a time, too."""
        return [self.windows_per_step, *super().trace_state()]

    def compile(self, optimizer="rmsprop", loss=None, loss_weights=None, metrics=None, weighted_metrics=None, **kwargs):
        """Configures `fit`: as `keras.Model.compile`, with the task's loss and accuracy by default."""
        loss = loss or TaskLoss(self.task)
        metrics = self.task.keras_metrics() if metrics is None and weighted_metrics is None else metrics
        super().compile(optimizer, loss, loss_weights, metrics, weighted_metrics, **kwargs)

    def compile_from_config(self, config):
        """Compiles like the saved model, which `keras.Model` does not do if `compile` has its own defaults."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, class_weight=None, **kwargs):
        """Trains as `keras.Model.fit`, on one device.

        If `keras.utils.set_random_seed` was called, it determines the dropout masks and, together with the dataset's
        seed, the order of the examples: two fits that start with the same seed are identical.

        Args:
            x: ExampleDataset, or a tf.data transformation of it.
            y, *args, **kwargs: as there.
            class_weight: dict of int to float. Weight of each class in the loss, by its number; missing classes have 1.
                Only for one class per example; for several labels use the task's own `class_weights`.

        Raises:
            InputError: there is a strategy with several devices, `x` is not a dataset of batches, `windows_per_step` is
                set, or `class_weight` names unknown classes.
        """
        self._check("fit", x)
        if seed := first_seed():
            self.encoder.begin_masks(seed)
            begin_epochs(x, seed)
        if class_weight is not None:
            x = self._weighted(x, class_weight)
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Scores as `keras.Model.evaluate`; raises InputError under a multi-device strategy, or without batches."""
        self._check("evaluate", x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts as `keras.Model.predict`; raises InputError under a multi-device strategy, or without batches."""
        self._check("predict", x)
        return super().predict(x, *args, **kwargs)

    def _check(self, name, x):
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1:
            raise InputError(
                f"model.{name} runs on one device, as Keras would separate the rows of a batch from its examples; the "
                f"model was made for {replicas}. Use {_INSTEAD[name]}."
            )
        if self.windows_per_step:
            raise InputError(
                f"model.{name} encodes all windows of a batch at once, and model.windows_per_step is "
                f"{self.windows_per_step}. Set it to None, or use {_INSTEAD[name]}."
            )
        if isinstance(x, (str, list, tuple, dict, np.ndarray, tf.Tensor)):
            raise InputError(
                f"model.{name} takes a dataset of batches, as returned by tfbert.make_dataset; texts go to "
                f"tfbert.predict(model, texts), one batch to model.{_ON_ONE[name]}. Received: {type(x).__name__}."
            )
        check_fits(x, self)

    def batches_of(self, rows, batch_size, encode_label=None):
        """Returns rows in order as batches for this model: ExampleBatches.

        Args:
            rows: iterable of dict, as `read_examples` yields them.
            batch_size: int.
            encode_label: callable (label, where) -> number or np.ndarray; None: no labels.
        """
        about = self.tokenizer, self.max_seq_length, encode_label, self.long_text
        examples = tokenize_examples(paired(rows, self.text_columns), *about)
        return ExampleBatches(examples, batch_size, self.max_seq_length, shuffle=False, seed=0)

    def check_length(self, max_seq_length):
        """Raises InputError for sequences that are longer than the encoder has positions."""
        self.encoder.check_length(max_seq_length)

    def _weighted(self, x, class_weight):
        """Returns batches whose weights are multiplied by the class weights."""
        spec = x.element_spec if isinstance(x, tf.data.Dataset) else ()
        if len(spec) != 3 or not self.task.one_class:
            raise InputError(
                "class_weight needs batches of (features, labels, weights) with one class per example, as "
                "returned by tfbert.make_dataset for classification; other tasks, and other data, use "
                "TASKS[...](labels, class_weights=[...])."
            )
        unknown = [number for number in class_weight if number not in range(self.task.outputs)]
        if unknown:
            raise InputError(
                f"class_weight takes class numbers, 0 to {self.task.outputs - 1}. Received: {unknown[0]!r}."
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
    """The mean of a task's weighted training losses over a batch.

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
        """Returns what `from_config` needs: dict, JSON-serialisable."""
        return {"task": self._task.get_config()}

    @classmethod
    def from_config(cls, config):
        """Returns the loss from what `get_config` returned."""
        return cls(task_from_config(config["task"]))


def task_from_config(config):
    """Returns the task from what its `get_config` returned (dict), by Keras' registry."""
    return keras.saving.get_registered_object("tfbert>Task").from_config(config)
