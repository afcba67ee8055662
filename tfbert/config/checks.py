"""Which settings exclude or need each other."""

import math

from tfbert.config.setting import read_amounts, rules_of
from tfbert.core.errors import InputError

# Units of a dense layer: as many take 200 MB above a hidden size of 768.
_WIDEST = 2**16
# Trials that the store of a sweep can hold in its queue.
_MOST_POINTS = 10_000


def check_together(config, fields):
    """Raises InputError for settings that exclude or need each other.

    What a setting needs and excludes is declared with it, or follows from the rules of its value. Here stands what
    compares values.

    Args:
        config: Config.
        fields: dict of str to dataclasses.Field. The declarations of the settings, by name.
    """
    if config.training.stages:
        return _check_stages(config)  # each is checked by itself
    _check_declared(config.as_dict(), fields)
    _check_values(config.data, config.training, config.balance, config.pretraining)
    _check_techniques(config.model)
    _check_balance(config.balance)
    if config.training.mode in ("train", "sweep", "inspect", "probe", "preflight"):
        _check_rules(config.as_dict(), fields)
    _check_sweep(config.sweep, config.training, config.runtime)


def _check_declared(values, fields):
    """Refuses settings that are given without what they need, or beside what they exclude."""
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
    """Says whether a condition, as `setting` takes them, holds for some settings: dict of name -> value."""
    for part in condition.split(" or "):
        name, _, allowed = part.partition("=")
        if values[name] in allowed.split("|") if allowed else values[name] not in _NOT_GIVEN:
            return True
    return False


def _needs(name, condition, reason, values):
    """Returns the sentence that says what a setting lacks."""
    other, _, allowed = condition.partition("=")
    lacking = f"--{other}={_any_of(allowed.split('|'))}" if allowed else _any_of(f"--{x}" for x in other.split(" or "))
    received = f" Received: --{other}={values[other]}." if allowed else ""
    return f"{_flag(name, values)} needs {lacking}{reason and f', {reason}'}.{received}"


def _any_of(names):
    """Returns names as words: "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _flag(name, values):
    """Returns a setting as a flag, in words for a message: --name=value."""
    value = values[name]
    if value is True:
        return f"--{name}"
    return f"--{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


# The values of a setting that asks for nothing.
_NOT_GIVEN = (None, (), False, 0, "none")


def _check_values(data, training, balance, pretraining):
    """Refuses values that do not go together."""
    short = pretraining.short_seq_length or 0
    for wrong, message in (
        (
            data.delimiter not in (None, "tab", r"\t") and not _separates(data.delimiter),
            f"--delimiter must be one character that may separate fields, or tab. Received: {data.delimiter!r}.",
        ),
        (
            data.encoding and not _is_encoding(data.encoding),
            f"--encoding must be one that Python knows, such as utf-8, cp1252, gb18030, big5, shift_jis or utf-16. "
            f"Received: {data.encoding!r}.",
        ),
        (
            short >= data.max_seq_length,
            f"--short_seq_length must be less than --max_seq_length={data.max_seq_length}, which follows. "
            f"Received: {short}.",
        ),
        (
            training.gradient_accumulation_steps > training.train_batch_size,
            f"--gradient_accumulation_steps={training.gradient_accumulation_steps} is more than "
            f"--train_batch_size={training.train_batch_size}: a part would be empty.",
        ),
        (
            (data.head_pieces or 0) > data.max_seq_length - 2,
            f"--head_pieces must be at most {data.max_seq_length - 2}, the pieces of a sequence but for [CLS] and "
            f"[SEP]. Received: {data.head_pieces}.",
        ),
        (
            (data.window_stride or 0) > data.max_seq_length - 2,
            f"--window_stride must be at most {data.max_seq_length - 2}, the pieces of a window but for [CLS] and "
            f"[SEP]: those between two windows would be lost. Received: {data.window_stride}.",
        ),
        (
            (training.fold or 0) > (training.folds or 0),
            f"--fold must be at most {training.folds}, the number of --folds. Received: {training.fold}.",
        ),
        (
            training.fold and not data.dev_file and (balance.tune_threshold or balance.calibrate),
            "--tune_threshold and --calibrate need --dev_file with --fold; with --folds alone all folds serve.",
        ),
    ):
        if wrong:
            raise InputError(message)


def _separates(text):
    return len(text) == 1 and text not in '"\r\n' and not text.isalnum()


def _is_encoding(name):
    """Says whether Python has an encoding of texts by this name: not one of bytes, such as base64."""
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
        raise InputError(f"--stages needs a name of its own for each stage. Received: {', '.join(names)}.")


def _check_rules(values, fields):
    """Refuses settings that do nothing, or are too small, beside the value of another: a task, say."""
    for chosen, field in fields.items():
        rules = rules_of(field, values[chosen])
        if not rules:
            continue
        for name, reason in rules.ignores.items():
            if values[name] != fields[name].default:
                given, beside = _flag(name, values), _flag(chosen, values)
                if reason:
                    raise InputError(f"{given} and {beside} exclude each other: {reason}.")
                raise InputError(f"{given} does nothing with {beside}; leave one of them out.")
        for name, least in rules.least.items():
            if values[name] < least:
                asked = f"{_flag(chosen, values)} needs --{name} of at least {least}"
                raise InputError(f"{asked}. Received: {values[name]}.")


def _check_sweep(sweep, training, runtime):
    spaces = sweep.sweep or []
    points = sum(math.prod(len(spec) for spec in space.values()) for space in spaces)
    if points > _MOST_POINTS and not sweep.sweep_trials:
        raise InputError(
            f"--sweep has {points:,} points, more than {_MOST_POINTS:,}; --sweep_trials=N tries only some of them."
        )
    ranges = [name for space in spaces for name, spec in space.items() if isinstance(spec, dict)]
    if sweep.sweep_trials and len(spaces) > 1:
        raise InputError("--sweep_trials searches one space. Received: a --sweep of several mappings.")
    if ranges and not sweep.sweep_trials:
        raise InputError(f"--sweep has a range ({ranges[0]}), so that --sweep_trials must say how often to try.")
    if training.mode == "sweep" and (runtime.worker_hosts or runtime.strategy == "multi_worker"):
        raise InputError(
            "--mode=sweep does not share a training among machines: start it on each of them with the same "
            "--sweep_store, and each takes trials of its own."
        )
    if sweep.sweep and training.mode == "train":
        raise InputError("--sweep needs --mode=sweep. Received: --mode=train.")


def _check_balance(balance):
    """Refuses amounts that are none, and ways to balance that undo each other or do nothing."""
    over = read_amounts("oversample", balance.oversample, minimum=1)
    under = read_amounts("undersample", balance.undersample, minimum=1, whole=True)
    if balance.class_weights != ("balanced",):
        read_amounts("class_weights", balance.class_weights)
    resampling = [f"--{name}" for name in ("oversample", "undersample") if getattr(balance, name)]
    resampling += [f"--balance={balance.balance}"] * (balance.balance != "none")
    for wrong, message in (
        (
            balance.balance != "none" and len(resampling) > 1,
            f"{' and '.join(resampling)} exclude each other: both say how many rows of a label an epoch takes.",
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
    """Refuses techniques that would undo each other or do nothing."""
    for wrong, message in (
        (
            model.reinit_pooler and model.pooling not in (None, "pooler"),
            f"--reinit_pooler and --pooling={model.pooling} exclude each other: nothing passes through the pooler.",
        ),
        (
            not all(1 <= units <= _WIDEST for units in model.head_layers),
            f"--head_layers must be whole numbers of at least 1, at most {_WIDEST}. "
            f"Received: {', '.join(map(str, model.head_layers))}.",
        ),
    ):
        if wrong:
            raise InputError(message)
