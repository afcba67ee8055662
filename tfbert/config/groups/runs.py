"""One run, many runs, and the devices: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The run: mode, length, batch sizes, evaluation, checkpoints and seeds."""

    mode: str = setting(
        "train",
        "What to do; inspect: describe the data; probe: find the most informative layer; vocabulary: learn a "
        "WordPiece vocabulary; preflight: check a run before renting a TPU",
        choices="tfbert.modes:MODES",
        scope=Scope.WHOLE,
        also="do_train=train do_eval=evaluate do_predict=predict",
    )
    features: str | None = setting(
        None,
        "With --mode=predict: write feature vectors instead of predictions, to features.npy or features.parquet; from "
        "a saved model or any --preset",
        choices=("npy", "parquet"),
        needs={"mode=predict": ""},
    )
    output_file: str | None = setting(
        None,
        "With --mode=predict: file for the predictions, .jsonl, .csv or .conll, or - for standard output; default: "
        "OUTPUT_DIR/predictions.jsonl",
        path=True,
        scope=Scope.WHOLE,
        needs={"mode=predict": ""},
        excludes={"features": "vectors go to output_dir"},
        also="predictions_file prediction_file",
    )
    format: str | None = setting(
        None,
        "With --mode=predict: format of the predictions; conll: a word and its tag per line (tagging); default: as "
        "output_file ends, else jsonl",
        choices=("jsonl", "csv", "conll"),
        scope=Scope.WHOLE,
        needs={"mode=predict": ""},
        excludes={"features": "vectors have formats of their own"},
    )
    keep_text: bool = setting(
        False,
        "With --mode=predict: include the texts in the output",
        scope=Scope.WHOLE,
        needs={"mode=predict": ""},
        excludes={"features": ""},
    )
    resume: bool = setting(
        False,
        "With --mode=predict: resume an interrupted run after the predictions it has written",
        scope=Scope.WHOLE,
        needs={"mode=predict": ""},
        excludes={
            "features": "vectors are written all at once",
            "overwrite": "one keeps existing predictions, the other discards them",
            "output_file=-": "standard output cannot be resumed",
        },
    )
    stages: dict | None = setting(
        None,
        "Training runs in sequence, each starting from the model of the one before, in YAML: [{pretrain: {task: "
        "masked_lm}}, {finetune: {…}}]; a stage's settings override those beside stages; its folder is output_dir/NAME",
        scope=Scope.WHOLE | Scope.RESULT,
        needs={"mode=train": ""},
    )
    output_dir: str | None = setting(
        None,
        "Folder for all output; local or gs://",
        path=True,
        scope=Scope.WHOLE,
        also="out_dir model_dir save_dir logging_dir output_path",
    )
    overwrite: bool = setting(
        False,
        "Replace the output of an earlier run in output_dir",
        scope=Scope.WHOLE,
        excludes={"mode=sweep": "choose another --output_dir, or delete the old one"},
        also="overwrite_output_dir",
    )
    resume_changed: bool = setting(
        False, "Resume from a checkpoint even if settings or data have changed since", scope=Scope.WHOLE
    )
    train_batch_size: int = setting(
        32,
        "Examples per optimiser step, over all devices",
        minimum=1,
        maximum=2**20,
        also="batch_size per_device_train_batch_size=OVER_ALL_DEVICES per_gpu_train_batch_size=OVER_ALL_DEVICES",
    )
    eval_batch_size: int = setting(
        8,
        "Examples per evaluation step, over all devices; affects speed only",
        minimum=1,
        maximum=2**20,
        scope=Scope.GRAPH,
        also="per_device_eval_batch_size=OVER_ALL_DEVICES per_gpu_eval_batch_size=OVER_ALL_DEVICES",
    )
    predict_batch_size: int | None = setting(
        None,
        "Examples per prediction step, over all devices; affects speed only; default: chosen by the device, "
        "max_seq_length and the windows of a text",
        minimum=1,
        maximum=2**20,
        scope=Scope.GRAPH,
    )
    num_train_epochs: float = setting(
        3.0,
        "Number of passes over the training data",
        above=0.0,
        maximum=1e6,
        also="epochs num_epochs n_epochs max_epochs",
    )
    max_steps: int | None = setting(
        None,
        "Number of optimiser steps; overrides num_train_epochs",
        minimum=1,
        also="num_train_steps max_train_steps train_steps num_steps total_steps",
    )
    folds: int | None = setting(
        None,
        "Number of folds of a cross-validation, stratified by label: train a model without each fold, score it on "
        "that fold, and keep all models as one ensemble",
        minimum=2,
        needs={"mode=train|sweep|inspect|preflight": ""},
        excludes={"halve_dev": ""},
        also="num_folds n_folds k_folds cv n_splits",
    )
    fold: int | None = setting(
        None,
        "With folds: train only the model without this fold, counted from 1, and test it on the fold",
        minimum=1,
        scope=Scope.RESULT,
        needs={"folds": "the number of folds"},
        excludes={"test_file": "the fold is the test data"},
    )
    gradient_accumulation_steps: int = setting(
        1,
        "Number of parts into which a batch is split; saves memory, changes nothing else",
        minimum=1,
        also="accumulation_steps accumulate_grad_batches grad_accum grad_accum_steps",
    )
    windows_per_step: int | None = setting(
        None,
        "Number of windows encoded at a time, to save memory; in training each is encoded a second time for the "
        "gradients; default: all windows of a batch",
        minimum=1,
    )
    eval_steps: int | None = setting(
        None,
        "Steps between evaluations on dev_file; default: one epoch",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file or dev_share": "on which to evaluate"},
        also="eval_every evaluate_every",
    )
    evaluations: int | None = setting(
        None,
        "Number of evaluations on dev_file, evenly spaced and the last at the end; instead of eval_steps",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file or dev_share": "on which to evaluate"},
        excludes={"eval_steps": ""},
    )
    patience: int | None = setting(
        None,
        "Stop after this many evaluations without a better dev score; default: never",
        minimum=1,
        scope=Scope.RESULT,
        needs={"dev_file or dev_share": "on which to evaluate"},
        also="early_stopping_patience early_stopping",
    )
    best_metric: str | None = setting(
        None,
        "Dev metric that selects the best checkpoint; default: the task's own",
        needs={"dev_file or dev_share": "on which to evaluate"},
        also="metric_for_best_model metric monitor",
    )
    save_checkpoints_steps: int = setting(
        1000, "Steps between checkpoints", minimum=1, scope=Scope.NOTHING, also="save_steps"
    )
    keep_checkpoints: int = setting(
        2,
        "Number of newest checkpoints that are kept",
        minimum=1,
        scope=Scope.NOTHING,
        also="save_total_limit keep_checkpoint_max",
    )
    save_summary_steps: int | None = setting(
        None,
        "Steps between entries in metrics.jsonl and TensorBoard; default: a fiftieth of the run, at most 500",
        minimum=1,
        scope=Scope.RESULT,
        also="logging_steps log_steps log_every",
    )
    stop_failed_runs: bool = setting(
        False,
        "Stop a run that shows the signs of failed training and scores no better than a constant answer",
        scope=Scope.RESULT,
        needs={"dev_file or dev_share": "on which to evaluate"},
    )
    seed: int = setting(0, "Random seed", minimum=0, scope=Scope.RESULT, also="random_seed random_state")
    init_seed: int | None = setting(
        None, "Seed of newly initialised weights; default: seed", minimum=0, scope=Scope.RESULT
    )
    data_seed: int | None = setting(
        None, "Seed of data order and dropout; default: seed", minimum=0, scope=Scope.RESULT
    )


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Many runs: what varies between them, and how they are shared."""

    sweep: dict | None = setting(
        None,
        "Search space, in YAML: {learning_rate: [2e-5, 5e-5], seed: 20}; a number of seeds means 0, 1, …; a list of "
        "mappings: one grid after another; {low: 1e-5, high: 1e-4, log: true}: a range to search",
        scope=Scope.WHOLE,
    )
    sweep_trials: int | None = setting(
        None,
        "Number of trials of a search (Optuna's TPE) by dev score; default: the whole grid",
        minimum=1,
        scope=Scope.WHOLE,
        also="n_trials num_trials",
    )
    sweep_store: str | None = setting(
        None,
        "Database of the trials, which several workers may share, as an SQLAlchemy URL (postgresql://…); default: "
        "OUTPUT_DIR/sweep.db",
        scope=Scope.WHOLE,
        path=True,
    )


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """Devices, precision and compilation."""

    strategy: str = setting(
        "auto",
        "Distribution strategy; auto: the TPU of --tpu, else the machines of TF_CONFIG or --worker_hosts, else all "
        "GPUs, else the CPU",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        scope=Scope.WHOLE,
        also="distribution_strategy",
    )
    tpu: str | None = setting(
        None,
        "TPU: local on a TPU VM, or its name or address",
        scope=Scope.WHOLE,
        excludes={"strategy=one_device|mirrored|multi_worker": ""},
        also="tpu_name use_tpu=local",
    )
    worker_hosts: tuple[str, ...] = setting(
        (),
        "HOST:PORT of each machine that takes part in training, this one included; repeatable, in the same order on "
        "all",
        scope=Scope.WHOLE,
    )
    worker_index: int | None = setting(
        None,
        "Index of this machine in worker_hosts, from 0",
        minimum=0,
        scope=Scope.WHOLE,
        needs={"worker_hosts": "the list that it indexes"},
    )
    virtual_devices: int = setting(
        1,
        "Number of virtual devices into which the CPU is split, to try a multi-device run anywhere",
        minimum=1,
        maximum=256,
        scope=Scope.WHOLE,
        excludes={"strategy=one_device|multi_worker|tpu": ""},
    )
    mixed_precision: str = setting(
        "none",
        "Compute precision of the encoder; weights stay float32",
        choices=("none", "bfloat16"),
        also="bf16=bfloat16 fp16=bfloat16 precision dtype",
    )
    remat: bool = setting(
        False,
        "Keep only the input of each layer and recompute the rest in the backward pass (gradient checkpointing): "
        "saves memory",
        also="gradient_checkpointing",
    )
    xla: str = setting(
        "auto",
        "Compile the whole step with XLA; auto: on GPU and TPU, not on CPU",
        choices=("auto", "on", "off"),
        also="jit_compile use_xla",
    )
    steps_per_loop: int | None = setting(
        None,
        "Steps run on the device between host synchronisations; default: 1 on CPU, 10 on GPU, 100 on TPU",
        minimum=1,
        scope=Scope.GRAPH,
        also="iterations_per_loop steps_per_execution",
    )
    topology: str | None = setting(
        None,
        "TPU that preflight checks, by Google's name: v5e-1, v5e-8, v4-8, v5p-8, v6e-8, …",
        scope=Scope.WHOLE,
    )
    search_batch: bool = setting(
        False,
        "With --mode=preflight: also search for the largest batch that fits, which takes several more compilations",
        scope=Scope.WHOLE,
        needs={"mode=preflight": ""},
    )
    doctor: bool = setting(
        False,
        "With --mode=preflight: only list the devices and check this environment's versions, variables and bucket",
        scope=Scope.WHOLE,
        needs={"mode=preflight": ""},
    )
