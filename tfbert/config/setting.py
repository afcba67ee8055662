"""One setting: how it is declared, and how its value is read from text, YAML or Python."""

import contextlib
import dataclasses
import enum
import importlib
import math
import os
import types
import typing

import yaml

from tfbert.config.strict_yaml import MOST_TEXT, load_yaml
from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean
from tfbert.core.paths import read_path


class Scope(enum.Flag):
    """What the value of a setting affects.

    RESULT: the weights or the log of a run, so a run is resumed only with the same value.
    GRAPH: what TensorFlow traces, so runs with different values do not share a graph.
    PLACE: where a file is. It may move: a resumed run compares its content.
    WHOLE: the whole command. A stage of a recipe or a trial of a sweep cannot have a value of its own.
    """

    NOTHING = 0
    RESULT = enum.auto()
    GRAPH = enum.auto()
    PLACE = enum.auto()
    WHOLE = enum.auto()


def setting(
    default,
    help,
    *,
    minimum=None,
    above=None,
    maximum=None,
    below=None,
    choices=None,
    also="",
    path=False,
    scope=Scope.RESULT | Scope.GRAPH,
    needs=None,
    excludes=None,
    rules=None,
):
    """Declares one setting: a dataclass field with its meaning, its allowed values and its rules.

    A condition, below, is the name of another setting, which must differ from its default; or "name=a|b", a setting
    that must have one of these values; or several of these joined by " or ".

    Args:
        default: the value if none is given; a tuple for a list setting.
        help: str. The meaning, with its unit; one sentence without a full stop.
        minimum, above, maximum, below: number. The range: at least, more than, at most, less than.
        choices: sequence of str, the only values allowed; or "module:NAME" of a table whose keys are allowed.
        also: str. Names of the same setting in other programs, separated by spaces; they are answered with ours.
            "name=value" if their name corresponds to one value of the setting.
        path: bool. Whether the value is or may be a path, in which `~` is the home folder.
        scope: Scope. What the value affects.
        needs: dict of condition -> str. What must hold if the setting is given, and the reason as the end of a
            sentence; "" if it is obvious.
        excludes: dict of condition -> str. What must not hold, likewise.
        rules: "module:NAME" of a function from the value to its rules for other settings, an object with `ignores`
            (dict of setting -> why it has no effect) and `least` (dict of setting -> minimum); None: no rules.
    """
    about = {"help": help, "minimum": minimum, "above": above, "maximum": maximum, "below": below, "choices": choices,
             "also": also, "path": path, "scope": scope, "needs": needs or {}, "excludes": excludes or {},
             "rules": rules}  # fmt: skip
    return dataclasses.field(default=default, metadata=about)


def choices_of(field):
    """Returns the allowed values of a setting: tuple of str, or None if it has no list of choices."""
    choices = field.metadata["choices"]
    return tuple(_found(choices)) if isinstance(choices, str) else choices


def rules_of(field, value):
    """Returns the rules that a value of a setting has for other settings, see `setting`; None if it has none."""
    rules = field.metadata["rules"]
    return rules and _found(rules)(value)


def _found(place):
    """Imports an object by its place: "module:NAME" -> object."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def read_value(field, value):
    """Returns a setting's value in its declared type, or raises InputError."""
    kind, optional = kind_of(field)
    if value is None or (isinstance(value, str) and optional and value.lower() in ("none", "null")):
        if optional:
            return None
        raise InputError(f"--{field.name} needs {allowed(field)}. Received: nothing.")
    try:
        value = _convert_list(value, _members(field)) if kind is tuple else _convert(value, kind)
    except yaml.YAMLError as error:
        wrong = f"--{field.name} must be {allowed(field)}: {_flat(error)}"
        raise InputError(f"{wrong}. Received: {shown(value)}.") from None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"--{field.name} must be {allowed(field)}. Received: {shown(value)}.") from None
    if kind is str:
        value = _read_text(field, value)
    if kind is tuple and _members(field) is str:
        value = tuple(_read_text(field, member) for member in value)
    rules = field.metadata
    if kind is int and value > _LARGEST_COUNT and not field.name.endswith("seed"):
        raise InputError(f"--{field.name} must be at most {_LARGEST_COUNT}. Received: {value}.")
    within = (
        (rules["minimum"] is None or value >= rules["minimum"])
        and (rules["above"] is None or value > rules["above"])
        and (rules["maximum"] is None or value <= rules["maximum"])
        and (rules["below"] is None or value < rules["below"])
        and (rules["choices"] is None or value in choices_of(field))
    )
    if not within:
        hint = did_you_mean(value, choices_of(field) or ())
        raise InputError(f"--{field.name} must be {allowed(field)}. Received: {shown(value)}.{hint}")
    return value


def shown(value):
    """Returns a value as a message shows it: str of at most about 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text):,} characters)"


def read_yaml(path):
    """Returns the settings of a YAML file as a dict; raises InputError if it cannot be read or holds something else."""
    try:
        with open(read_path(path), encoding="utf-8") as file:
            values = load_yaml(file.read(MOST_TEXT + 1))
    except OSError as error:
        raise InputError(f"--config={path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # an invalid date, endless brackets
        raise InputError(f"--config={path} is not valid YAML: {_flat(error)}.") from None
    if not isinstance(values or {}, dict):
        raise InputError(f"--config={path} must hold `name: value` lines. Received: a {type(values).__name__}.")
    return values or {}


def kind_of(field):
    """Returns (type, whether None is allowed) of a field declared as `T`, `T | None` or `tuple[str, ...]`."""
    parts = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    kind = next(part for part in parts if part is not types.NoneType)
    return typing.get_origin(kind) or kind, types.NoneType in parts


def _read_text(field, text):
    """Returns the text of a setting, with `~` in a path expanded; raises InputError if it is not valid text.

    Command-line words that are invalid in the locale's encoding contain surrogates, but may still be UTF-8, as with
    LANG=C. TensorFlow's file functions accept only UTF-8.
    """
    with contextlib.suppress(UnicodeError):
        text = os.fsencode(text).decode()
    if not text or "\0" in text or text.encode("utf-8", "ignore").decode() != text:
        what = "UTF-8 text without U+0000" if text else "left out, or given a value; it is empty"
        raise InputError(f"--{field.name} must be {what}. Received: {shown(text)}.")
    return read_path(text) if field.metadata["path"] else text


def _flat(error):
    return " ".join(str(error).split()).rstrip(".")


def _members(field):
    """Returns the type of a list's members."""
    return typing.get_args(field.type)[0]


def _convert(value, kind):
    if kind is dict:
        value = load_yaml(value) if isinstance(value, str) else value
        if not all(isinstance(mapping, dict) for mapping in (value if isinstance(value, list) else [value])):
            raise TypeError(value)
        return value
    if kind is bool:
        return read_truth(value)
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(value)
    if kind is not str and not abs(float(value)) < _LARGEST[kind]:
        raise ValueError(value)
    if kind is int and isinstance(value, float):
        if not value.is_integer():
            raise ValueError(value)
        return int(value)
    return kind(value)


def read_truth(value):
    """Returns a bool given as such or as text, such as "yes"; raises KeyError or AttributeError otherwise."""
    return value if isinstance(value, bool) else _BOOLEANS[value.lower()]


def _convert_list(value, kind):
    """Returns the members of a list, all of one type; numbers may be given as text, separated by commas."""
    if isinstance(value, dict):
        value = [f"{name}={number}" for name, number in value.items()]
    parts = [value] if isinstance(value, (str, int, os.PathLike)) else list(value)
    if kind is int:
        parts = [number for part in parts for number in str(part).split(",")]
    return tuple(_convert(part, kind) for part in parts)


def read_amounts(name, entries, minimum=None, whole=False):
    """Returns the amounts of a LABEL=NUMBER setting: dict of label (str) -> float. Raises InputError.

    Args:
        name: str. The setting.
        entries: sequence of str. The number follows the last "=".
        minimum: number. The smallest allowed; None: any number above 0.
        whole: bool. Whether the numbers must be integers.
    """
    amounts = {}
    for entry in entries:
        label, _, text = entry.rpartition("=")
        try:
            amount = int(text) if whole else float(text)
        except ValueError:
            amount = math.nan
        if not label or not (amount > 0 if minimum is None else amount >= minimum) or math.isinf(amount):
            bound = "above 0" if minimum is None else f"of at least {minimum}"
            kind = "whole number" if whole else "number"
            raise InputError(f"--{name} takes LABEL=NUMBER, with a {kind} {bound}. Received: {entry!r}.")
        if label in amounts:
            raise InputError(f"--{name} names the label {label!r} twice.")
        amounts[label] = amount
    return amounts


def allowed(field):
    """Returns a description of the values that a setting allows: str."""
    kind, _ = kind_of(field)
    rules = field.metadata
    if rules["choices"]:
        return " | ".join(choices_of(field))
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        tuple: "a list",
        dict: "a mapping, or a list of mappings",
    }[kind]
    bounds = [
        f"{word} {rules[rule]}"
        for rule, word in (("minimum", "≥"), ("above", ">"), ("maximum", "≤"), ("below", "<"))
        if rules[rule] is not None
    ]
    return " ".join([words, " and ".join(bounds)]).strip()


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
# Just beyond the largest numbers of int64 and float32.
_LARGEST = {int: 2**63, float: 3.4e38}
# All integers except seeds become sizes or counts, some of which have 32 bits.
_LARGEST_COUNT = 2**31 - 1
