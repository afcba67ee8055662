"""What `tfbert.run` can do: one function a mode, from settings to parts to results."""

import dataclasses
import json
import os

import tensorflow as tf

from tfbert.data.dataset import ExampleBatches
from tfbert.data.sources import read_examples
from tfbert.data.tokenized import tokenize_examples
from tfbert.errors import InputError
from tfbert.files import write_whole
from tfbert.models.saved_model import load_model
from tfbert.parts import dtype_of, strategy_of, text_columns_of, training_parts, uses_xla
from tfbert.predict import predict_file
from tfbert.preflight import describe, preflight, refusal
from tfbert.sweep import Sweep
from tfbert.trainer import Trainer
from tfbert.training.evaluation import Evaluator
from tfbert.training.strategy import is_chief, leave_together


def train_mode(config):
    """Trains, keeps the best model by dev score, scores it on test: what --mode=train does.

    Returns:
        dict. The content of `eval_results.json`.
    """
    strategy = strategy_of(config)
    results = Trainer(strategy).train(config)
    if is_chief(strategy):
        print(json.dumps(results))
        print(f"The model is in {os.path.join(config.training.output_dir, 'model')}.")
    return results


def sweep_mode(config):
    """Runs many trainings and keeps the best model: what --mode=sweep does.

    Returns:
        dict with `trials` (how many have ended), `failed` (how many of them failed) and `best` (its settings, folder
        and results; None where none has a score).
    """
    found = Sweep(config, Trainer(strategy_of(config)))
    trials, best = found.run(), found.best()
    output_dir = config.training.output_dir
    results = {
        "trials": len(trials),
        "failed": sum(bool(trial.failed) for trial in trials),
        "best": best and dataclasses.asdict(best),
    }
    print(json.dumps(results))
    print(f"The report is {os.path.join(output_dir, 'report.html')}.")
    if best:
        print(f"The best model is in {os.path.join(output_dir, 'model')}.")
    return results


def evaluate_mode(config):
    """Scores a saved model on dev_file and test_file: what --mode=evaluate does.

    Returns:
        dict. The content of `eval_results.json`: a dict of scores for "dev", "test".
    """
    data, training = config.data, config.training
    model, strategy = _saved_model(config)
    columns = _columns(data, model)
    results, evaluator = {}, Evaluator(model, strategy, uses_xla(config, strategy))
    for split, location in (("dev", data.dev_file), ("test", data.test_file)):
        if location:
            examples = read_examples(location, *columns, data.label_column, None, data.quoting, split)
            examples = tokenize_examples(
                examples, model.tokenizer, model.max_seq_length, model.task.encode_label, model.long_text
            )
            dataset = ExampleBatches(examples, training.eval_batch_size, model.max_seq_length, shuffle=False, seed=0)
            results[split] = evaluator.evaluate(dataset)
    path = os.path.join(training.output_dir, "eval_results.json")
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            results = json.load(file) | results
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
        write_whole(path, json.dumps(results, indent=2).encode())
        print(json.dumps(results))
    leave_together(strategy)
    return results


def predict_mode(config):
    """Predicts test_file with a saved model, into `predictions.jsonl`: what --mode=predict does.

    Returns:
        dict with `predictions` (the path) and `examples` (how many).
    """
    data, training = config.data, config.training
    path = os.path.join(training.output_dir, "predictions.jsonl")
    if tf.io.gfile.exists(path) and not training.overwrite:
        raise InputError(f"{path} exists already; choose another --output_dir, or --overwrite.")
    model, strategy = _saved_model(config)
    examples = read_examples(data.test_file, *_columns(data, model), None, data.id_column, data.quoting, "test")
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
    count = predict_file(model, examples, path, training.predict_batch_size, strategy, uses_xla(config, strategy))
    if is_chief(strategy):
        print(f"{count} predictions are in {path}.")
    leave_together(strategy)
    return {"predictions": path, "examples": count}


def preflight_mode(config):
    """Finds out whether this training would run on a TPU, into `preflight.json`: what --mode=preflight does.

    Returns:
        dict. The content of `preflight.json`.

    Raises:
        InputError: it would not run.
    """
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
    write_whole(os.path.join(training.output_dir, "preflight.json"), json.dumps(found, indent=2).encode())
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


def _saved_model(config):
    folder = config.model.preset or os.path.join(config.training.output_dir, "model")
    strategy = strategy_of(config)
    with strategy.scope():
        return load_model(folder, dtype=dtype_of(config)), strategy


def _columns(data, model):
    """Returns the text columns: those given, else those of the model's training data."""
    given = text_columns_of(data)
    columns = given if given != ("text",) else tuple(model.text_columns)
    return columns if len(columns) == 2 else (*columns, None)
