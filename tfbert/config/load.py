"""The settings of a run, from YAML, keywords and flags; and the flags and the README table, from the settings.

Precedence, lowest first: default, YAML file, keyword of `load_config`, flag.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import json
import os
import re
import sys
from typing import Any

import yaml
from absl import flags

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
        return {name: getattr(getattr(self, group), name) for name, group in _GROUP_OF.items()}

    def within(self, scope):
        """Returns the settings whose values decide what a scope says: Scope -> dict of name -> value."""
        return {name: value for name, value in self.as_dict().items() if scope in scope_of(name)}

    def stages(self):
        """Returns the stages of a recipe, in order: list of (name, Config); InputError for a mistake in any of them."""
        found, preset = [], self.model.preset
        for stage in self.training.stages or []:
            ((name, settings),) = stage.items()
            folder = os.path.join(self.training.output_dir or "", name)
            own = {"preset": preset, "output_dir": folder}
            own |= {"vocab_file": None} if found else {}  # the stage before has left its own beside its model
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
        **settings: values that win over the file's.

    Raises:
        InputError: an unknown name, a value of the wrong type or out of range, or settings that exclude each other.
    """
    values = {} if path is None else read_yaml(path)
    values.update(settings)
    groups = {group: {} for group in _GROUPS}
    for name, value in values.items():
        groups[_GROUP_OF[_known(name)]][name] = parse(name, value)
    config = Config(**{group: _GROUPS[group](**chosen) for group, chosen in groups.items()})
    check_together(config, FIELDS)
    return config


def parse(name, value):
    """Returns a setting's value in the type it was declared with, or raises InputError.

    Strings are read as a command line's are, so that YAML's 2e-5 (a string, in YAML 1.1) is a number.
    """
    value = read_value(FIELDS[_known(name)], value)
    if name == "stages" and value is not None:
        return [_stage(stage) for stage in (value if isinstance(value, list) else [value])]
    if name != "sweep" or value is None:
        return value
    mappings = value if isinstance(value, list) else [value]
    return [{key: _sweep_values(key, spec) for key, spec in mapping.items()} for mapping in mappings]


def scope_of(name):
    """Returns what the value of a setting decides: str -> Scope."""
    return FIELDS[_known(name)].metadata["scope"]


def given_settings(config):
    """Returns the names of the settings that are not at their default: Config -> set of str."""
    return {name for name, value in config.as_dict().items() if value != FIELDS[name].default}


def changes(before, now):
    """Returns which of the settings that decide a run's result have changed, in words: (dict, dict) -> list of str.

    What is no setting, as the digest of some data, decides it, too.
    """
    before, now = (json.loads(json.dumps(settings)) for settings in (before, now))  # tuples come back as lists
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) and (name not in FIELDS or Scope.RESULT in scope_of(name))
    ]


def define_flags():
    """Defines one absl flag a setting, and --config; call once, before absl parses the command line."""
    module, serializer = sys.argv[0], flags.ArgumentSerializer()
    flags.DEFINE_string("config", None, "YAML file of settings; flags win over it.", module_name=module)
    for name, field in FIELDS.items():
        kind, _ = kind_of(field)
        text = f"{field.metadata['help']}. Allowed: {allowed(field)}."
        if kind is bool:
            flag = flags.BooleanFlag(name, field.default, text)
            flag.parser = _FlagParser(name)  # absl's own raises a tuple, and knows no "yes", which YAML's takes
            flags.DEFINE_flag(flag, module_name=module)
        elif kind is tuple:
            flags.DEFINE_multi_string(name, list(field.default), text, module_name=module)
        else:
            flags.DEFINE(_FlagParser(name), name, field.default, text, module_name=module, serializer=serializer)


def parse_flags(arguments):
    """Returns what of a command line is no flag: list of str; ends the process for a wrong flag."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        message = re.sub(r"^flag --(\w+)=.*: (?=--\1 must )", "", str(error), flags=re.DOTALL)  # ours names it, too
        sys.exit(f"Error: {message}\n--help shows every flag.")
    except (UnicodeDecodeError, RecursionError) as error:
        sys.exit(f"Error: the --flagfile is no text that can be read: {error}.")


def config_from_flags():
    """Returns the `Config` of the parsed command line: --config's file, under the flags that were given."""
    given = {name: flags.FLAGS[name].value for name in FIELDS if flags.FLAGS[name].present}
    return load_config(flags.FLAGS.config, **given)


def flags_table():
    """Returns the README's table of flags, in Markdown, by group."""
    lines = []
    for group, members in _GROUPS.items():
        lines += [f"**{group}**: {members.__doc__}", "", "| flag | default | meaning | allowed |", "|---|---|---|---|"]
        for field in dataclasses.fields(members):
            default = "" if field.default in (None, ()) else f"`{field.default}`".lower()
            cells = [f"`--{field.name}`", default, field.metadata["help"], allowed(field)]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _with_held_out(stage, later):
    """Returns a stage on raw text with what later stages are scored on held out of it, unless it says what is."""
    scored = [config for _, config in later if not _reads_raw_text(config)]
    if not _reads_raw_text(stage) or stage.pretraining.held_out or not scored:
        return stage
    columns = [name for config in scored for name in config.data.text_columns]
    files = [name for config in scored for name in (config.data.dev_file, config.data.test_file) if name]
    return stage.replace(held_out=list(dict.fromkeys(files)), held_out_columns=list(dict.fromkeys(columns)))


def _reads_raw_text(config):
    """Says whether texts can be held out of what a run reads."""
    rules = rules_of(FIELDS["task"], config.model.task)
    return "held_out" not in rules.ignores


def _stage(stage):
    """Returns a stage, {name: {setting: value}}, its values read."""
    if len(stage) != 1 or not all(isinstance(settings, dict) for settings in stage.values()):
        raise InputError(
            f"--stages takes a list of stages, [{{NAME: {{setting: value, …}}}}, …]. Received: {shown(stage)}."
        )
    ((name, settings),) = stage.items()
    if not re.fullmatch(r"\w[\w.-]*", str(name)):
        raise InputError(f"The name of a stage must be one of a folder. Received: {shown(name)}.")
    for setting in settings:
        if Scope.WHOLE in scope_of(setting):
            raise InputError(f"The stage {name!r} cannot have its own {setting}; give it beside stages.")
    values = {setting: parse(setting, value) for setting, value in settings.items()}
    return {str(name): {setting: list(v) if isinstance(v, tuple) else v for setting, v in values.items()}}


def _sweep_values(name, spec):
    """Returns what a setting is to be in a sweep: a list of its values, or {"low", "high", "log"}."""
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
        f"--sweep takes for each setting a list of values, a number of seeds, or a range of a number, "
        f"{{low: …, high: …, log: true}}. Received for {name}: {shown(spec)}."
    )


class _FlagParser(flags.ArgumentParser):
    syntactic_help = ""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def parse(self, argument):
        return parse(self._name, argument)

    def flag_type(self):
        return "string"


def _known(name):
    if not isinstance(name, str) or name not in _GROUP_OF:
        close = difflib.get_close_matches(str(name), _GROUP_OF, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"Unknown setting {shown(name)}; {hint}The known ones: {', '.join(_GROUP_OF)}.")
    return name


# More seeds than anybody runs: a list of them would fill the memory.
_MOST_SEEDS = 10_000
_GROUPS = {field.name: type(field.default) for field in dataclasses.fields(Config)}
FIELDS = {field.name: field for group in _GROUPS.values() for field in dataclasses.fields(group)}
_GROUP_OF = {field.name: name for name, group in _GROUPS.items() for field in dataclasses.fields(group)}
