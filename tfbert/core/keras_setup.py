"""Checks the configuration of Keras (environment, keras.json or program) for what tfbert cannot work with.

Nothing is imported here: problems must be reported before Keras or TensorFlow fails to import.
"""

import json
import os
import sys

from tfbert.core.errors import InputError

# Setting -> (required value, reason, function that sets it).
_NEEDED = {
    "backend": ("tensorflow", "tfbert runs on Keras' TensorFlow backend", None),
    "floatx": ("float32", "tfbert's weights are float32, whatever the compute precision", "set_floatx"),
    "image_data_format": ("channels_last", "TensorFlow's CPU kernels require it", "set_image_data_format"),
}


def check_keras():
    """Raises InputError if Keras is configured in a way that tfbert cannot work with."""
    for problem, remedy in keras_problems():
        raise InputError(f"{problem}: {remedy}.")


def keras_problems(variables=os.environ):
    """Returns the problems with Keras' settings, each with its remedy: list of (str, str).

    Args:
        variables: mapping of str. The environment. If it is that of this process and Keras has been imported, the
            current settings of Keras are checked instead.
    """
    problems = _legacy(variables)
    keras = sys.modules.get("keras") if variables is os.environ else None
    if keras:
        return problems + _wrong({name: getattr(keras.config, name)() for name in _NEEDED}, _remedy_loaded)
    path = _settings_file(variables)
    try:
        settings = _read(path)
    except (OSError, TypeError) as error:
        return problems + [(f"Keras cannot read its settings, {path} ({error})", f"fix that file, or rm {path}")]
    if variables.get("KERAS_BACKEND"):  # overrides the file
        settings.pop("backend", None)
        problems += _wrong(
            {"backend": variables["KERAS_BACKEND"]},
            lambda name, value: "export KERAS_BACKEND=tensorflow, before Keras is imported",
            "the variable KERAS_BACKEND",
        )
    return problems + _wrong(settings, lambda name, value: f'write "{name}": "{value}" there, or rm {path}', path)


def _legacy(variables):
    value = variables.get("TF_USE_LEGACY_KERAS")
    if value not in ("true", "True", "1"):  # parsed as TensorFlow does
        return []
    problem = f"TF_USE_LEGACY_KERAS={value} makes TensorFlow use Keras 2, but tfbert needs Keras 3"
    return [(problem, "unset TF_USE_LEGACY_KERAS, before TensorFlow is imported")]


def _wrong(settings, remedy, source="this program"):
    found = []
    for name, (wanted, why, _) in _NEEDED.items():
        value = settings.get(name, wanted)
        if value != wanted:
            found.append((f"Keras' {name} is {value}, by {source}, and {why}", remedy(name, wanted)))
    return found


def _remedy_loaded(name, value):
    function = _NEEDED[name][2]
    if function:
        return f"keras.config.{function}({value!r}), before a model is built"
    return f"export KERAS_BACKEND={value}, and start the program again"


def _settings_file(variables):
    """Returns the path of keras.json, found as Keras finds it: str."""
    home = os.path.expanduser("~")
    base = home if os.access(home, os.W_OK) else "/tmp"
    return os.path.expanduser(os.path.join(variables.get("KERAS_HOME", os.path.join(base, ".keras")), "keras.json"))


def _read(path):
    """Returns the settings of a keras.json: dict; empty if it is not valid JSON, as in Keras."""
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        try:
            settings = json.load(file)
        except ValueError:
            return {}
    if not isinstance(settings, dict) or not isinstance(settings.get("epsilon", 1e-7), float):
        raise TypeError("it must be a mapping, and its epsilon a number such as 1e-7")
    return settings
