"""The settings of a run, read from YAML and keywords, and the table that documents them.

Precedence, lowest first: default, YAML file, keyword of `load_config`, flag.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from typing import Any

import yaml

from tfbert.config.checks import check_together
from tfbert.config.groups import (
    BalanceConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PretrainingConfig,
    RuntimeConfig,
    SweepConfig,
    TrainingConfig,
)
from tfbert.config.setting import Scope, allowed, kind_of, read_truth, read_value, read_yaml, rules_of, shown
from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, by group."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    balance: BalanceConfig = BalanceConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    sweep: SweepConfig = SweepConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def as_dict(self):
        """Returns the settings as a flat dict, name -> value, in the order of declaration."""
        return {name: getattr(getattr(self, group), name) for name, group in GROUP_OF.items()}

    def within(self, scope):
        """Returns the settings whose values affect what a scope stands for: Scope -> dict of name -> value."""
        return {name: value for name, value in self.as_dict().items() if scope in scope_of(name)}

    def stages(self):
        """Returns the stages of a recipe, in order: list of (name, Config); InputError for a mistake in any of them."""
        found, preset = [], self.model.preset
        for stage in self.training.stages or []:
            ((name, settings),) = stage.items()
            folder = os.path.join(self.training.output_dir or "", name)
            own = {"preset": preset, "output_dir": folder}
            own |= {"vocab_file": None} if found else {}  # a later stage reads the one saved with its model
            own |= settings | {"stages": None}
            try:
                found.append((name, self.replace(**own)))
            except InputError as error:
                raise InputError(f"In the stage {name!r}: {error}") from None
            preset = os.path.join(folder, "model")
        return [(name, _with_held_out(stage, found[number + 1 :])) for number, (name, stage) in enumerate(found)]

    def replace(self, **settings):
        """Returns a Config with some settings changed; raises InputError as `load_config` does."""
        return load_config(**(self.as_dict() | settings))

    def to_yaml(self):
        """Returns the settings as YAML that `load_config` reads back to an equal Config."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.as_dict().items()}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def load_config(path: str | os.PathLike | None = None, **settings: Any) -> Config:
    """Returns the `Config` of a YAML file and keywords over the defaults.

    Args:
        path: str. A YAML file of flat `name: value` pairs, the names being those of the flags.
        **settings: values that override those of the file.

    Raises:
        InputError: an unknown name, a value of the wrong type or out of range, or settings that exclude each other.

    Example:
        >>> config = tfbert.load_config(learning_rate=3e-5, train_batch_size=16)
        >>> config.optimizer.learning_rate, config.training.num_train_epochs
        (3e-05, 3.0)
    """
    values = {} if path is None else read_yaml(path)
    values.update(settings)
    groups = {group: {} for group in GROUPS}
    for name, value in values.items():
        groups[GROUP_OF[_known(name)]][name] = parse(name, value)
    config = Config(**{group: GROUPS[group](**chosen) for group, chosen in groups.items()})
    check_together(config, FIELDS)
    return config


def parse(name, value):
    """Returns a setting's value in the type it was declared with, or raises InputError.

    Strings are read as on the command line, so that YAML's 2e-5 (a string in YAML 1.1) is a number.
    """
    value = read_value(FIELDS[_known(name)], value)
    if name == "stages" and value is not None:
        return [_stage(stage) for stage in (value if isinstance(value, list) else [value])]
    if name != "sweep" or value is None:
        return value
    mappings = value if isinstance(value, list) else [value]
    return [{key: _sweep_values(key, spec) for key, spec in mapping.items()} for mapping in mappings]


def unknown_setting(name, dashes=""):
    """Returns the message for a name that no setting has: what it is called here, or which name is close.

    Args:
        name: the name that was received, of any type.
        dashes: str. The prefix of names in the message: "--" on the command line.
    """
    for ours, field in FIELDS.items():
        for alias in field.metadata["also"].split():
            theirs, _, value = alias.partition("=")
            if theirs == str(name).replace("-", "_").lower():
                if value:
                    return f"For {dashes}{name} write {dashes}{ours}={value}."
                return f"{dashes}{name} is called {dashes}{ours} here."
    hint = did_you_mean(name, FIELDS)
    if not hint and not dashes:  # on the command line --help lists them
        hint = f" The known ones: {', '.join(FIELDS)}."
    return f"Unknown setting {shown(name)}.{hint}"


def scope_of(name):
    """Returns what the value of a setting affects: str -> Scope."""
    return FIELDS[_known(name)].metadata["scope"]


def given_settings(config):
    """Returns the names of the settings that are not at their default: Config -> set of str."""
    return {name for name, value in config.as_dict().items() if value != FIELDS[name].default}


def changes(before, now):
    """Returns descriptions of the changed settings that affect a run's result: (dict, dict) -> list of str.

    Entries that are not settings, such as a digest of the data, affect it too.
    """
    before, now = (json.loads(json.dumps(settings)) for settings in (before, now))  # tuples come back as lists
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and (name not in FIELDS or Scope.RESULT in scope_of(name))
    ]


def flags_table():
    """Returns the README's table of flags, in Markdown, by group."""
    lines = []
    for group, members in GROUPS.items():
        lines += [f"**{group}**: {members.__doc__}", "", "| flag | default | meaning | allowed |", "|---|---|---|---|"]
        for field in dataclasses.fields(members):
            default = "" if field.default in (None, ()) else f"`{field.default}`".lower()
            cells = [f"`--{field.name}`", default, field.metadata["help"], allowed(field)]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _with_held_out(stage, later):
    """Returns a stage on raw text, with the data that later stages are scored on held out unless it sets held_out."""
    scored = [config for _, config in later if not _reads_raw_text(config)]
    if not _reads_raw_text(stage) or stage.pretraining.held_out or not scored:
        return stage
    names = ("dev_share", "test_share")
    if shares := [name for config in scored for name in names if getattr(config.data, name)]:
        raise InputError(
            f"--{shares[0]} of a later stage takes rows out of its train_file, which cannot be held out of the raw "
            "text of an earlier one; split the file first, and give --dev_file and --test_file, or say --held_out."
        )
    columns = [name for config in scored for name in config.data.text_columns(_rules(config).default_columns[:2])]
    files = [name for config in scored for name in (config.data.dev_file, config.data.test_file) if name]
    return stage.replace(held_out=list(dict.fromkeys(files)), held_out_columns=list(dict.fromkeys(columns)))


def _reads_raw_text(config):
    """Returns whether texts can be held out of the data that a run reads."""
    return "held_out" not in _rules(config).ignores


def _rules(config):
    return rules_of(FIELDS["task"], config.model.task)


def _stage(stage):
    """Returns a stage, {name: {setting: value}}, with its values parsed."""
    if len(stage) != 1 or not all(isinstance(settings, dict) for settings in stage.values()):
        raise InputError(
            f"--stages takes a list of stages, [{{NAME: {{setting: value, …}}}}, …]. Received: {shown(stage)}."
        )
    ((name, settings),) = stage.items()
    if not re.fullmatch(r"\w[\w.-]*", str(name)):
        raise InputError(f"The name of a stage must be usable as a folder name. Received: {shown(name)}.")
    for setting in settings:
        if Scope.WHOLE in scope_of(setting):
            raise InputError(f"The stage {name!r} cannot have its own {setting}; set it outside of stages.")
    values = {setting: parse(setting, value) for setting, value in settings.items()}
    return {str(name): {setting: list(v) if isinstance(v, tuple) else v for setting, v in values.items()}}


def _sweep_values(name, spec):
    """Returns the values of a setting in a sweep: a list, or {"low", "high", "log"}."""
    if Scope.WHOLE in scope_of(name):
        raise InputError(f"--sweep cannot vary {name}.")
    if name.endswith("seed") and type(spec) is int and 0 < spec <= _MOST_SEEDS:
        return list(range(spec))
    if isinstance(spec, list) and spec:
        return [parse(name, value) for value in spec]
    kind, _ = kind_of(FIELDS[name])
    if isinstance(spec, dict) and {"low", "high"} <= spec.keys() <= {"low", "high", "log"} and kind in (int, float):
        low, high = parse(name, spec["low"]), parse(name, spec["high"])
        with contextlib.suppress(AttributeError, KeyError, TypeError):
            if low < high:
                return {"low": low, "high": high, "log": read_truth(spec.get("log", False))}
    raise InputError(
        f"--sweep takes, for each setting, a list of values, a number of seeds, or a numeric range, "
        f"{{low: …, high: …, log: true}}. Received for {name}: {shown(spec)}."
    )


def _known(name):
    if not isinstance(name, str) or name not in GROUP_OF:
        raise InputError(unknown_setting(name))
    return name


# More seeds than anyone runs; a longer list would fill the memory.
_MOST_SEEDS = 10_000
GROUPS = {field.name: type(field.default) for field in dataclasses.fields(Config)}
FIELDS = {field.name: field for group in GROUPS.values() for field in dataclasses.fields(group)}
GROUP_OF = {field.name: name for name, group in GROUPS.items() for field in dataclasses.fields(group)}
