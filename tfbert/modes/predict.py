"""Predicts test_file with a saved model, or writes its vectors."""

import contextlib
import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.sources import read_examples
from tfbert.inference.features import vector_model, write_features
from tfbert.inference.predict import predict_file
from tfbert.modes.build import dtype_of, long_text_of, predict_batch_size_of, preset_of, strategy_of, uses_xla
from tfbert.modes.output_folder import output_lock
from tfbert.modes.saved import model_folder, saved_model, text_columns
from tfbert.training.devices import bfloat16_instructions, device_kind, is_chief, leave_together


def predict_mode(config):
    """Writes the predictions, or vectors, of a saved model for test_file: --mode=predict.

    Returns:
        dict with `predictions` or `features` (the path) and `examples` (their number).
    """
    strategy, folder = strategy_of(config), config.training.output_dir
    with output_lock(folder, strategy, shared=True) if folder else contextlib.nullcontext():
        results = _predict(config, strategy)
    leave_together(strategy)
    return results


def _predict(config, strategy):
    training = config.training
    kind = "features" if training.features else "predictions"
    ending = training.features or training.format or "jsonl"
    path = training.output_file or os.path.join(training.output_dir, f"{kind}.{ending}")
    if path != "-" and tf.io.gfile.exists(path) and not training.overwrite:
        elsewhere = f"another --output_dir, with --preset={model_folder(config)}"
        raise InputError(f"{path} already exists; choose {elsewhere}, or --overwrite, which replaces only this file.")
    model = _vector_model(config, strategy) if training.features else saved_model(config, strategy)
    if not training.features and model.task.not_predicted:
        raise InputError(model.task.not_predicted)
    total = None if config.data.test_file == "-" else sum(1 for _ in _examples(config, model))
    if is_chief(strategy):
        if path != "-":
            tf.io.gfile.makedirs(os.path.dirname(path) or ".")
        _advise(config, strategy)
    batch_size = predict_batch_size_of(config, strategy, model.max_seq_length, model.long_text.windows)
    arguments = (_examples(config, model), path, batch_size, strategy, uses_xla(config, strategy))
    if training.features:
        count = write_features(model, *arguments, total=total)
    else:
        settings = {name: config.as_dict()[name] for name in ("mixed_precision", "windows_per_step")}
        going_on = {"resume": training.resume, "overwrite": training.overwrite, "settings": settings,
                    "form": training.format}  # fmt: skip
        count = predict_file(model, *arguments, training.keep_text, total, **going_on)
    if is_chief(strategy):
        print(f"{count:,} {kind} are in {'standard output' if path == '-' else path}.")
    return {kind: path, "examples": count}


def _examples(config, model):
    """Returns the rows of test_file, with ids: iterable of dict."""
    columns = (*text_columns(config.data, model), None, config.data.id_column)
    reads = model.task.reads if model.task else "words"  # vectors are those of the words' text
    return read_examples(config.data.test_file, *columns, split="test", reads=reads, **config.data.file_format)


def _advise(config, strategy):
    """Says where predictions would be made faster."""
    slow = config.runtime.mixed_precision == "none" and device_kind(strategy) == "CPU"
    if slow and (instructions := bfloat16_instructions()):
        print(
            f"This CPU has bfloat16 instructions ({', '.join(instructions)}): --mixed_precision=bfloat16 is usually "
            "faster; probabilities then differ in the third decimal or so."
        )


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
