"""Which settings exclude or need each other."""

from tfbert.errors import InputError


def check_together(config):
    """Raises InputError for settings that exclude or need each other.

    Args:
        config: Config.
    """
    data, training, runtime = config.data, config.training, config.runtime
    _check_techniques(config.model, config.optimizer)
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
    _check_evaluation(data, training)
    if data.head_pieces and data.long_text != "head_tail":
        raise InputError(f"--head_pieces={data.head_pieces} needs --long_text=head_tail. Received: {data.long_text}.")
    if data.head_pieces and data.head_pieces > data.max_seq_length - 2:
        raise InputError(
            f"--head_pieces must be at most {data.max_seq_length - 2}, the pieces of a sequence but for [CLS] and "
            f"[SEP]. Received: {data.head_pieces}."
        )
    _check_sweep(config.sweep, training, runtime)
    if runtime.doctor and training.mode != "preflight":
        raise InputError(f"--doctor goes with --mode=preflight. Received: --mode={training.mode}.")


def _check_evaluation(data, training):
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
    for name in ("best_metric", "eval_steps", "evaluations", "patience", "stop_failed_runs"):
        if getattr(training, name):
            raise InputError(f"--{name}={getattr(training, name)} needs --dev_file, on which to evaluate.")
    if data.halve_dev:
        raise InputError("--halve_dev needs --dev_file, the rows to be halved.")


def _check_sweep(sweep, training, runtime):
    spaces = sweep.sweep or []
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


def _check_techniques(model, optimizer):
    """Refuses techniques that would undo each other or do nothing."""
    new = [f"--{name}" for name in ("reinit_layers", "reinit_pooler") if getattr(model, name)]
    for wrong, message in (
        (
            model.reinit_pooler and model.pooling != "pooler",
            f"--reinit_pooler and --pooling={model.pooling} exclude each other: nothing passes through the pooler.",
        ),
        (
            any(units < 1 for units in model.head_layers),
            f"--head_layers must be whole numbers of at least 1. Received: {', '.join(map(str, model.head_layers))}.",
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
