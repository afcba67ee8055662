"""What Keras is set to, by the environment, by keras.json or by a program, and what of it tfbert cannot work with.

Nothing is imported here: what is wrong must be said before Keras, or TensorFlow under it, fails at import.
"""

import json
import os
import sys

from tfbert.core.errors import InputError

# Setting -> (what it must be, why, what a program calls to set it).
_NEEDED = {
    "backend": ("tensorflow", "tfbert runs on Keras' TensorFlow backend", None),
    "floatx": ("float32", "tfbert's weights are float32, whatever the arithmetic", "set_floatx"),
    "image_data_format": ("channels_last", "TensorFlow's kernels for CPUs want it", "set_image_data_format"),
}


def check_keras():
    """Raises InputError where Keras is set to something that tfbert cannot work with."""
    for problem, remedy in keras_problems():
        raise InputError(f"{problem}: {remedy}.")


def keras_problems(variables=os.environ):
    """Returns what of Keras' settings is wrong, each with its remedy: list of (str, str).

    Args:
        variables: mapping of str. The environment; with that of this process what counts is what Keras is set to now,
            if it has been loaded.
    """
    problems = _legacy(variables)
    keras = sys.modules.get("keras") if variables is os.environ else None
    if keras:
        return problems + _wrong({name: getattr(keras.config, name)() for name in _NEEDED}, _remedy_loaded)
    path = _settings_file(variables)
    try:
        settings = _read(path)
    except (OSError, TypeError) as error:
        return problems + [(f"Keras cannot read its settings, {path} ({error})", f"mend that file, or rm {path}")]
    if variables.get("KERAS_BACKEND"):  # wins over the file
        settings.pop("backend", None)
        problems += _wrong(
            {"backend": variables["KERAS_BACKEND"]},
            lambda name, value: "export KERAS_BACKEND=tensorflow, before Keras is imported",
            "the variable KERAS_BACKEND",
        )
    return problems + _wrong(settings, lambda name, value: f'write "{name}": "{value}" there, or rm {path}', path)


def _legacy(variables):
    value = variables.get("TF_USE_LEGACY_KERAS")
    if value not in ("true", "True", "1"):  # as TensorFlow reads it
        return []
    problem = f"TF_USE_LEGACY_KERAS={value} makes TensorFlow take Keras 2, and tfbert needs Keras 3"
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
        return f"keras.config.{function}({value!r}), before a model is made"
    return f"export KERAS_BACKEND={value}, and start the program again"


def _settings_file(variables):
    """Returns the path of Keras' settings, as Keras finds it: str."""
    home = os.path.expanduser("~")
    base = home if os.access(home, os.W_OK) else "/tmp"
    return os.path.expanduser(os.path.join(variables.get("KERAS_HOME", os.path.join(base, ".keras")), "keras.json"))


def _read(path):
    """Returns the settings of a keras.json: dict; of a file that is no JSON none, as Keras has it."""
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
