"""Modes of `tfbert.run`: one function for each, from settings to results, all in MODES."""

import re

from tfbert.config.load import FIELDS
from tfbert.core.errors import InputError
from tfbert.core.variants import Variants

# Mode -> its function and its required settings.
_TABLE = {
    "train": ("tfbert.modes.train:train_mode", ("preset", "train_file", "output_dir")),
    "sweep": ("tfbert.modes.sweep:sweep_mode", ("preset", "train_file", "dev_file", "output_dir", "sweep")),
    "evaluate": ("tfbert.modes.evaluate:evaluate_mode", ("test_file", "output_dir")),
    "predict": ("tfbert.modes.predict:predict_mode", ("test_file", "output_dir")),
    "inspect": ("tfbert.modes.inspect:inspect_mode", ("train_file",)),
    "probe": ("tfbert.modes.probe:probe_mode", ("preset", "train_file", "dev_file", "output_dir")),
    "vocabulary": ("tfbert.modes.vocabulary:vocabulary_mode", ("train_file", "output_dir")),
    "preflight": ("tfbert.modes.preflight.mode:preflight_mode", ("preset", "train_file", "output_dir", "topology")),
}
MODES = Variants(**{mode: place for mode, (place, _) in _TABLE.items()})


def check_complete(config):
    """Raises InputError if a required setting of the mode is missing."""
    mode, values = config.training.mode, config.as_dict()
    _, needed = _TABLE[mode]
    if config.runtime.doctor:
        needed = ()
    if config.training.stages:
        needed = ("output_dir",)
        for _, stage in config.stages():
            check_complete(stage)
    means = {name: _what_it_is(FIELDS[name]) for name in needed}
    missing = ", ".join(f"--{name} ({means[name]})" for name in needed if not values[name])
    if missing:
        raise InputError(f"--mode={mode} needs {missing}.")


def _what_it_is(field):
    """Returns the first clause of a setting's help, for use within a sentence: str."""
    clause = re.split("[:;] ", field.metadata["help"])[0]
    return clause if clause[:2].isupper() else clause[0].lower() + clause[1:]
