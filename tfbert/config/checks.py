"""Which settings exclude or need each other."""

import math

from tfbert.config.setting import read_amounts, rules_of
from tfbert.core.errors import InputError

# Units of a dense layer: this many take 200 MB above a hidden size of 768.
_WIDEST = 2**16
# Trials that the queue of a sweep's store can hold.
_MOST_POINTS = 10_000


def check_together(config, fields):
    """Raises InputError for settings that exclude or need each other.

    What a setting needs and excludes is declared with it, or follows from the rules of its value. The checks here
    compare values.

    Args:
        config: Config.
        fields: dict of str to dataclasses.Field. The declarations of the settings, by name.
    """
    if config.training.stages:
        return _check_stages(config)  # each is checked when it is built
    _check_declared(config.as_dict(), fields)
    _check_values(config.data, config.training, config.balance, config.pretraining, config.runtime)
    _check_techniques(config.model)
    _check_balance(config.balance)
    if config.training.mode in ("train", "sweep", "inspect", "probe", "preflight"):
        _check_rules(config.as_dict(), fields)
    _check_sweep(config.sweep, config.training, config.runtime)


def _check_declared(values, fields):
    """Refuses settings given without those they need, or together with those they exclude."""
    for name, field in fields.items():
        if values[name] == field.default:
            continue
        for condition, reason in field.metadata["excludes"].items():
            if _holds(condition, values):
                both = f"{_flag(name, values)} and {_flag(condition.partition('=')[0], values)} exclude each other"
                raise InputError(f"{both}: {reason}." if reason else f"{both}; leave one of them out.")
        for condition, reason in field.metadata["needs"].items():
            if not _holds(condition, values):
                raise InputError(_needs(name, condition, reason, values))


def _holds(condition, values):
    """Returns whether a condition, written as for `setting`, holds for settings: dict of name -> value."""
    for part in condition.split(" or "):
        name, _, allowed = part.partition("=")
        if values[name] in allowed.split("|") if allowed else values[name] not in _NOT_GIVEN:
            return True
    return False


def _needs(name, condition, reason, values):
    """Returns the sentence that says which other setting is missing."""
    other, _, allowed = condition.partition("=")
    lacking = f"--{other}={_any_of(allowed.split('|'))}" if allowed else _any_of(f"--{x}" for x in other.split(" or "))
    received = f" Received: --{other}={values[other]}." if allowed else ""
    return f"{_flag(name, values)} needs {lacking}{reason and f', {reason}'}.{received}"


def _any_of(names):
    """Returns names as a phrase: "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _flag(name, values):
    """Returns a setting as a message shows it: --name=value."""
    value = values[name]
    if value is True:
        return f"--{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


# Values with which a setting counts as not given.
_NOT_GIVEN = (None, (), False, 0, "none")


def _check_values(data, training, balance, pretraining, runtime):
    """Refuses values that contradict each other."""
    short = pretraining.short_seq_length or 0
    for wrong, message in (
        (
            data.delimiter not in (None, "tab", r"\t") and not _separates(data.delimiter),
            f"--delimiter must be one character that may separate fields, or tab. Received: {data.delimiter!r}.",
        ),
        (
            not training.format and (training.output_file or "-") != "-"
            and not training.output_file.endswith((".jsonl", ".csv", ".conll")),
            "--output_file must end in .jsonl, .csv or .conll, or be -; or say --format. Received: "
            f"{training.output_file}.",
        ),
        (
            "-" in (data.train_file, data.dev_file) or (data.test_file == "-" and training.mode != "predict"),
            "Standard input (-) is read once, which only --test_file of --mode=predict may be; write the rows to a "
            "file.",
        ),
        (
            data.test_file == "-" and runtime.worker_hosts,
            "--test_file=- is read on one machine, and --worker_hosts has several; leave them out.",
        ),
        (
            data.encoding and not _is_encoding(data.encoding),
            f"--encoding must be one that Python knows, such as utf-8, cp1252, gb18030, big5, shift_jis or utf-16. "
            f"Received: {data.encoding!r}.",
        ),
        (
            short >= data.max_seq_length,
            f"--short_seq_length must be less than --max_seq_length={data.max_seq_length}, the length afterwards. "
            f"Received: {short}.",
        ),
        (
            training.gradient_accumulation_steps > training.train_batch_size,
            f"--gradient_accumulation_steps={training.gradient_accumulation_steps} is more than "
            f"--train_batch_size={training.train_batch_size}; a part would be empty.",
        ),
        (
            (data.dev_share or 0) + (data.test_share or 0) >= 1,
            f"--dev_share and --test_share must be less than 1 together: the rest is trained on. Received: "
            f"{data.dev_share} and {data.test_share}.",
        ),
        (
            (data.head_pieces or 0) > data.max_seq_length - 2,
            f"--head_pieces must be at most {data.max_seq_length - 2}, the tokens of a sequence without [CLS] and "
            f"[SEP]. Received: {data.head_pieces}.",
        ),
        (
            (data.window_stride or 0) > data.max_seq_length - 2,
            f"--window_stride must be at most {data.max_seq_length - 2}, the tokens of a window without [CLS] and "
            f"[SEP], or tokens between windows would be lost. Received: {data.window_stride}.",
        ),
        (
            (training.fold or 0) > (training.folds or 0),
            f"--fold must be at most {training.folds}, the number of --folds. Received: {training.fold}.",
        ),
        (
            training.fold and not data.dev_file and (balance.tune_threshold or balance.calibrate),
            "With --fold, --tune_threshold and --calibrate need --dev_file; with --folds alone they use all folds.",
        ),
    ):
        if wrong:
            raise InputError(message)


def _separates(text):
    return len(text) == 1 and text not in '"\r\n' and not text.isalnum()


def _is_encoding(name):
    """Returns whether Python has an encoding of texts by this name: not one of bytes, such as base64."""
    try:
        return "".encode(name) is not None
    except (LookupError, UnicodeError, ValueError):
        return False


def _check_stages(config):
    training = config.training
    if training.mode != "train":
        raise InputError(f"--stages needs --mode=train. Received: --mode={training.mode}.")
    names = [name for stage in training.stages for name in stage]
    if len(set(names)) < len(names):
        raise InputError(f"--stages needs a different name for each stage. Received: {', '.join(names)}.")


def _check_rules(values, fields):
    """Refuses settings that have no effect, or are too small, given the value of another, such as the task."""
    for chosen, field in fields.items():
        rules = rules_of(field, values[chosen])
        if not rules:
            continue
        for name, reason in rules.ignores.items():
            if values[name] != fields[name].default:
                given, beside = _flag(name, values), _flag(chosen, values)
                if reason:
                    raise InputError(f"{given} and {beside} exclude each other: {reason}.")
                raise InputError(f"{given} has no effect with {beside}; leave one of them out.")
        for name, least in rules.least.items():
            if values[name] < least:
                asked = f"{_flag(chosen, values)} needs --{name} of at least {least}"
                raise InputError(f"{asked}. Received: {values[name]}.")


def _check_sweep(sweep, training, runtime):
    spaces = sweep.sweep or []
    points = sum(math.prod(len(spec) for spec in space.values()) for space in spaces)
    if points > _MOST_POINTS and not sweep.sweep_trials:
        raise InputError(
            f"--sweep has {points:,} points, more than {_MOST_POINTS:,}; --sweep_trials=N tries only N of them."
        )
    ranges = [name for space in spaces for name, spec in space.items() if isinstance(spec, dict)]
    if sweep.sweep_trials and len(spaces) > 1:
        raise InputError("--sweep_trials searches a single space. Received: a --sweep with several mappings.")
    if ranges and not sweep.sweep_trials:
        raise InputError(f"--sweep has a range ({ranges[0]}), so --sweep_trials=N is needed, the number of trials.")
    if training.mode == "sweep" and (runtime.worker_hosts or runtime.strategy == "multi_worker"):
        raise InputError(
            "--mode=sweep does not distribute one training run over machines. Start it on each machine with the same "
            "--sweep_store; each runs trials of its own."
        )
    if sweep.sweep and training.mode == "train":
        raise InputError("--sweep needs --mode=sweep. Received: --mode=train.")


def _check_balance(balance):
    """Refuses invalid amounts, and ways of balancing that contradict each other or have no effect."""
    over = read_amounts("oversample", balance.oversample, minimum=1)
    under = read_amounts("undersample", balance.undersample, minimum=1, whole=True)
    if balance.class_weights != ("balanced",):
        read_amounts("class_weights", balance.class_weights)
    resampling = [f"--{name}" for name in ("oversample", "undersample") if getattr(balance, name)]
    resampling += [f"--balance={balance.balance}"] * (balance.balance != "none")
    for wrong, message in (
        (
            balance.balance != "none" and len(resampling) > 1,
            f"{' and '.join(resampling)} exclude each other: both set how many rows of a label an epoch has.",
        ),
        (
            over.keys() & under.keys(),
            f"--oversample and --undersample both name the label {min(over.keys() & under.keys(), default='')!r}; "
            "leave one of them out.",
        ),
    ):
        if wrong:
            raise InputError(message)


def _check_techniques(model):
    """Refuses techniques that cancel each other out or have no effect."""
    for wrong, message in (
        (
            model.reinit_pooler and model.pooling not in (None, "pooler"),
            f"--reinit_pooler and --pooling={model.pooling} exclude each other: the pooler is not used.",
        ),
        (
            not all(1 <= units <= _WIDEST for units in model.head_layers),
            f"--head_layers must be whole numbers of at least 1, at most {_WIDEST}. "
            f"Received: {', '.join(map(str, model.head_layers))}.",
        ),
    ):
        if wrong:
            raise InputError(message)
