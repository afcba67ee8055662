"""One run, many runs, and the devices: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The run: how long, how often, how large."""

    mode: str = setting(
        "train",
        "What to do; inspect: say what the data is like; probe: which layer knows most; vocabulary: learn one",
        choices="tfbert.modes:MODES",
        scope=Scope.WHOLE,
    )
    features: str | None = setting(
        None,
        "In predict: write vectors instead, to features.npy or features.parquet; of a saved model, or of any --preset",
        choices=("npy", "parquet"),
        needs={"mode=predict": ""},
    )
    stages: dict | None = setting(
        None,
        "Trainings one after another, each from the model of the one before, in YAML: [{pretrain: {task: masked_lm}}, "
        "{finetune: {…}}]; each has its settings over those beside stages, in output_dir/NAME",
        scope=Scope.WHOLE | Scope.RESULT,
        needs={"mode=train": ""},
    )
    output_dir: str | None = setting(
        None, "Folder for everything that is written; local or gs://", path=True, scope=Scope.WHOLE
    )
    overwrite: bool = setting(
        False,
        "Replace what an earlier run left in output_dir",
        scope=Scope.WHOLE,
        excludes={"mode=sweep": "choose another --output_dir, or delete the old one"},
    )
    resume_changed: bool = setting(
        False, "Go on from a checkpoint although settings or data have changed since", scope=Scope.WHOLE
    )
    train_batch_size: int = setting(32, "Examples of one optimiser step, over all devices", minimum=1, maximum=2**20)
    eval_batch_size: int = setting(
        8,
        "Examples of one evaluation step, over all devices; changes speed only",
        minimum=1,
        maximum=2**20,
        scope=Scope.GRAPH,
    )
    predict_batch_size: int = setting(
        8,
        "Examples of one prediction step, over all devices; changes speed only",
        minimum=1,
        maximum=2**20,
        scope=Scope.GRAPH,
    )
    num_train_epochs: float = setting(3.0, "Passes over the training rows", above=0.0, maximum=1e6)
    max_steps: int | None = setting(None, "Optimiser steps; overrides num_train_epochs", minimum=1)
    folds: int | None = setting(
        None,
        "Cross-validate: train so many models, each without one part of the training rows, alike in labels; score each "
        "on its part, and keep them as one ensemble",
        minimum=2,
        needs={"mode=train|sweep|inspect|preflight": ""},
        excludes={"halve_dev": ""},
    )
    fold: int | None = setting(
        None,
        "With folds: train without this one only, from 1, and test on it",
        minimum=1,
        scope=Scope.RESULT,
        needs={"folds": "of which it is one"},
        excludes={"test_file": "the fold is the test rows"},
    )
    gradient_accumulation_steps: int = setting(
        1, "Parts in which a batch goes through the model; saves memory, changes nothing else", minimum=1
    )
    windows_per_step: int | None = setting(
        None,
        "Windows that are encoded at a time, in training a second time for the gradients; saves memory; default: all "
        "of a batch",
        minimum=1,
    )
    eval_steps: int | None = setting(
        None,
        "Steps between evaluations on dev_file; default: an epoch",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file": "on which to evaluate"},
    )
    evaluations: int | None = setting(
        None,
        "Evaluations on dev_file, evenly over the run and at its end; instead of eval_steps",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file": "on which to evaluate"},
        excludes={"eval_steps": ""},
    )
    patience: int | None = setting(
        None,
        "Stop after so many evaluations without a better dev score; default: never",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file": "on which to evaluate"},
    )
    best_metric: str | None = setting(
        None,
        "Dev metric that chooses the best checkpoint; default: the task's own",
        needs={"dev_file": "on which to evaluate"},
    )
    save_checkpoints_steps: int = setting(1000, "Steps between checkpoints", minimum=1, scope=Scope.NOTHING)
    keep_checkpoints: int = setting(2, "Newest checkpoints kept", minimum=1, scope=Scope.NOTHING)
    save_summary_steps: int | None = setting(
        None,
        "Steps between lines in metrics.jsonl and TensorBoard; default: a fiftieth of the run, at most 500",
        minimum=1,
        scope=Scope.RESULT,
    )
    stop_failed_runs: bool = setting(
        False,
        "Stop a run that shows the signs of failure and scores no better than one answer to every text",
        scope=Scope.RESULT,
        needs={"dev_file": "on which to evaluate"},
    )
    seed: int = setting(0, "Seed of everything random", minimum=0, scope=Scope.RESULT)
    init_seed: int | None = setting(None, "Seed of new weights; default: seed", minimum=0, scope=Scope.RESULT)
    data_seed: int | None = setting(None, "Seed of order and dropout; default: seed", minimum=0, scope=Scope.RESULT)


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Many runs: what varies between them, and who does them."""

    sweep: dict | None = setting(
        None,
        "What varies, in YAML: {learning_rate: [2e-5, 5e-5], seed: 20}; a number of seeds means 0, 1, …; a list of "
        "such mappings: one grid after another; {low: 1e-5, high: 1e-4, log: true}: a range, for a search",
        scope=Scope.WHOLE,
    )
    sweep_trials: int | None = setting(
        None,
        "Search with so many trials (Optuna's TPE), by dev score; default: the whole grid",
        minimum=1,
        scope=Scope.WHOLE,
    )
    sweep_store: str | None = setting(
        None,
        "Database of the trials, which several workers may share, as SQLAlchemy names it (postgresql://…); "
        "default: OUTPUT_DIR/sweep.db",
        scope=Scope.WHOLE,
        path=True,
    )


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """The devices."""

    strategy: str = setting(
        "auto",
        "Devices; auto: the TPU of --tpu, or the machines of TF_CONFIG or --worker_hosts, or every GPU, or the CPU",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        scope=Scope.WHOLE,
    )
    tpu: str | None = setting(
        None,
        "TPU: local on a TPU VM, or a name or address",
        scope=Scope.WHOLE,
        excludes={"strategy=one_device|mirrored|multi_worker": ""},
    )
    worker_hosts: tuple[str, ...] = setting(
        (),
        "HOST:PORT of a machine that trains along, this one included; repeatable, in the same order on all",
        scope=Scope.WHOLE,
    )
    worker_index: int | None = setting(
        None,
        "This machine's place in worker_hosts, from 0",
        minimum=0,
        scope=Scope.WHOLE,
        needs={"worker_hosts": "among which it is the place"},
    )
    virtual_devices: int = setting(
        1,
        "Split the CPU into so many devices, to try a multi-device run anywhere",
        minimum=1,
        maximum=256,
        scope=Scope.WHOLE,
        excludes={"strategy=one_device|multi_worker|tpu": ""},
    )
    mixed_precision: str = setting(
        "none", "Arithmetic of the encoder; weights stay float32", choices=("none", "bfloat16")
    )
    remat: bool = setting(
        False, "Keep no more of a layer than its input, and compute the rest again in the backward pass: saves memory"
    )
    xla: str = setting(
        "auto", "Compile the whole step with XLA; auto: on GPU and TPU, not on CPU", choices=("auto", "on", "off")
    )
    steps_per_loop: int | None = setting(
        None,
        "Steps run on the device between two looks of the host; default: 1 on CPU, 10 on GPU, 100 on TPU",
        minimum=1,
        scope=Scope.GRAPH,
    )
    topology: str | None = setting(
        None,
        "TPU that preflight asks about, as Google names it: v5e-1, v5e-8, v4-8, v5p-8, v6e-8, …",
        scope=Scope.WHOLE,
    )
    search_batch: bool = setting(
        False,
        "In preflight: search the largest batch that fits, too, which compiles the step several times more",
        scope=Scope.WHOLE,
        needs={"mode=preflight": ""},
    )
    doctor: bool = setting(
        False,
        "In preflight: only name the devices, and check this environment's versions, variables and bucket",
        scope=Scope.WHOLE,
        needs={"mode=preflight": ""},
    )
