"""Modes of `tfbert.run`: one function for each, from settings to results, all in MODES."""

import re

from tfbert.config.load import FIELDS
from tfbert.core.errors import InputError
from tfbert.core.variants import Variants

_DEV = "dev_file or dev_share"
_SCORED = "test_file or test_share or dev_file or dev_share"
# Mode -> its function and its required settings; "one or another" if either will do.
_TABLE = {
    "train": ("tfbert.modes.train:train_mode", ("preset", "train_file", "output_dir")),
    "sweep": ("tfbert.modes.sweep:sweep_mode", ("preset", "train_file", _DEV, "output_dir", "sweep")),
    "evaluate": ("tfbert.modes.evaluate:evaluate_mode", (_SCORED, "output_dir")),
    "predict": (
        "tfbert.modes.predict:predict_mode",
        ("test_file", "output_dir or output_file", "output_dir or preset"),
    ),
    "inspect": ("tfbert.modes.inspect:inspect_mode", ("train_file",)),
    "probe": ("tfbert.modes.probe:probe_mode", ("preset", "train_file", _DEV, "output_dir")),
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
    missing = [names for names in needed if not any(values[name] for name in names.split(" or "))]
    if missing:
        raise InputError(f"--mode={mode} needs {', '.join(map(_asked_for, missing))}.")


def _asked_for(names):
    """Returns what a mode cannot do without, in words: "a or b" -> "--a (what it is) or --b"."""
    first, *others = names.split(" or ")
    return " or ".join([f"--{first} ({_what_it_is(FIELDS[first])})", *(f"--{name}" for name in others)])


def _what_it_is(field):
    """Returns the first clause of a setting's help, for use within a sentence: str."""
    clause = re.split("[:;] ", field.metadata["help"])[0]
    return clause if clause[:2].isupper() else clause[0].lower() + clause[1:]
