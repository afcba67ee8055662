"""Which settings exclude or need each other."""

import dataclasses
import math

from tfbert.core.errors import InputError
from tfbert.config.setting import read_amounts

# The least pieces of a sequence in which a pair of segments has words to mask.
_SHORTEST = 8
# Units of a dense layer: as many take 200 MB above a hidden size of 768.
_WIDEST = 2**16
# Trials that the store of a sweep can hold in its queue.
_MOST_POINTS = 10_000


def check_together(config):
    """Raises InputError for settings that exclude or need each other.

    Args:
        config: Config.
    """
    data, training, runtime = config.data, config.training, config.runtime
    if training.stages:
        return _check_stages(training)  # each is checked by itself
    _check_techniques(config.model, config.optimizer)
    _check_balance(config.model, config.balance)
    if runtime.virtual_devices > 1 and runtime.strategy in ("one_device", "multi_worker", "tpu"):
        raise InputError(
            f"--virtual_devices={runtime.virtual_devices} and --strategy={runtime.strategy} exclude each other; "
            "leave one of them out."
        )
    if runtime.tpu and runtime.strategy not in ("auto", "tpu"):
        raise InputError(
            f"--tpu={runtime.tpu} and --strategy={runtime.strategy} exclude each other; leave one of them out."
        )
    if runtime.worker_index is not None and not runtime.worker_hosts:
        raise InputError(f"--worker_index={runtime.worker_index} needs --worker_hosts, among which it is the place.")
    if training.gradient_accumulation_steps > training.train_batch_size:
        raise InputError(
            f"--gradient_accumulation_steps={training.gradient_accumulation_steps} is more than "
            f"--train_batch_size={training.train_batch_size}: a part would be empty."
        )
    _check_evaluation(data, training, config.balance)
    if not data.augment and (data.augment_copies, data.augment_probability) != (1, 0.1):
        raise InputError("--augment_copies and --augment_probability need --augment, which makes the copies.")
    _check_folds(data, training, config.balance)
    _check_long_text(data)
    if training.mode in ("train", "sweep", "preflight"):
        _check_pretraining(config)
    _check_sweep(config.sweep, training, runtime)
    if training.features and training.mode != "predict":
        raise InputError(f"--features={training.features} goes with --mode=predict. Received: --mode={training.mode}.")
    if runtime.doctor and training.mode != "preflight":
        raise InputError(f"--doctor goes with --mode=preflight. Received: --mode={training.mode}.")


def _check_long_text(data):
    """Refuses settings about cuts and windows that there are not."""
    if data.head_pieces and data.long_text != "head_tail":
        raise InputError(f"--head_pieces={data.head_pieces} needs --long_text=head_tail. Received: {data.long_text}.")
    if data.head_pieces and data.head_pieces > data.max_seq_length - 2:
        raise InputError(
            f"--head_pieces must be at most {data.max_seq_length - 2}, the pieces of a sequence but for [CLS] and "
            f"[SEP]. Received: {data.head_pieces}."
        )
    if data.window_stride and data.long_text not in ("mean", "max", "attention"):
        raise InputError(
            f"--window_stride={data.window_stride} needs --long_text=mean, max or attention. Received: "
            f"{data.long_text}."
        )
    if data.window_stride and data.window_stride > data.max_seq_length - 2:
        raise InputError(
            f"--window_stride must be at most {data.max_seq_length - 2}, the pieces of a window but for [CLS] and "
            f"[SEP]: those between two windows would be lost. Received: {data.window_stride}."
        )


def _check_evaluation(data, training, balance):
    """Refuses settings about evaluations that there are not."""
    if training.eval_steps and training.evaluations:
        raise InputError(
            f"--eval_steps={training.eval_steps} and --evaluations={training.evaluations} exclude each other; leave "
            "one of them out."
        )
    if data.halve_dev and data.test_file:
        raise InputError("--halve_dev and --test_file exclude each other: the second half would be the test rows.")
    if training.mode not in ("train", "sweep") or data.dev_file:
        return
    fitted = {} if training.folds else {name: getattr(balance, name) for name in ("tune_threshold", "calibrate")}
    asked = {name: getattr(training, name) for name in ("best_metric", "eval_steps", "evaluations", "patience")}
    asked |= {"stop_failed_runs": training.stop_failed_runs}
    for name, value in (asked | fitted).items():
        if value:
            raise InputError(f"--{name}={value} needs --dev_file, on which to evaluate.")
    if data.halve_dev:
        raise InputError("--halve_dev needs --dev_file, the rows to be halved.")


def _check_stages(training):
    if training.mode != "train":
        raise InputError(f"--stages goes with --mode=train. Received: --mode={training.mode}.")
    names = [name for stage in training.stages for name in stage]
    if len(set(names)) < len(names):
        raise InputError(f"--stages needs a name of its own for each stage. Received: {', '.join(names)}.")


def _check_pretraining(config):
    """Refuses settings that do nothing: of labels and poolings on raw text, of masks on labelled texts."""
    data, task = config.data, config.model.task
    if task == "masked_lm":
        groups = [(data, ("text_pair_column", "halve_dev", "long_text", "truncation", "group_column", "augment"))]
        groups += [(config.training, ("windows_per_step", "folds", "fold"))]
        groups += [(config.balance, [field.name for field in dataclasses.fields(config.balance)])]
        groups += [(config.model, ("pooling", "head_layers", "head_activation", "label_smoothing"))]
    else:
        groups = [(config.pretraining, [field.name for field in dataclasses.fields(config.pretraining)])]
    for group, names in groups:
        for name in names:
            value = getattr(group, name)
            if value != getattr(type(group)(), name):
                value = ",".join(value) if isinstance(value, tuple) else value
                raise InputError(f"--{name}={value} does nothing with --task={task}; leave one of them out.")
    _check_short_sequences(config.pretraining, data.max_seq_length, config.training.max_steps)
    if task == "masked_lm" and data.max_seq_length < _SHORTEST:
        raise InputError(
            f"--task=masked_lm needs --max_seq_length of at least {_SHORTEST}. Received: {data.max_seq_length}."
        )


def _check_short_sequences(pretraining, max_seq_length, max_steps):
    """Refuses short sequences that are none, or whose share of the steps is not known."""
    short = pretraining.short_seq_length
    if not short and pretraining.short_seq_share != 0.9:
        raise InputError("--short_seq_share needs --short_seq_length, the pieces of a sequence in these steps.")
    if short and short >= max_seq_length:
        raise InputError(
            f"--short_seq_length must be less than --max_seq_length={max_seq_length}, which follows. Received: {short}."
        )
    if short and not max_steps:
        raise InputError(
            f"--short_seq_length={short} needs --max_steps: an epoch has more steps of short sequences than of long."
        )


def _check_folds(data, training, balance):
    """Refuses settings about folds that there are not, and those that they rule out."""
    for wrong, message in (
        (training.fold and not training.folds, f"--fold={training.fold} needs --folds, of which it is one."),
        (
            training.fold and training.folds and training.fold > training.folds,
            f"--fold must be at most {training.folds}, the number of --folds. Received: {training.fold}.",
        ),
        (
            data.group_column and not training.folds,
            f"--group_column={data.group_column} needs --folds, in which it keeps rows together.",
        ),
        (
            training.folds and training.mode not in ("train", "sweep", "preflight"),
            f"--folds goes with --mode=train or sweep. Received: --mode={training.mode}.",
        ),
        (training.folds and data.halve_dev, "--folds and --halve_dev exclude each other; leave one of them out."),
        (
            training.fold and data.test_file,
            f"--fold={training.fold} and --test_file exclude each other: the fold is the test rows.",
        ),
        (
            training.fold and not data.dev_file and (balance.tune_threshold or balance.calibrate),
            "--tune_threshold and --calibrate need --dev_file with --fold; with --folds alone all folds serve.",
        ),
    ):
        if wrong:
            raise InputError(message)


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
    if training.mode == "sweep" and training.overwrite:
        raise InputError("--mode=sweep does not overwrite; choose another --output_dir, or delete the old one.")
    if sweep.sweep and training.mode == "train":
        raise InputError("--sweep goes with --mode=sweep. Received: --mode=train.")


def _check_balance(model, balance):
    """Refuses amounts that are none, and ways to balance that undo each other or do nothing."""
    over = read_amounts("oversample", balance.oversample, minimum=1)
    under = read_amounts("undersample", balance.undersample, minimum=1, whole=True)
    if balance.class_weights != ("balanced",):
        read_amounts("class_weights", balance.class_weights)
    resampling = [f"--{name}" for name in ("oversample", "undersample") if getattr(balance, name)]
    resampling += [f"--balance={balance.balance}"] * (balance.balance != "none")
    loss = ["--class_weights"] * bool(balance.class_weights)
    loss += [f"--logit_adjustment={balance.logit_adjustment}"] * bool(balance.logit_adjustment)
    loss += ["--loss=focal"] * (balance.loss == "focal")
    fitted = [f"--tune_threshold={balance.tune_threshold}"] * bool(balance.tune_threshold)
    fitted += ["--calibrate"] * balance.calibrate
    for wrong, message in (
        (
            model.task in ("regression", "masked_lm") and resampling + loss + fitted,
            f"{' and '.join(resampling + loss + fitted)} and --task={model.task} exclude each other: there are no "
            "labels.",
        ),
        (
            model.task == "multilabel" and (under or balance.balance != "none"),
            f"{' and '.join(resampling)} and --task=multilabel exclude each other, as a row may have several labels; "
            "--oversample takes the largest factor among them.",
        ),
        (
            balance.balance != "none" and len(resampling) > 1,
            f"{' and '.join(resampling)} exclude each other: both say how many rows of a label an epoch takes.",
        ),
        (
            over.keys() & under.keys(),
            f"--oversample and --undersample both name the label {min(over.keys() & under.keys(), default='')!r}; "
            "leave one of them out.",
        ),
        (
            balance.loss != "focal" and (balance.focal_gamma != 2.0 or balance.focal_alpha is not None),
            "--focal_gamma and --focal_alpha need --loss=focal. Received: --loss=cross_entropy.",
        ),
        (
            balance.focal_alpha is not None and balance.class_weights,
            "--focal_alpha and --class_weights exclude each other: both weigh the classes.",
        ),
        (
            balance.loss == "focal" and model.label_smoothing,
            f"--loss=focal and --label_smoothing={model.label_smoothing} exclude each other; leave one of them out.",
        ),
        (
            balance.correct_prior and balance.loss == "focal",
            "--correct_prior and --loss=focal exclude each other: what the focal loss learns is no probability under "
            "any prior.",
        ),
        (
            balance.correct_prior and not resampling + loss,
            "--correct_prior needs what changes the prior: --oversample, --undersample, --balance, --class_weights or "
            "--logit_adjustment.",
        ),
    ):
        if wrong:
            raise InputError(message)


def _check_techniques(model, optimizer):
    """Refuses techniques that would undo each other or do nothing."""
    new = [f"--{name}" for name in ("reinit_layers", "reinit_pooler") if getattr(model, name)]
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
        (
            model.label_smoothing and model.task == "regression",
            f"--label_smoothing={model.label_smoothing} and --task=regression exclude each other: there are no labels.",
        ),
        (
            optimizer.prior_weight_decay and not optimizer.weight_decay,
            "--prior_weight_decay needs --weight_decay, its strength. Received: --weight_decay=0.0.",
        ),
        (
            optimizer.freeze == "encoder" and new,
            f"--freeze=encoder and {' and '.join(new)} exclude each other: new weights must be trained.",
        ),
        (
            optimizer.freeze == "encoder" and optimizer.unfreeze_steps,
            f"--freeze=encoder and --unfreeze_steps={optimizer.unfreeze_steps} exclude each other; leave one of them "
            "out.",
        ),
        (
            optimizer.polynomial_power != 2.0 and optimizer.schedule != "polynomial",
            f"--polynomial_power={optimizer.polynomial_power} needs --schedule=polynomial. "
            f"Received: --schedule={optimizer.schedule}.",
        ),
    ):
        if wrong:
            raise InputError(message)
