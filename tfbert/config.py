"""Every setting once: name, type, default, meaning, range; from it the flags, the YAML keys and the README table.

Precedence, lowest first: default, YAML file, keyword of `load_config`, flag.
"""

import dataclasses
import difflib
import sys

import yaml
from absl import flags

from tfbert.combinations import check_together
from tfbert.errors import InputError
from tfbert.settings import allowed, kind_of, read_value, read_yaml, setting


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
    halve_dev: bool = setting(
        False,
        "Let one half of dev_file, of the same labels, choose the best checkpoint, and the other be the test rows",
    )
    halve_dev_seed: int = setting(0, "Seed of that split, the same for all runs that are to be compared", minimum=0)
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
    long_text: str = setting(
        "head",
        "What is kept of a text that is longer: its beginning, its end, or some of each",
        choices=("head", "tail", "head_tail"),
    )
    head_pieces: int | None = setting(
        None, "Pieces from the beginning with head_tail; default: a quarter, 128 of 510", minimum=1
    )
    truncation: str = setting(
        "longest_first",
        "Which side of a pair is cut; longest_first: piece by piece the longer one, as BERT does",
        choices=("longest_first", "only_first", "only_second"),
    )
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
    pooling: str = setting(
        "pooler",
        "How a sequence becomes a vector: pooler, cls, mean or max of the last layer; layer:K, first_last, "
        "last4_concat, last4_mean, last4_max, all_concat, all_mean or scalar_mix of [CLS] in several",
    )
    head_layers: tuple[int, ...] = setting((), "Widths of dense layers below the head's last: 256,64")
    head_activation: str = setting(
        "tanh", "What follows each of head_layers", choices=("tanh", "relu", "gelu", "gelu_new")
    )
    dropout: float | None = setting(
        None, "Dropout rate in encoder and head; default: the preset's", minimum=0.0, maximum=0.9
    )
    reinit_layers: int = setting(0, "Give so many of the top layers new weights", minimum=0)
    reinit_pooler: bool = setting(False, "Give the pooler new weights")
    mixout: float = setting(
        0.0,
        "In place of the encoder's dropout, let its dense layers fall back on their pre-trained weights with this "
        "probability",
        minimum=0.0,
        below=1.0,
    )
    label_smoothing: float = setting(
        0.0, "Share of the target spread evenly over the labels, in training", minimum=0.0, below=1.0
    )
    cache_dir: str | None = setting(None, "Where fetched weights are kept; default: $TFBERT_CACHE or ~/.cache/tfbert")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser, its schedule, and what it trains."""

    optimizer: str = setting("adamw", "AdamWeightDecay, or LAMB for large batches", choices=("adamw", "lamb"))
    learning_rate: float = setting(2e-5, "Peak learning rate", above=0.0)
    schedule: str = setting(
        "linear",
        "How the learning rate falls after the warm-up; slanted_triangular: linearly, from and to a 32nd of the peak",
        choices=("linear", "cosine", "polynomial", "constant", "slanted_triangular"),
    )
    polynomial_power: float = setting(2.0, "Power of the polynomial schedule", above=0.0)
    warmup_proportion: float = setting(
        0.1, "Share of the steps in which the learning rate rises from 0", minimum=0.0, maximum=1.0
    )
    warmup_steps: int | None = setting(
        None, "Steps in which the learning rate rises; overrides warmup_proportion", minimum=0
    )
    weight_decay: float = setting(0.01, "Decoupled weight decay; never on LayerNorm and biases", minimum=0.0)
    prior_weight_decay: bool = setting(
        False, "Let weight decay pull toward the pre-trained values; new weights (the head) still decay toward 0"
    )
    bias_correction: bool = setting(True, "Adam's bias correction; off: the optimiser of google-research/bert")
    max_grad_norm: float = setting(1.0, "Clip gradients to this global norm; 0: no clipping", minimum=0.0)
    layer_lr_decay: float = setting(
        1.0, "Learning rate of each layer, relative to the layer above it", above=0.0, maximum=1.0
    )
    head_lr_multiplier: float = setting(1.0, "Learning rate of the head, relative to learning_rate", minimum=0.0)
    lr_multipliers: tuple[str, ...] = setting(
        (),
        "REGEX=VALUE on whole variable paths, first match wins, before freezing, layer decay and head; 0 freezes; "
        "repeatable",
    )
    freeze: str = setting(
        "none",
        "What is not trained; encoder: embeddings, layers and pooler, so that only the head is",
        choices=("none", "embeddings", "encoder"),
    )
    freeze_layers: int = setting(0, "Do not train so many of the lowest layers, nor the embeddings", minimum=0)
    unfreeze_steps: int | None = setting(
        None,
        "Gradual unfreezing: start with head and pooler, let one more layer join from the top every so many steps, "
        "the embeddings last",
        minimum=1,
    )
    ema_decay: float | None = setting(
        None, "Evaluate and save an average of the weights over the steps, with this decay a step", above=0.0, below=1.0
    )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The run: how long, how often, how large."""

    mode: str = setting("train", "What to do", choices=("train", "sweep", "evaluate", "predict", "preflight"))
    output_dir: str | None = setting(None, "Folder for everything that is written; local or gs://")
    overwrite: bool = setting(False, "Replace what an earlier run left in output_dir")
    resume_changed: bool = setting(False, "Go on from a checkpoint although settings or data have changed since")
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
    eval_steps: int | None = setting(None, "Steps between evaluations on dev_file; default: an epoch", minimum=1)
    evaluations: int | None = setting(
        None, "Evaluations on dev_file, evenly over the run and at its end; instead of eval_steps", minimum=1
    )
    patience: int | None = setting(
        None, "Stop after so many evaluations without a better dev score; default: never", minimum=1
    )
    best_metric: str | None = setting(None, "Dev metric that chooses the best checkpoint; default: the task's own")
    save_checkpoints_steps: int = setting(1000, "Steps between checkpoints", minimum=1)
    keep_checkpoints: int = setting(2, "Newest checkpoints kept", minimum=1)
    save_summary_steps: int | None = setting(
        None,
        "Steps between lines in metrics.jsonl and TensorBoard; default: a fiftieth of the run, at most 500",
        minimum=1,
    )
    stop_failed_runs: bool = setting(
        False, "Stop a run that shows the signs of failure and scores no better than one answer to every text"
    )
    seed: int = setting(0, "Seed of everything random", minimum=0)
    init_seed: int | None = setting(None, "Seed of new weights; default: seed", minimum=0)
    data_seed: int | None = setting(None, "Seed of order and dropout; default: seed", minimum=0)


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Many runs: what varies between them, and who does them."""

    sweep: dict | None = setting(
        None,
        "What varies, in YAML: {learning_rate: [2e-5, 5e-5], seed: 20}; a number of seeds means 0, 1, …; a list of "
        "such mappings: one grid after another; {low: 1e-5, high: 1e-4, log: true}: a range, for a search",
    )
    sweep_trials: int | None = setting(
        None, "Search with so many trials (Optuna's TPE), by dev score; default: the whole grid", minimum=1
    )
    sweep_store: str | None = setting(
        None,
        "Database of the trials, which several workers may share, as SQLAlchemy names it (postgresql://…); "
        "default: OUTPUT_DIR/sweep.db",
    )


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """The devices."""

    strategy: str = setting(
        "auto",
        "Devices; auto: the TPU of --tpu, or the machines of TF_CONFIG or --worker_hosts, or every GPU, or the CPU",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
    )
    tpu: str | None = setting(None, "TPU: local on a TPU VM, or a name or address")
    worker_hosts: tuple[str, ...] = setting(
        (), "HOST:PORT of a machine that trains along, this one included; repeatable, in the same order on all"
    )
    worker_index: int | None = setting(None, "This machine's place in worker_hosts, from 0", minimum=0)
    virtual_devices: int = setting(
        1, "Split the CPU into so many devices, to try a multi-device run anywhere", minimum=1
    )
    mixed_precision: str = setting(
        "none", "Arithmetic of the encoder; weights stay float32", choices=("none", "bfloat16")
    )
    remat: bool = setting(
        False, "Keep no more of a layer than its input, and compute the rest again in the backward pass: saves memory"
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
    sweep: SweepConfig = SweepConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def as_dict(self):
        """Returns the settings as a flat dict, name -> value, in the order of declaration."""
        return {name: getattr(getattr(self, group), name) for name, group in _GROUP_OF.items()}

    def replace(self, **settings):
        """Returns a Config with some settings changed; raises InputError as `load_config` does."""
        return load_config(**(self.as_dict() | settings))

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
    values = read_yaml(path) if path else {}
    values.update(settings)
    groups = {group: {} for group in _GROUPS}
    for name, value in values.items():
        groups[_GROUP_OF[_known(name)]][name] = parse(name, value)
    config = Config(**{group: _GROUPS[group](**chosen) for group, chosen in groups.items()})
    check_together(config)
    return config


def check_complete(config):
    """Raises InputError where the mode needs a setting that nobody gave."""
    needed = {
        "train": ("preset", "train_file", "output_dir"),
        "sweep": ("preset", "train_file", "dev_file", "output_dir", "sweep"),
        "evaluate": ("test_file", "output_dir"),
        "predict": ("test_file", "output_dir"),
        "preflight": () if config.runtime.doctor else ("preset", "train_file", "output_dir", "topology"),
    }[config.training.mode]
    values = config.as_dict()
    means = {name: FIELDS[name].metadata["help"].split(":")[0].lower() for name in needed}
    missing = ", ".join(f"--{name} ({means[name]})" for name in needed if not values[name])
    if missing:
        raise InputError(f"--mode={config.training.mode} needs {missing}.")


def parse(name, value):
    """Returns a setting's value in the type it was declared with, or raises InputError.

    Strings are read as a command line's are, so that YAML's 2e-5 (a string, in YAML 1.1) is a number.
    """
    value = read_value(FIELDS[_known(name)], value)
    if name != "sweep" or value is None:
        return value
    mappings = value if isinstance(value, list) else [value]
    return [{key: _sweep_values(key, spec) for key, spec in mapping.items()} for mapping in mappings]


def define_flags():
    """Defines one absl flag a setting, and --config; call once, before absl parses the command line."""
    module, serializer = sys.argv[0], flags.ArgumentSerializer()
    flags.DEFINE_string("config", None, "YAML file of settings; flags win over it.", module_name=module)
    for name, field in FIELDS.items():
        kind, _ = kind_of(field)
        text = f"{field.metadata['help']}. Allowed: {allowed(field)}."
        if kind is bool:
            flags.DEFINE_boolean(name, field.default, text, module_name=module)
        elif kind is tuple:
            flags.DEFINE_multi_string(name, list(field.default), text, module_name=module)
        else:
            flags.DEFINE(_FlagParser(name), name, field.default, text, module_name=module, serializer=serializer)


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


def _sweep_values(name, spec):
    """Returns what a setting is to be in a sweep: a list of its values, or {"low", "high", "log"}."""
    group = _GROUP_OF[_known(name)]
    if group == "sweep" or name in ("mode", "output_dir", "overwrite", "resume_changed"):
        raise InputError(f"--sweep cannot vary {name}.")
    if name.endswith("seed") and isinstance(spec, int) and spec > 0:
        return list(range(spec))
    if isinstance(spec, list) and spec:
        return [parse(name, value) for value in spec]
    kind, _ = kind_of(FIELDS[name])
    if isinstance(spec, dict) and {"low", "high"} <= spec.keys() <= {"low", "high", "log"} and kind in (int, float):
        low, high = parse(name, spec["low"]), parse(name, spec["high"])
        if low < high:
            return {"low": low, "high": high, "log": bool(spec.get("log", False))}
    raise InputError(
        f"--sweep takes for each setting a list of values, a number of seeds, or a range of a number, "
        f"{{low: …, high: …, log: true}}. Received for {name}: {spec!r}."
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
    if name not in _GROUP_OF:
        close = difflib.get_close_matches(name, _GROUP_OF, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"Unknown setting {name!r}; {hint}The known ones: {', '.join(_GROUP_OF)}.")
    return name


_GROUPS = {field.name: type(field.default) for field in dataclasses.fields(Config)}
FIELDS = {field.name: field for group in _GROUPS.values() for field in dataclasses.fields(group)}
_GROUP_OF = {field.name: name for name, group in _GROUPS.items() for field in dataclasses.fields(group)}
