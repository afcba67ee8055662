"""Every setting once: name, type, default, meaning, range; from it the flags, the YAML keys and the README table.

Precedence, lowest first: default, YAML file, keyword of `load_config`, flag.
"""

import dataclasses
import difflib
import sys
import types
import typing

import yaml
from absl import flags

from tfbert.errors import InputError


def setting(default, help, *, minimum=None, above=None, maximum=None, choices=None):
    """Declares one setting: a dataclass field with its meaning and the values allowed.

    Args:
        default: the value when nobody gives one; a list setting has a tuple.
        help: str. What it means, with its unit; one sentence without a full stop.
        minimum, above, maximum: number. The range: at least, more than, at most.
        choices: sequence of str. The only values allowed.
    """
    rules = {"help": help, "minimum": minimum, "above": above, "maximum": maximum, "choices": choices}
    return dataclasses.field(default=default, metadata=rules)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is read, and how it becomes pieces."""

    train_file: str | None = setting(
        None,
        "Training rows: a path or glob (.tsv, .csv, .jsonl, .parquet, .tfrecord, .txt; .gz too; local or gs://), "
        "a raw GLUE folder such as glue_data/MRPC, or tfds:NAME[/CONFIG]:SPLIT",
    )
    dev_file: str | None = setting(None, "Rows that choose the best checkpoint; written as train_file is")
    test_file: str | None = setting(None, "Rows to score with the best checkpoint, to evaluate, or to predict")
    text_column: str = setting("text", "Column of the text")
    text_pair_column: str | None = setting(None, "Column of the second text, for tasks on pairs")
    label_column: str = setting("label", "Column of the label (multilabel: a list, or labels separated by commas)")
    id_column: str = setting("id", "Column copied to the predictions, where the data has it")
    quoting: str = setting(
        "auto",
        "Whether fields of TSV and CSV may stand in double quotes; auto: CSV on, TSV off",
        choices=("auto", "on", "off"),
    )
    max_seq_length: int = setting(128, "Pieces of a sequence, [CLS] and [SEP] included; the rest is cut off", minimum=4)
    do_lower_case: bool | None = setting(None, "Lower-case and strip accents; default: as the preset was trained")
    limit_train_rows: int | None = setting(None, "Train on the first rows only", minimum=1)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The encoder and what stands on it."""

    task: str = setting("classification", "What is predicted", choices=("classification", "multilabel", "regression"))
    preset: str | None = setting(
        None,
        "Pre-trained BERT: a Keras preset name or handle, hf://ORG/NAME, a folder (Keras, Hugging Face, Google TF1, "
        "or a model saved by tfbert), or minilm; default for evaluate and predict: OUTPUT_DIR/model",
    )
    pooling: str = setting("pooler", "How a sequence becomes a vector", choices=("pooler", "cls", "mean", "max"))
    dropout: float | None = setting(
        None, "Dropout rate in encoder and head; default: the preset's", minimum=0.0, maximum=0.9
    )
    cache_dir: str | None = setting(None, "Where fetched weights are kept; default: $TFBERT_CACHE or ~/.cache/tfbert")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamWeightDecay and its schedule."""

    learning_rate: float = setting(2e-5, "Peak learning rate", above=0.0)
    warmup_proportion: float = setting(
        0.1, "Share of the steps in which the learning rate rises from 0", minimum=0.0, maximum=1.0
    )
    weight_decay: float = setting(0.01, "Decoupled weight decay; never on LayerNorm and biases", minimum=0.0)
    bias_correction: bool = setting(True, "Adam's bias correction; off: the optimiser of google-research/bert")
    max_grad_norm: float = setting(1.0, "Clip gradients to this global norm; 0: no clipping", minimum=0.0)
    layer_lr_decay: float = setting(
        1.0, "Learning rate of each layer, relative to the layer above it", above=0.0, maximum=1.0
    )
    head_lr_multiplier: float = setting(1.0, "Learning rate of the head, relative to learning_rate", minimum=0.0)
    lr_multipliers: tuple[str, ...] = setting(
        (), "REGEX=VALUE on whole variable paths, first match wins, before layer decay and head; 0 freezes; repeatable"
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The run: how long, how often, how large."""

    mode: str = setting("train", "What to do", choices=("train", "evaluate", "predict", "preflight"))
    output_dir: str | None = setting(None, "Folder for everything that is written; local or gs://")
    overwrite: bool = setting(False, "Replace what an earlier run left in output_dir")
    train_batch_size: int = setting(32, "Examples of one optimiser step, over all devices", minimum=1)
    eval_batch_size: int = setting(
        8, "Examples of one evaluation step, over all devices; changes speed only", minimum=1
    )
    predict_batch_size: int = setting(
        8, "Examples of one prediction step, over all devices; changes speed only", minimum=1
    )
    num_train_epochs: float = setting(3.0, "Passes over the training rows", above=0.0)
    max_steps: int | None = setting(None, "Optimiser steps; overrides num_train_epochs", minimum=1)
    gradient_accumulation_steps: int = setting(
        1, "Parts in which a batch goes through the model; saves memory, changes nothing else", minimum=1
    )
    remat: bool = setting(
        False, "Compute each layer again in the backward pass: less memory, about a third more work, the same numbers"
    )
    eval_steps: int | None = setting(None, "Steps between evaluations on dev_file; default: an epoch", minimum=1)
    best_metric: str | None = setting(None, "Dev metric that chooses the best checkpoint; default: the task's own")
    save_checkpoints_steps: int = setting(1000, "Steps between checkpoints", minimum=1)
    keep_checkpoints: int = setting(2, "Newest checkpoints kept", minimum=1)
    save_summary_steps: int = setting(500, "Steps between lines in metrics.jsonl and TensorBoard", minimum=1)
    seed: int = setting(0, "Seed of everything random", minimum=0)
    init_seed: int | None = setting(None, "Seed of new weights; default: seed", minimum=0)
    data_seed: int | None = setting(None, "Seed of order and dropout; default: seed", minimum=0)


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """The devices."""

    strategy: str = setting(
        "auto", "Devices: auto takes every GPU, else the CPU", choices=("auto", "one_device", "mirrored")
    )
    virtual_devices: int = setting(
        1, "Split the CPU into so many devices, to try a multi-device run anywhere", minimum=1
    )
    mixed_precision: str = setting(
        "none", "Arithmetic of the encoder; weights stay float32", choices=("none", "bfloat16")
    )
    xla: str = setting(
        "auto", "Compile the step with XLA; auto: on GPU and TPU, not on CPU", choices=("auto", "on", "off")
    )
    steps_per_loop: int | None = setting(
        None,
        "Steps run on the device between two looks of the host; default: 1 on CPU, 10 on GPU, 100 on TPU",
        minimum=1,
    )
    topology: str | None = setting(
        None, "TPU that preflight asks about, as Google names it: v5e-1, v5e-8, v4-8, v5p-8, v6e-8, …"
    )
    doctor: bool = setting(False, "In preflight: only check this environment's versions, variables and bucket")


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, by group."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def as_dict(self):
        """Returns the settings as a flat dict, name -> value, in the order of declaration."""
        return {name: getattr(getattr(self, group), name) for name, group in _GROUP_OF.items()}

    def to_yaml(self):
        """Returns the settings as YAML that `load_config` reads back to an equal Config."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in self.as_dict().items()}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def load_config(path=None, **settings):
    """Returns the `Config` of a YAML file and keywords over the defaults.

    Args:
        path: str. A YAML file of flat `name: value` pairs, the names being those of the flags.
        **settings: values that win over the file's.

    Raises:
        InputError: an unknown name, a value of the wrong type or out of range, or settings that exclude each other.
    """
    values = _read_yaml(path) if path else {}
    values.update(settings)
    groups = {group: {} for group in _GROUPS}
    for name, value in values.items():
        groups[_GROUP_OF[_known(name)]][name] = parse(name, value)
    config = Config(**{group: _GROUPS[group](**chosen) for group, chosen in groups.items()})
    _check_together(config)
    return config


def check_complete(config):
    """Raises InputError where the mode needs a setting that nobody gave."""
    needed = {
        "train": ("preset", "train_file", "output_dir"),
        "evaluate": ("test_file", "output_dir"),
        "predict": ("test_file", "output_dir"),
        "preflight": () if config.runtime.doctor else ("preset", "train_file", "output_dir", "topology"),
    }[config.training.mode]
    values = config.as_dict()
    missing = [
        f"--{name} ({FIELDS[name].metadata['help'].split(':')[0].lower()})" for name in needed if not values[name]
    ]
    if missing:
        raise InputError(f"--mode={config.training.mode} needs {', '.join(missing)}.")


def parse(name, value):
    """Returns a setting's value in the type it was declared with, or raises InputError.

    Strings are read as a command line's are, so that YAML's 2e-5 (a string, in YAML 1.1) is a number.
    """
    field = FIELDS[_known(name)]
    kind, optional = _kind(field)
    if value is None or (isinstance(value, str) and optional and value.lower() in ("none", "null")):
        if optional:
            return None
        raise InputError(f"--{name} needs {_allowed(field)}. Received: nothing.")
    try:
        value = _convert(value, kind)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"--{name} must be {_allowed(field)}. Received: {value!r}.") from None
    rules = field.metadata
    within = (
        (rules["minimum"] is None or value >= rules["minimum"])
        and (rules["above"] is None or value > rules["above"])
        and (rules["maximum"] is None or value <= rules["maximum"])
        and (rules["choices"] is None or value in rules["choices"])
    )
    if not within:
        raise InputError(f"--{name} must be {_allowed(field)}. Received: {value!r}.")
    return value


def define_flags():
    """Defines one absl flag a setting, and --config; call once, before absl parses the command line."""
    flags.DEFINE_string("config", None, "YAML file of settings; flags win over it.", module_name=sys.argv[0])
    for name, field in FIELDS.items():
        kind, _ = _kind(field)
        text = f"{field.metadata['help']}. Allowed: {_allowed(field)}."
        if kind is bool:
            flags.DEFINE_boolean(name, field.default, text, module_name=sys.argv[0])
        elif kind is tuple:
            flags.DEFINE_multi_string(name, list(field.default), text, module_name=sys.argv[0])
        else:
            flags.DEFINE(
                _FlagParser(name),
                name,
                field.default,
                text,
                module_name=sys.argv[0],
                serializer=flags.ArgumentSerializer(),
            )


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
            cells = [f"`--{field.name}`", default, field.metadata["help"], _allowed(field)]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


class _FlagParser(flags.ArgumentParser):
    syntactic_help = ""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def parse(self, argument):
        return parse(self._name, argument)

    def flag_type(self):
        return "string"


def _kind(field):
    """Returns (type, whether None is allowed) of a field declared as `T`, `T | None` or `tuple[str, ...]`."""
    parts = typing.get_args(field.type) if isinstance(field.type, types.UnionType) else (field.type,)
    kind = next(part for part in parts if part is not types.NoneType)
    return typing.get_origin(kind) or kind, types.NoneType in parts


def _convert(value, kind):
    if kind is tuple:
        return tuple(str(item) for item in ([value] if isinstance(value, str) else value))
    if kind is bool:
        return value if isinstance(value, bool) else _BOOLEANS[value.lower()]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(value)
    if kind is int and isinstance(value, float):
        if not value.is_integer():
            raise ValueError(value)
        return int(value)
    return kind(value)


def _allowed(field):
    kind, _ = _kind(field)
    rules = field.metadata
    if rules["choices"]:
        return " | ".join(rules["choices"])
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", tuple: "a list"}[kind]
    bounds = [
        f"{word} {rules[rule]}"
        for rule, word in (("minimum", "≥"), ("above", ">"), ("maximum", "≤"))
        if rules[rule] is not None
    ]
    return " ".join([words, " and ".join(bounds)]).strip()


def _known(name):
    if name not in _GROUP_OF:
        close = difflib.get_close_matches(name, _GROUP_OF, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"Unknown setting {name!r}; {hint}The known ones: {', '.join(_GROUP_OF)}.")
    return name


def _read_yaml(path):
    try:
        with open(path, encoding="utf-8") as file:
            values = yaml.safe_load(file)
    except OSError as error:
        raise InputError(f"--config={path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--config={path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values or {}, dict):
        raise InputError(f"--config={path} must hold `name: value` lines. Received: a {type(values).__name__}.")
    return values or {}


def _check_together(config):
    """Refuses settings that exclude or need each other."""
    data, training, runtime = config.data, config.training, config.runtime
    if runtime.virtual_devices > 1 and runtime.strategy == "one_device":
        raise InputError(
            f"--virtual_devices={runtime.virtual_devices} and --strategy=one_device exclude each other; "
            "leave one of them out."
        )
    if training.gradient_accumulation_steps > training.train_batch_size:
        raise InputError(
            f"--gradient_accumulation_steps={training.gradient_accumulation_steps} is more than "
            f"--train_batch_size={training.train_batch_size}: a part would be empty."
        )
    if training.best_metric and training.mode == "train" and not data.dev_file:
        raise InputError(f"--best_metric={training.best_metric} needs --dev_file, on which it is measured.")
    if runtime.doctor and training.mode != "preflight":
        raise InputError(f"--doctor goes with --mode=preflight. Received: --mode={training.mode}.")
    if training.eval_steps and training.mode == "train" and not data.dev_file:
        raise InputError(f"--eval_steps={training.eval_steps} needs --dev_file, on which to evaluate.")


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_GROUPS = {field.name: type(field.default) for field in dataclasses.fields(Config)}
FIELDS = {field.name: field for group in _GROUPS.values() for field in dataclasses.fields(group)}
_GROUP_OF = {field.name: name for name, group in _GROUPS.items() for field in dataclasses.fields(group)}
