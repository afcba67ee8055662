"""What `tfbert.run` can do: one function a mode, from settings to parts to results."""

import dataclasses
import json
import os

import tensorflow as tf

from tfbert.modes.folds import train_model
from tfbert.tasks.masked_lm.corpus import corpus_of
from tfbert.data.sources import read_examples
from tfbert.core.errors import InputError
from tfbert.inference.features import vector_model, write_features
from tfbert.core.files import write_whole
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.saved_model import load_model
from tfbert.models.checkpoint_tensors import read_json
from tfbert.modes.build import dtype_of, long_text_of, preset_of, strategy_of, text_columns_of, training_parts, uses_xla
from tfbert.inference.predict import batches_of, predict_file
from tfbert.modes.preflight.report import describe, preflight, refusal
from tfbert.modes.sweep_study import Sweep
from tfbert.modes.trainer import Trainer, finished_results
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
        print(json.dumps(results))
        print(f"The model is in {os.path.join(folder, 'model')}.")
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
    results, evaluator = {}, Evaluator(model, strategy, uses_xla(config, strategy))
    for split, location in (("dev", data.dev_file), ("test", data.test_file)):
        if location:
            results[split] = evaluator.evaluate(_labelled(config, model, split, location))
    path = os.path.join(training.output_dir, "eval_results.json")
    if tf.io.gfile.exists(path):
        results = read_json(training.output_dir, "eval_results.json") | results
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
        write_whole(path, json.dumps(results, indent=2).encode())
        print(json.dumps(results))
    leave_together(strategy)
    return results


def predict_mode(config):
    """Predicts test_file with a saved model, into `predictions.jsonl`, or writes its vectors: what --mode=predict does.

    Returns:
        dict with `predictions` or `features` (the path) and `examples` (how many).
    """
    data, training = config.data, config.training
    kind, write = ("features", write_features) if training.features else ("predictions", predict_file)
    path = os.path.join(training.output_dir, f"{kind}.{training.features or 'jsonl'}")
    if tf.io.gfile.exists(path) and not training.overwrite:
        raise InputError(f"{path} exists already; choose another --output_dir, or --overwrite.")
    model, strategy = _vector_model(config) if training.features else _saved_model(config)
    if not training.features and model.task.name == "masked_lm":
        raise InputError("This model predicts masked words, not labels: ask it from Python, tfbert.fill_mask.")
    examples = read_examples(data.test_file, *_columns(data, model), None, data.id_column, data.quoting, "test")
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
    count = write(model, examples, path, training.predict_batch_size, strategy, uses_xla(config, strategy))
    if is_chief(strategy):
        print(f"{count} {kind} are in {path}.")
    leave_together(strategy)
    return {kind: path, "examples": count}


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


def _model_folder(config):
    return config.model.preset or os.path.join(config.training.output_dir, "model")


def _saved_model(config):
    strategy = strategy_of(config)
    with strategy.scope():
        model = load_model(_model_folder(config), dtype=dtype_of(config))
    if model.task.name == "masked_lm" and config.training.windows_per_step:
        raise InputError(
            f"--windows_per_step={config.training.windows_per_step} does nothing with a model of --task=masked_lm; "
            "lower --eval_batch_size to save memory."
        )
    model.windows_per_step = config.training.windows_per_step
    return model, strategy


def _vector_model(config):
    """Returns (VectorModel, strategy): of a model saved by tfbert, or of any pre-trained BERT."""
    folder = _model_folder(config)
    if tf.io.gfile.exists(os.path.join(folder, "tfbert.json")) or not config.model.preset:
        model, strategy = _saved_model(config)
        if isinstance(model, EnsembleModel):
            raise InputError(f"{folder} is an ensemble, which has no vectors; name one of {folder}/members/*.")
    else:
        strategy = strategy_of(config)
        with strategy.scope():
            data = config.data
            model = preset_of(config).encoder(None, dtype_of(config), data.do_lower_case, data.clean_text)
    with strategy.scope():
        vectors = vector_model(model, config.model.pooling, config.data.max_seq_length, long_text_of(config.data))
    vectors.windows_per_step = config.training.windows_per_step
    return vectors, strategy


def _labelled(config, model, split, location):
    """Returns the rows of a location with their labels, or raw text with its masks: ExampleBatches."""
    data = config.data
    if model.task.name == "masked_lm":
        return corpus_of(config, model.tokenizer, model.task, split, location, max_seq_length=model.max_seq_length)
    examples = read_examples(location, *_columns(data, model), data.label_column, None, data.quoting, split)
    return batches_of(model, examples, config.training.eval_batch_size, model.task.encode_label)


def _columns(data, model):
    """Returns the text columns: those given, else those of the model's training data."""
    given = text_columns_of(data)
    columns = given if given != ("text",) else tuple(model.text_columns)
    return columns if len(columns) == 2 else (*columns, None)
