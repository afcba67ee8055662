"""`python -m tfbert.run --flags`: flags -> Config -> one mode."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from absl import app, logging

from tfbert.config.flags import config_from_flags, define_flags, parse_flags
from tfbert.core.errors import InputError
from tfbert.core.keras_setup import check_keras
from tfbert.core.network import check_storage
from tfbert.core.process import make_callable, quiet_loading, tune_process
from tfbert.modes import MODES, check_complete
from tfbert.modes.doctor import check_environment
from tfbert.modes.ending import ready_streams, run_to_the_end, spared_output
from tfbert.training.tpu_variables import prepare_tpu

if TYPE_CHECKING:
    from tfbert.config.load import Config


def run(config: Config) -> dict:
    """Runs the mode that the settings name.

    Args:
        config: Config, from `tfbert.load_config`.

    Returns:
        dict. The results of the mode: scores, or the path of the predictions.

    Raises:
        InputError: a setting, file or other input cannot be used.
        Interrupted: SIGTERM or Ctrl-C; the training state is saved.

    Example:
        >>> samples = "tfbert/data/samples/support_desk_train.tsv"
        >>> results = tfbert.run(tfbert.load_config(mode="inspect", preset="minilm", train_file=samples))
        Labels: normal (371, 89.8%), urgent (42, 10.2%)...
    """
    return _run(config, contextlib.nullcontext())


def _run(config, loading):
    """Does what `run` does; imports TensorFlow within the context manager `loading`."""
    check_complete(config)
    if config.runtime.doctor:  # checks from outside, as a broken TensorFlow aborts the process that imports it
        return check_environment(config.training.output_dir)
    check_keras()
    check_storage(*config.as_dict().values())
    with spared_output(config.training.output_file == "-"):
        if on_tpu := config.runtime.tpu or config.runtime.strategy == "tpu":
            prepare_tpu(config.runtime.tpu or "local")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        with loading:
            mode = MODES[config.training.mode]  # late, so that a wrong flag is reported before TensorFlow is loaded
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
