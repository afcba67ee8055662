"""`python -m tfbert.run --flags`: flags -> Config -> one mode."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from absl import app, logging

from tfbert.config.load import config_from_flags, define_flags, parse_flags
from tfbert.core.errors import InputError
from tfbert.core.keras_setup import check_keras
from tfbert.core.network import check_storage
from tfbert.core.process import make_callable, quiet_loading, tune_process
from tfbert.modes import MODES, check_complete
from tfbert.modes.doctor import check_environment
from tfbert.modes.ending import ready_streams, run_to_the_end
from tfbert.training.tpu_variables import prepare_tpu

if TYPE_CHECKING:
    from tfbert.config.load import Config


def run(config: Config) -> dict:
    """Does what the settings say.

    Args:
        config: Config, from `tfbert.load_config`.

    Returns:
        dict. The results of the mode: the scores, or where the predictions are.

    Raises:
        InputError: something the user gave cannot be used.
        Interrupted: SIGTERM or Ctrl-C; what was trained is saved.
    """
    return _run(config, contextlib.nullcontext())


def _run(config, loading):
    """Does what `run` does; TensorFlow is loaded within the context manager `loading`."""
    check_complete(config)
    if config.runtime.doctor:  # looks from outside: a broken TensorFlow aborts the process that imports it
        return check_environment(config.training.output_dir)
    check_keras()
    check_storage(*config.as_dict().values())
    on_tpu = config.runtime.tpu or config.runtime.strategy == "tpu"
    if on_tpu:
        prepare_tpu(config.runtime.tpu or "local")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with loading:
        mode = MODES[config.training.mode]  # here, so that a wrong flag answers before TensorFlow is loaded
        from tfbert.training.devices import without_grappler
    with contextlib.nullcontext() if on_tpu else without_grappler():
        return mode(config)


def main(arguments):
    """Runs the command line; returns the exit status."""
    logging.set_verbosity(logging.WARNING)
    tune_process()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what goes wrong is raised, too
    return run_to_the_end(lambda: _run(_config(arguments[1:]), quiet_loading()))


def _config(words):
    if words:
        raise InputError(f"Every setting is a flag, --name=value. Received: {' '.join(words)}.")
    return config_from_flags()


if __name__ == "__main__":
    ready_streams()
    define_flags()
    app.run(main, flags_parser=parse_flags)
else:
    make_callable(__name__)
