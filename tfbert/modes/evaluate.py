"""What `tfbert.run` can do: one function a mode, from settings to parts to results."""

import dataclasses
import os

import tensorflow as tf

from tfbert.modes.folds import train_model
from tfbert.tasks.masked_lm.corpus import corpus_of
from tfbert.data.sources import read_examples
from tfbert.core.errors import InputError
from tfbert.inference.features import vector_model, write_features
from tfbert.core.files import json_of, write_whole
from tfbert.inference.ensemble import EnsembleModel
from tfbert.models.model_files import read_json
from tfbert.inference.saved_model import load_model
from tfbert.modes.build import dtype_of, long_text_of, preset_of, strategy_of, training_parts, uses_xla
from tfbert.inference.predict import batches_of, predict_file
from tfbert.modes.preflight.report import describe, preflight, refusal
from tfbert.modes.sweep_study import Sweep
from tfbert.modes.trainer import Trainer, finished_results, output_lock
from tfbert.training.evaluation import Evaluator
from tfbert.training.devices import is_chief, leave_together


def train_mode(config):
    """Trains, keeps the best model by dev score, scores it on test: what --mode=train does.

    Returns:
        dict. The content of `eval_results.json`; of a recipe of stages, that of each stage by its name.
    """
    strategy = strategy_of(config)
    trainer, stages = Trainer(strategy), config.stages()
    results, folder = {}, config.training.output_dir
    for name, stage in stages:
        folder = stage.training.output_dir
        results[name] = finished_results(stage)
        print(f"Stage {name}: {'it is finished already' if results[name] else folder}.", flush=True)
        results[name] = results[name] or train_model(stage, trainer)
    if not stages:
        results = train_model(config, trainer)
    if is_chief(strategy):
        print(json_of(results))
        print(f"The model is in {os.path.join(folder, 'model')}.")
    return results


def sweep_mode(config):
    """Runs many trainings and keeps the best model: what --mode=sweep does.

    Returns:
        dict with `trials` (how many have ended), `failed` (how many of them failed) and `best` (its settings, folder
        and results; None where none has a score).
    """
    output_dir, strategy = config.training.output_dir, strategy_of(config)
    with output_lock(output_dir, strategy, shared=True):  # with the sweep's other workers
        found = Sweep(config, Trainer(strategy))
        trials, best = found.run(), found.best()
    results = {
        "trials": len(trials),
        "failed": sum(bool(trial.failed) for trial in trials),
        "best": best and dataclasses.asdict(best),
    }
    print(json_of(results))
    print(f"The report is {os.path.join(output_dir, 'report.html')}.")
    if best:
        print(f"The best model is in {os.path.join(output_dir, 'model')}.")
    return results


def evaluate_mode(config):
    """Scores a saved model on dev_file and test_file: what --mode=evaluate does.

    Returns:
        dict. The content of `eval_results.json`: a dict of scores for "dev", "test".
    """
    strategy = strategy_of(config)
    with output_lock(config.training.output_dir, strategy):
        results = _evaluate(config, strategy)
    leave_together(strategy)
    return results


def _evaluate(config, strategy):
    data, training = config.data, config.training
    model = _saved_model(config, strategy)
    results, evaluator = {}, Evaluator(model, strategy, uses_xla(config, strategy))
    for split, location in (("dev", data.dev_file), ("test", data.test_file)):
        if location:
            results[split] = evaluator.evaluate(_labelled(config, model, split, location))
    path = os.path.join(training.output_dir, "eval_results.json")
    if tf.io.gfile.exists(path):
        results = read_json(training.output_dir, "eval_results.json") | results
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
        write_whole(path, json_of(results, indent=2).encode())
        print(json_of(results))
    return results


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
        raise InputError(f"{path} exists already; choose another --output_dir, or --overwrite.")
    model = _vector_model(config, strategy) if training.features else _saved_model(config, strategy)
    if not training.features and model.task.name == "masked_lm":
        raise InputError("This model predicts masked words, not labels: ask it from Python, tfbert.fill_mask.")
    examples = read_examples(data.test_file, *_columns(data, model), None, data.id_column, data.quoting, "test")
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
    count = write(model, examples, path, training.predict_batch_size, strategy, uses_xla(config, strategy))
    if is_chief(strategy):
        print(f"{count} {kind} are in {path}.")
    return {kind: path, "examples": count}


def preflight_mode(config):
    """Finds out whether this training would run on a TPU, into `preflight.json`: what --mode=preflight does.

    Returns:
        dict. The content of `preflight.json`.

    Raises:
        InputError: it would not run.
    """
    with output_lock(config.training.output_dir, tf.distribute.get_strategy(), shared=True):
        return _preflight(config)


def _preflight(config):
    training = config.training
    parts = training_parts(config, tf.distribute.get_strategy(), splits=("train",))
    found = preflight(
        parts.model,
        parts.optimizer,
        parts.datasets["train"],
        config.runtime.topology,
        training.gradient_accumulation_steps,
    )
    tf.io.gfile.makedirs(training.output_dir)
    write_whole(os.path.join(training.output_dir, "preflight.json"), json_of(found, indent=2).encode())
    print(describe(found))
    if not found["would_run"]:
        raise InputError(refusal(found))
    print(f"It would run on {found['topology']}.")
    return found


MODES = {
    "train": train_mode,
    "sweep": sweep_mode,
    "evaluate": evaluate_mode,
    "predict": predict_mode,
    "preflight": preflight_mode,
}


def _model_folder(config):
    return config.model.preset or os.path.join(config.training.output_dir, "model")


def _saved_model(config, strategy):
    with strategy.scope():
        model = load_model(_model_folder(config), dtype=dtype_of(config))
    if model.task.name == "masked_lm" and config.training.windows_per_step:
        raise InputError(
            f"--windows_per_step={config.training.windows_per_step} does nothing with a model of --task=masked_lm; "
            "lower --eval_batch_size to save memory."
        )
    model.windows_per_step = config.training.windows_per_step
    return model


def _vector_model(config, strategy):
    """Returns the VectorModel of a model saved by tfbert, or of any pre-trained BERT."""
    folder = _model_folder(config)
    if tf.io.gfile.exists(os.path.join(folder, "tfbert.json")) or not config.model.preset:
        model = _saved_model(config, strategy)
        if isinstance(model, EnsembleModel):
            raise InputError(f"{folder} is an ensemble, which has no vectors; name one of {folder}/members/*.")
    else:
        with strategy.scope():
            data = config.data
            model = preset_of(config).encoder(None, dtype_of(config), data.do_lower_case, data.clean_text)
    with strategy.scope():
        vectors = vector_model(model, config.model.pooling, config.data.max_seq_length, long_text_of(config.data))
    vectors.windows_per_step = config.training.windows_per_step
    return vectors


def _labelled(config, model, split, location):
    """Returns the rows of a location with their labels, or raw text with its masks: ExampleBatches."""
    data = config.data
    if model.task.name == "masked_lm":
        return corpus_of(config, model.tokenizer, model.task, split, location, max_seq_length=model.max_seq_length)
    examples = read_examples(location, *_columns(data, model), data.label_column, None, data.quoting, split)
    return batches_of(model, examples, config.training.eval_batch_size, model.task.encode_label)


def _columns(data, model):
    """Returns the text columns, each as it was given, else that of the model's training data: (str, str or None)."""
    own = (*model.text_columns, None)[:2]
    return data.text_column or own[0], data.text_pair_column or own[1]
