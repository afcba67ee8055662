"""Linear probes: which layer is most informative about the labels, without fine-tuning."""

import hashlib
import io
import json
import os

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.data.batches import ExampleBatches
from tfbert.inference.layer_probe import LayerVectors, probe_layers, share_of_most_frequent
from tfbert.modes.build import datasets_of, dtype_of, predict_batch_size_of, preset_of, strategy_of, task_of, uses_xla
from tfbert.reports.layer_curve import layer_curve
from tfbert.tasks import TASKS
from tfbert.training.devices import is_chief, leave_together
from tfbert.training.evaluation import Evaluator

_ROWS_OF_BLOCK = 256


def probe_mode(config):
    """Trains a linear probe on every layer and pooling, into `layer_probe.json` and `.svg`: --mode=probe.

    The vectors of all layers are computed once, and kept in `vectors_….npy`.

    Returns:
        dict. The content of `layer_probe.json`: `accuracy` (by layer and pooling) and `most_frequent_label`, the
        accuracy of always predicting the most frequent label.
    """
    _check(config)
    data, folder, strategy = config.data, config.training.output_dir, strategy_of(config)
    task = task_of(config)
    with strategy.scope():
        encoder = preset_of(config).encoder(None, dtype_of(config), data.do_lower_case, data.clean_text)
    encoder.check_length(data.max_seq_length)
    evaluator = Evaluator(LayerVectors(encoder), strategy, uses_xla(config, strategy))
    datasets = datasets_of(config, encoder.tokenizer, task, ("train", "dev"))
    if is_chief(strategy):
        tf.io.gfile.makedirs(folder)
    train, dev = (
        (_vectors(config, evaluator, split, datasets[split].examples), datasets[split].examples.labels)
        for split in ("train", "dev")
    )
    found = {"accuracy": {}, "most_frequent_label": share_of_most_frequent(train[1], dev[1])}
    if is_chief(strategy):
        found["accuracy"] = probe_layers(train, dev, lambda name, score: print(f"{name:16} {score:.4f}", flush=True))
        write_whole(os.path.join(folder, "layer_probe.json"), json.dumps(found, indent=2).encode())
        picture = os.path.join(folder, "layer_probe.svg")
        write_whole(picture, layer_curve(found["accuracy"], found["most_frequent_label"]).encode())
        print(f"Always predicting the most frequent label: {found['most_frequent_label']:.4f}. The curve is {picture}.")
    leave_together(strategy)
    return found


def _check(config):
    """Refuses settings that a probe does not support."""
    task, long_text = config.model.task, config.data.long_text
    if not TASKS[task].one_class:
        raise InputError(f"--mode=probe needs --task=classification. Received: --task={task}.")
    if long_text not in ("head", "tail", "head_tail"):
        raise InputError(f"--mode=probe needs --long_text=head, tail or head_tail. Received: --long_text={long_text}.")


def _vectors(config, evaluator, split, examples):
    """Returns the `LayerVectors` of examples, float32 [rows, vectors, hidden], cached in output_dir."""
    encoder = evaluator.model.encoder
    digest = hashlib.sha256(f"{config.model.preset} {dtype_of(config)} {examples.fingerprint}".encode())
    for variable in encoder.trainable_variables:  # a folder of the same name may meanwhile hold another model
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    path = os.path.join(config.training.output_dir, f"vectors_{digest.hexdigest()[:16]}.npy")
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path, "rb") as file:
            return np.lib.format.read_array(file)
    length = config.data.max_seq_length
    batch_size = predict_batch_size_of(config, evaluator.strategy, length)
    batches = ExampleBatches(examples, batch_size, length, shuffle=False, seed=0)
    found = evaluator.outputs(batches, lambda done: print(f"{done} more rows of {split} …", flush=True))
    found = found.reshape(examples.size, -1, encoder.hidden_dim)
    if is_chief(evaluator.strategy):
        write_whole(path, _blocks_of(found))
    return found


def _blocks_of(vectors):
    """Yields the content of a .npy file."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(vectors))
    yield header.getvalue()
    for first in range(0, len(vectors), _ROWS_OF_BLOCK):
        yield vectors[first : first + _ROWS_OF_BLOCK].tobytes()
