"""The output folder of a run: locking it, and checking what an earlier run left there."""

import contextlib
import os

import tensorflow as tf
import yaml

from tfbert.config.load import changes
from tfbert.core.errors import InputError
from tfbert.core.folder_lock import locked
from tfbert.models.model_files import read_json
from tfbert.training.devices import is_chief, worker_values


@contextlib.contextmanager
def output_lock(output_dir, strategy, shared=False):
    """Locks an output folder for this run during a `with` block, by the chief (`tfbert.core.folder_lock.locked`).

    Raises:
        InputError: on every machine, if the chief cannot lock it.
    """
    with contextlib.ExitStack() as stack:
        refused = None
        try:
            if is_chief(strategy):
                stack.enter_context(locked(output_dir, shared))
        except InputError as error:
            refused = error
        if worker_values(strategy, int(refused is not None)).any():
            raise refused or InputError(f"The first machine cannot write to --output_dir={output_dir}; see its error.")
        yield


def changes_since(output_dir, config):
    """Returns descriptions of the settings that differ from a folder's config.yaml: list of str."""
    with tf.io.gfile.GFile(os.path.join(output_dir, "config.yaml")) as file:
        return changes(yaml.safe_load(file.read()), config.as_dict())


def check_shared(output_dir, strategy):
    """Raises InputError if not all machines see the output folder that the chief has just created."""
    worker_values(strategy, 0)
    seen = tf.io.gfile.exists(os.path.join(output_dir, "config.yaml"))
    if not worker_values(strategy, int(seen)).all():
        raise InputError(f"--output_dir={output_dir} must be a folder shared by all machines, such as one on gs://.")


def results_of(folder):
    """Returns the results of a training that has finished in a folder: dict, None if there is none.

    An evaluation writes to the same file, into the folder of an unfinished run too.
    """
    if not tf.io.gfile.exists(os.path.join(folder, "eval_results.json")):
        return None
    results = read_json(folder, "eval_results.json")
    return results if "steps" in results or "out_of_fold" in results else None


def finished_results(config):
    """Returns the results of a run that has finished with these settings, or None if there is none.

    Raises:
        InputError: it has finished with other settings.
    """
    folder = config.training.output_dir
    results = None if config.training.overwrite else results_of(folder)
    if results is None:
        return None
    if changed := changes_since(folder, config):
        raise InputError(
            f"{folder} holds a finished run with other settings: {'; '.join(changed)}. Use those, or --overwrite."
        )
    return results


def refuse_finished(output_dir, overwrite, chief):
    """Raises InputError if a run has finished; with `overwrite` removes it.

    Returns:
        int. Number of failed runs that were replaced in this folder so far.
    """
    before, restarts = results_of(output_dir), 0
    if before is not None:
        if not overwrite:
            raise InputError(f"{output_dir} already holds a finished run; choose another --output_dir, or --overwrite.")
        restarts = before.get("restarts", 0) + bool(before.get("failed"))
    if overwrite and chief and tf.io.gfile.exists(output_dir):
        files = ("metrics.jsonl", "eval_results.json", "report.html", "split.json")
        for name in ("checkpoints", "folds", "model", *files):
            path = os.path.join(output_dir, name)
            if tf.io.gfile.exists(path):
                (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)
    return restarts
