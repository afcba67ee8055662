"""Scores a saved model on dev_file and test_file."""

import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import json_of, write_whole
from tfbert.core.text_table import aligned
from tfbert.data.examples import paired
from tfbert.models.model_files import read_json
from tfbert.modes.build import settings_for, strategy_of, uses_xla
from tfbert.modes.output_folder import output_lock
from tfbert.modes.row_split import FILE, shares_of
from tfbert.modes.rows import rows_of_split, split_of
from tfbert.modes.saved import model_folder, saved_model, text_columns
from tfbert.reports.score_tables import scores_of_run
from tfbert.reports.statistics import bootstrap_intervals
from tfbert.training.devices import is_chief, leave_together
from tfbert.training.evaluation import Evaluator, scores


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
    training = config.training
    model = saved_model(config, strategy)
    model.task.check_positive(config.balance.positive_label)
    found, intervals, evaluator = {}, {}, Evaluator(model, strategy, uses_xla(config, strategy))
    divided = split_of(config, model.task, _folder_of_split(config))
    for split in ("dev", "test"):
        if rows_of_split(config, model.task, split, divided):
            dataset = _labelled(config, model, split, divided)
            labels, outputs = dataset.examples.labels, evaluator.outputs(dataset)
            found[split] = scores(model.task, labels, outputs)
            intervals[split] = bootstrap_intervals(model.task, labels, outputs)
    results = found
    path = os.path.join(training.output_dir, "eval_results.json")
    if tf.io.gfile.exists(path):
        results = read_json(training.output_dir, "eval_results.json") | results
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
        write_whole(path, json_of(results, indent=2).encode())
        head, rows = scores_of_run(found, intervals)
        print(*aligned([head, *rows]), f"{path} has them in full.", sep="\n")
    return results


def _folder_of_split(config):
    """Returns the folder of the run whose rows are to be split as they were; None if none are to be.

    Raises:
        InputError: the run has split no rows, so that a new split would score some that were trained on.
    """
    if not shares_of(config.data):
        return None
    folder = os.path.dirname(model_folder(config).rstrip("/"))
    if not tf.io.gfile.exists(os.path.join(folder, FILE)):
        raise InputError(
            f"{folder} has no {FILE}: this model was not trained with --dev_share or --test_share, and may have been "
            "trained on any row of train_file. Name rows to score with --dev_file or --test_file."
        )
    return folder


def _labelled(config, model, split, divided):
    """Returns the rows of a split as batches for the model's task: ExampleBatches."""
    task, length = model.task, model.max_seq_length

    def rows():
        columns = text_columns(config.data, model)
        return paired(rows_of_split(config, task, split, divided, columns), model.text_columns)

    asked = settings_for(config, task.tokenized)
    tokenized = task.tokenized(rows, model.tokenizer, length, model.long_text, **asked)
    batch_size, asked = config.training.eval_batch_size, settings_for(config, task.batches)
    return task.batches(tokenized, model.tokenizer, batch_size, length, **asked)
