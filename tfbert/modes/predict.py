"""Predicts test_file with a saved model, or writes its vectors."""

import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.sources import read_examples
from tfbert.inference.features import vector_model, write_features
from tfbert.inference.predict import predict_file
from tfbert.modes.build import dtype_of, long_text_of, preset_of, strategy_of, uses_xla
from tfbert.modes.output_folder import output_lock
from tfbert.modes.saved import model_folder, saved_model, text_columns
from tfbert.training.devices import is_chief, leave_together


def predict_mode(config):
    """Predicts test_file with a saved model, into `predictions.jsonl`, or writes its vectors: what --mode=predict does.

    Returns:
        dict with `predictions` or `features` (the path) and `examples` (how many).
    """
    strategy = strategy_of(config)
    with output_lock(config.training.output_dir, strategy, shared=True):
        results = _predict(config, strategy)
    leave_together(strategy)
    return results


def _predict(config, strategy):
    data, training = config.data, config.training
    kind, write = ("features", write_features) if training.features else ("predictions", predict_file)
    path = os.path.join(training.output_dir, f"{kind}.{training.features or 'jsonl'}")
    if tf.io.gfile.exists(path) and not training.overwrite:
        elsewhere = f"another --output_dir, with --preset={model_folder(config)}"
        raise InputError(f"{path} exists already; choose {elsewhere}, or --overwrite, which replaces this file alone.")
    model = _vector_model(config, strategy) if training.features else saved_model(config, strategy)
    if not training.features and model.task.not_predicted:
        raise InputError(model.task.not_predicted)
    columns = (*text_columns(data, model), None, data.id_column)
    examples = read_examples(data.test_file, *columns, split="test", **data.file_format)
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
    count = write(model, examples, path, training.predict_batch_size, strategy, uses_xla(config, strategy))
    if is_chief(strategy):
        print(f"{count} {kind} are in {path}.")
    return {kind: path, "examples": count}


def _vector_model(config, strategy):
    """Returns the VectorModel of a model saved by tfbert, or of any pre-trained BERT."""
    folder = model_folder(config)
    if tf.io.gfile.exists(os.path.join(folder, "tfbert.json")) or not config.model.preset:
        model = saved_model(config, strategy)
    else:
        with strategy.scope():
            data = config.data
            model = preset_of(config).encoder(None, dtype_of(config), data.do_lower_case, data.clean_text)
    with strategy.scope():
        about = config.model.pooling, config.data.max_seq_length, long_text_of(config.data)
        return vector_model(model, *about, config.training.windows_per_step)
