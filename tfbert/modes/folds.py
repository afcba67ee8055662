"""Cross-validation: a model without each fold, its predictions for the fold, and an ensemble of all models."""

import json
import os

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import json_of, write_whole
from tfbert.core.text_table import aligned
from tfbert.data.folds import split_texts
from tfbert.inference.ensemble import EnsembleModel
from tfbert.inference.saved_model import load_model, save_ensemble
from tfbert.modes.build import (
    batches_to_score,
    datasets_of,
    dtype_of,
    folds_of,
    preset_of,
    task_of,
    uses_xla,
)
from tfbert.modes.closing import where_to_go
from tfbert.modes.output_folder import changes_since, output_lock, refuse_finished, results_of
from tfbert.modes.rows import rows_of_split, texts_of
from tfbert.reports.folds_report import write_folds_report
from tfbert.reports.score_tables import scores_of_folds
from tfbert.reports.statistics import bootstrap_intervals, mean_and_spread
from tfbert.training.devices import is_chief, leave_together
from tfbert.training.evaluation import Evaluator, scores

# Number of likely mislabelled rows in the report.
_SHOWN = 50


def train_model(config, trainer, announce=True):
    """Trains one model or, with `folds`, those of a cross-validation; the arguments are those of `cross_validate`.

    Returns:
        dict. The content of `eval_results.json`.
    """
    whole = config.training.folds and not config.training.fold
    return cross_validate(config, trainer, announce) if whole else trainer.train(config, announce)


def cross_validate(config, trainer, announce=True):
    """Trains a model without each fold, scores it on the fold, and saves all models as one ensemble.

    A model never sees its fold, not even for choosing a checkpoint, for which dev_file is used if given. Temperature
    and thresholds, if requested, are fitted on the out-of-fold predictions and saved with the ensemble. A fold that has
    been trained is not trained again.

    Args:
        config: Config, with `folds`.
        trainer: Trainer.
        announce: bool. Whether to print what is trained, and on what.

    Returns:
        dict, the content of `eval_results.json`: `out_of_fold`, the scores over all rows, each predicted by the model
        that was not trained on it; `folds`, a list of the scores of each fold, with their `mean` and `std`;
        `split_texts`, the number of rows whose text also occurs in another fold; `failed`, which folds failed and why,
        or None; and the ensemble's scores on "dev" and "test".

    Raises:
        InputError: existing folds were trained with other settings, or there are too few rows.
    """
    with output_lock(config.training.output_dir, trainer.strategy):
        return _cross_validate(config, trainer, announce)


def _cross_validate(config, trainer, announce):
    output_dir, strategy = config.training.output_dir, trainer.strategy
    chief = is_chief(strategy)
    refuse_finished(output_dir, config.training.overwrite, chief)
    folders = [os.path.join(output_dir, "folds", str(number + 1)) for number in range(config.training.folds)]
    task = task_of(config)
    task.check_threshold(config.balance.tune_threshold)
    tokenizer = preset_of(config).tokenizer(config.data.do_lower_case, config.data.clean_text)
    plain = config.replace(augment=(), augment_copies=1, augment_probability=0.1)
    datasets = datasets_of(plain, tokenizer, task, ("train", "dev", "test"))
    examples = datasets.pop("train").examples
    task.check_fit(examples.labels, config.balance.calibrate, config.balance.tune_threshold)
    folds = folds_of(config, task, examples.labels)
    _refuse_changed(config)
    if chief:
        tf.io.gfile.makedirs(output_dir)
        write_whole(os.path.join(output_dir, "config.yaml"), config.to_yaml().encode())
    seen = task.inspection(examples, tokenizer)
    results = {"split_texts": split_texts(seen.fingerprints, folds) if seen else 0}
    if results["split_texts"]:
        print(
            f"{results['split_texts']} training rows have a text that also occurs in another fold, so the out-of-fold "
            "scores are too optimistic. --group_column keeps such rows together."
        )
    members, outputs, failed = [], np.zeros((examples.size, task.outputs), np.float32), []
    for number, folder in enumerate(folders):
        if results_of(folder) is None:
            print(f"Fold {number + 1} of {len(folders)}", flush=True)
            trainer.train(_of_fold(config, number + 1, folder), announce and number == 0, alone=False)
        if reason := results_of(folder).get("failed"):
            failed.append(f"fold {number + 1}: {reason}")
            print(f"Fold {number + 1} has failed: {reason}.", flush=True)
        members.append(_member(config, folder, strategy))
        left_out = np.flatnonzero(folds == number)
        batches = batches_to_score(examples.subset(left_out), config)
        outputs[left_out] = Evaluator(members[-1], strategy, uses_xla(config, strategy)).outputs(batches)
    results |= {"failed": "; ".join(failed) or None} | _out_of_fold(config, task, examples.labels, outputs, folds)
    outputs = task.decision.calibrated(outputs)
    model = EnsembleModel(members, task)
    evaluator = Evaluator(model, strategy, uses_xla(config, strategy))
    results |= {split: evaluator.evaluate(dataset) for split, dataset in datasets.items()}
    if chief:
        save_ensemble(model, os.path.join(output_dir, "model"))
        _write_predictions(output_dir, task, examples.labels, outputs, folds)
        write_whole(os.path.join(output_dir, "eval_results.json"), json_of(results, indent=2).encode())
        doubted = _mislabelled(config, task, examples.labels, outputs)
        intervals = bootstrap_intervals(task, examples.labels, outputs)
        write_folds_report(output_dir, config.as_dict(), results, task, examples.labels, outputs, intervals, doubted)
        if announce:
            head, rows = scores_of_folds(results, intervals)
            print("", *aligned([head, *rows]), *where_to_go(output_dir, task), sep="\n", flush=True)
    leave_together(strategy)
    return results


def _of_fold(config, number, folder):
    """Returns the settings for training one fold; temperature and thresholds are fitted on all folds together."""
    own = {"fold": number, "output_dir": folder, "test_file": None, "overwrite": False}
    return config.replace(**own, tune_threshold=None, calibrate=False)


def _member(config, folder, strategy):
    with strategy.scope():
        windows_per_step = config.training.windows_per_step
        return load_model(os.path.join(folder, "model"), dtype=dtype_of(config), windows_per_step=windows_per_step)


def _refuse_changed(config):
    """Raises InputError if folds were trained with other settings."""
    path = os.path.join(config.training.output_dir, "config.yaml")
    if not tf.io.gfile.exists(path) or config.training.overwrite:
        return
    if changed := changes_since(config.training.output_dir, config):
        raise InputError(
            f"{config.training.output_dir} holds folds with other settings: {'; '.join(changed)}. Use the old settings "
            "to continue, another --output_dir, or --overwrite."
        )


def _out_of_fold(config, task, labels, outputs, folds):
    """Returns the scores of out-of-fold predictions, after fitting the task's decision on them."""
    settings = config.balance
    if settings.calibrate or settings.tune_threshold:
        fit = (settings.calibrate, settings.tune_threshold)
        task.decision = task.fit_decision(labels, outputs, *fit)
        print("\n".join(task.describe_fit(labels, *fit)))
    outputs = task.decision.calibrated(outputs)
    each = [scores(task, labels[folds == number], outputs[folds == number]) for number in range(folds.max() + 1)]
    means, deviations = mean_and_spread(each)
    return {"out_of_fold": scores(task, labels, outputs), "mean": means, "std": deviations, "folds": each}


def _mislabelled(config, task, labels, outputs):
    """Returns at most `_SHOWN` rows whose label is likely wrong, for the report."""
    found = task.doubted(labels, outputs, _SHOWN)
    if not found:
        return found
    numbers = [row for row, *_ in found]
    texts = texts_of(rows_of_split(config, task, "train"), numbers)
    return [(row + 1, texts[row], *doubt) for row, *doubt in found]


def _write_predictions(output_dir, task, labels, outputs, folds):
    """Writes out_of_fold.jsonl, one line per training row, in order."""
    lines = []
    for row, (label, prediction) in enumerate(zip(labels, task.predictions(outputs))):
        known = {"row": row + 1, "fold": int(folds[row]) + 1, "true": task.decode_label(label)}
        lines.append(json.dumps(known | prediction, ensure_ascii=False) + "\n")
    write_whole(os.path.join(output_dir, "out_of_fold.jsonl"), "".join(lines).encode())
