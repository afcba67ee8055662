"""--mode=preflight: would this training run on a TPU?"""

import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import json_of, write_whole
from tfbert.modes.build import training_parts
from tfbert.modes.output_folder import output_lock
from tfbert.modes.preflight.report import describe, preflight, refusal


def preflight_mode(config):
    """Checks whether this training would run on a TPU, and writes `preflight.json`: --mode=preflight.

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
        config.runtime.search_batch,
    )
    tf.io.gfile.makedirs(training.output_dir)
    write_whole(os.path.join(training.output_dir, "preflight.json"), json_of(found, indent=2).encode())
    print(describe(found))
    if not found["would_run"]:
        raise InputError(refusal(found))
    return found
