"""Every setting once, by group: name, type, default, meaning, range."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is read, and how it becomes pieces."""

    train_file: str | None = setting(
        None,
        "Training rows: a path or glob (.tsv, .csv, .jsonl, .json, .parquet, .tfrecord, .txt; .gz too; local or "
        "gs://), a raw GLUE folder such as glue_data/MRPC, or tfds:NAME[/CONFIG]:SPLIT",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    dev_file: str | None = setting(
        None,
        "Rows that choose the best checkpoint; written as train_file is",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    test_file: str | None = setting(
        None,
        "Rows to score with the best checkpoint, to evaluate, or to predict",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    halve_dev: bool = setting(
        False,
        "Let one half of dev_file, of the same labels, choose the best checkpoint, and the other be the test rows",
        needs={"dev_file": "the rows to be halved"},
        excludes={"test_file": "the second half would be the test rows"},
    )
    halve_dev_seed: int = setting(0, "Seed of that split, the same for all runs that are to be compared", minimum=0)
    text_column: str | None = setting(
        None, "Column of the text; default: text, for a saved model that of its training data"
    )
    text_pair_column: str | None = setting(None, "Column of the second text, for tasks on pairs")
    label_column: str = setting("label", "Column of the label (multilabel: a list, or labels separated by commas)")
    id_column: str = setting("id", "Column copied to the predictions, where the data has it", scope=Scope.NOTHING)
    quoting: str = setting(
        "auto",
        "Whether fields of TSV and CSV may stand in double quotes; auto: CSV on, TSV off",
        choices=("auto", "on", "off"),
    )
    max_seq_length: int = setting(128, "Pieces of a sequence, [CLS] and [SEP] included; the rest is cut off", minimum=4)
    long_text: str = setting(
        "head",
        "What becomes of a text that is longer: its beginning, its end, or some of each is kept; or it is read in "
        "several windows of max_seq_length, whose vectors are merged by mean, max or attention",
        choices=("head", "tail", "head_tail", "mean", "max", "attention"),
    )
    head_pieces: int | None = setting(
        None,
        "Pieces from the beginning with head_tail; default: a quarter, 128 of 510",
        minimum=1,
        needs={"long_text=head_tail": ""},
    )
    truncation: str = setting(
        "longest_first",
        "Which side of a pair is cut, or read in windows; longest_first: piece by piece the longer one, as BERT does",
        choices=("longest_first", "only_first", "only_second"),
    )
    max_windows: int = setting(
        4,
        "The most windows of one text with --long_text=mean|max|attention; what lies beyond is lost",
        minimum=2,
        maximum=2**16,
    )
    window_stride: int | None = setting(
        None,
        "Pieces from the beginning of a window to that of the next; default: as many as fit, none twice",
        minimum=1,
        needs={"long_text=mean|max|attention": ""},
    )
    do_lower_case: bool | None = setting(None, "Lower-case and strip accents; default: as the preset was trained")
    clean_text: bool = setting(
        False,
        "Take HTML tags and entities, control characters and runs of white space out of every text, then and later "
        "when the model predicts",
    )
    augment: tuple[str, ...] = setting(
        (),
        "Train on changed copies, too, new ones every epoch, each made by one of these: delete_words, swap_words, "
        "insert_words, drop_punctuation, drop_stop_words (English and Chinese), masked_words:FOLDER (by a model of "
        "--task=masked_lm), nlpaug:char.KeyboardAug, or MODULE:FUNCTION, your own (text, rng) -> text; repeatable",
        path=True,
    )
    augment_copies: int = setting(
        1,
        "Changed copies of each training row in an epoch",
        minimum=1,
        maximum=1000,
        needs={"augment": "which makes the copies"},
    )
    augment_probability: float = setting(
        0.1,
        "Of a word or mark: that it is changed in a copy",
        above=0.0,
        maximum=1.0,
        needs={"augment": "which makes the copies"},
    )
    group_column: str | None = setting(
        None,
        "Column whose equal entries stay in one fold, such as an author or a thread; with folds",
        needs={"folds": "in which it keeps rows together"},
    )
    limit_train_rows: int | None = setting(None, "Train on the first rows only", minimum=1)

    @property
    def text_columns(self):
        """The names of the text columns: (text,) or (text, second text)."""
        text = self.text_column or "text"
        return (text, self.text_pair_column) if self.text_pair_column else (text,)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The encoder and what stands on it."""

    task: str = setting(
        "classification",
        "What is predicted; masked_lm: further pre-training on raw text",
        choices="tfbert.tasks:TASKS",
        rules="tfbert.tasks.rules:rules_of",
    )
    preset: str | None = setting(
        None,
        "Pre-trained BERT: a Keras preset name or handle, hf://ORG/NAME, a folder (Keras, Hugging Face, Google TF1, "
        "or a model saved by tfbert), minilm, or config:FILE.json for new weights; default for evaluate and predict: "
        "OUTPUT_DIR/model",
        path=True,
    )
    vocab_file: str | None = setting(
        None,
        "Vocabulary of new weights (--preset=config:FILE.json), a piece a line; --mode=vocabulary learns one",
        path=True,
    )
    vocab_size: int = setting(
        30000,
        "In vocabulary: the most pieces to learn from train_file",
        above=5,
        scope=Scope.WHOLE,
        needs={"mode=vocabulary": ""},
    )
    pooling: str | None = setting(
        None,
        "How a sequence becomes a vector: pooler, cls, mean or max of the last layer; layer:K, first_last, "
        "last4_concat, last4_mean, last4_max, all_concat, all_mean or scalar_mix of [CLS] in several; default: "
        "pooler; with --features a saved model's own, or mean",
    )
    head_layers: tuple[int, ...] = setting((), "Widths of dense layers below the head's last: 256,64")
    head_activation: str = setting(
        "tanh", "What follows each of head_layers", choices=("tanh", "relu", "gelu", "gelu_new")
    )
    dropout: float | None = setting(
        None, "Dropout rate in encoder and head; default: the preset's", minimum=0.0, maximum=0.9
    )
    reinit_layers: int = setting(
        0,
        "Give so many of the top layers new weights",
        minimum=0,
        excludes={"freeze=encoder": "new weights must be trained"},
    )
    reinit_pooler: bool = setting(
        False, "Give the pooler new weights", excludes={"freeze=encoder": "new weights must be trained"}
    )
    mixout: float = setting(
        0.0,
        "In place of the encoder's dropout, let its dense layers fall back on their pre-trained weights with this "
        "probability",
        minimum=0.0,
        below=1.0,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the target spread evenly over the labels, in training",
        minimum=0.0,
        below=1.0,
        excludes={"loss=focal": ""},
    )
    cache_dir: str | None = setting(
        None,
        "Where fetched weights and tokenised raw text are kept, on gs:// the text only; default: weights in "
        "$TFBERT_CACHE or ~/.cache/tfbert, text nowhere",
        scope=Scope.NOTHING,
        path=True,
    )


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """Further pre-training: what is hidden of raw text (--task=masked_lm)."""

    masked_lm_prob: float = setting(
        0.15, "Share of the pieces of a sequence that are to be predicted", above=0.0, below=1.0
    )
    max_predictions_per_seq: int = setting(
        20, "The most pieces of a sequence that are; of 512 pieces 15 % are 77", minimum=1
    )
    whole_word_masking: bool = setting(False, "Mask all pieces of a word together")
    max_ngram: int = setting(1, "Mask up to so many neighbouring words together", minimum=1, maximum=10)
    dynamic_masking: bool = setting(True, "New masks every epoch; off: the same")
    next_sentence: bool = setting(
        True, "Predict, too, whether the second of two segments follows the first; off: single segments"
    )
    short_seq_prob: float = setting(
        0.1, "Share of the sequences that are shorter than max_seq_length, by a random length", minimum=0.0, maximum=1.0
    )
    short_seq_length: int | None = setting(
        None,
        "Pieces of a sequence in the first part of the steps, as BERT was trained: 128, and then max_seq_length=512",
        minimum=8,
        needs={"max_steps": "an epoch has more steps of short sequences than of long"},
    )
    short_seq_share: float = setting(
        0.9,
        "Share of the steps with short_seq_length",
        above=0.0,
        below=1.0,
        needs={"short_seq_length": "the pieces of a sequence in these steps"},
    )
    held_out: tuple[str, ...] = setting(
        (),
        "Data whose texts must not stand in the training text; repeatable; in a recipe of stages: dev_file and "
        "test_file of the later ones",
        path=True,
    )
    held_out_columns: tuple[str, ...] = setting((), "Columns of those texts; repeatable; default: text_column")
    leaks: str = setting(
        "refuse",
        "What to do with those that do: refuse to train, or remove their sentences from the training text",
        choices=("refuse", "remove"),
    )


@dataclasses.dataclass(frozen=True)
class BalanceConfig:
    """Rare classes: what training sees of them, what a mistake costs, and when they are predicted."""

    oversample: tuple[str, ...] = setting(
        (), "LABEL=FACTOR: an epoch takes each training row of this label so many times; repeatable"
    )
    undersample: tuple[str, ...] = setting(
        (), "LABEL=ROWS: an epoch takes so many training rows of this label, the next one others; repeatable"
    )
    balance: str = setting(
        "none",
        "Classes in an epoch: as in the data, in proportion to the square root of their rows, or all alike; as many "
        "rows as there are",
        choices=("none", "sqrt", "uniform"),
    )
    class_weights: tuple[str, ...] = setting(
        (), "balanced, or LABEL=WEIGHT: a factor of the training loss of this label's rows; repeatable"
    )
    loss: str = setting("cross_entropy", "What is trained on", choices=("cross_entropy", "focal"))
    focal_gamma: float = setting(
        2.0, "How much the focal loss cares less for what is right already", minimum=0.0, needs={"loss=focal": ""}
    )
    focal_alpha: float | None = setting(
        None,
        "The focal loss' weight of the second of two classes, or of labels that hold; the other side has the rest of 1",
        above=0.0,
        below=1.0,
        needs={"loss=focal": ""},
        excludes={"class_weights": "both weigh the classes"},
    )
    logit_adjustment: float = setting(
        0.0,
        "Add so many times the log-prior to the logits in training, and not in prediction: favours rare classes; "
        "1 is usual",
        minimum=0.0,
    )
    correct_prior: bool = setting(
        False,
        "Take predicted probabilities back to the prior of the training data, where one of these changed it",
        needs={"oversample or undersample or balance or class_weights or logit_adjustment": "which changes the prior"},
        excludes={"loss=focal": "what the focal loss learns is no probability under any prior"},
    )
    tune_threshold: str | None = setting(
        None,
        "Choose the probability from which the second of two classes, or each of several labels, is predicted: the "
        "best on dev_file by this metric; kept with the model",
        choices=("accuracy", "balanced_accuracy", "f1", "mcc"),
        needs={"dev_file or folds": "on which to evaluate"},
    )
    calibrate: bool = setting(
        False,
        "Divide the logits by a temperature, fitted on dev_file; kept with the model: more honest probabilities",
        needs={"dev_file or folds": "on which to evaluate"},
    )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser, its schedule, and what it trains."""

    optimizer: str = setting("adamw", "AdamWeightDecay, or LAMB for large batches", choices="tfbert.optim:OPTIMIZERS")
    learning_rate: float = setting(2e-5, "Peak learning rate", above=0.0, scope=Scope.RESULT)
    schedule: str = setting(
        "linear",
        "How the learning rate falls after the warm-up; slanted_triangular: linearly, from and to a 32nd of the peak",
        choices="tfbert.optim:SCHEDULES",
    )
    polynomial_power: float = setting(
        2.0, "Power of the polynomial schedule", above=0.0, needs={"schedule=polynomial": ""}
    )
    warmup_proportion: float = setting(
        0.1, "Share of the steps in which the learning rate rises from 0", minimum=0.0, maximum=1.0
    )
    warmup_steps: int | None = setting(
        None, "Steps in which the learning rate rises; overrides warmup_proportion", minimum=0
    )
    weight_decay: float = setting(0.01, "Decoupled weight decay; never on LayerNorm and biases", minimum=0.0)
    prior_weight_decay: bool = setting(
        False,
        "Let weight decay pull toward the pre-trained values; new weights (the head) still decay toward 0",
        needs={"weight_decay": "its strength"},
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
        excludes={"freeze=encoder": ""},
    )
    ema_decay: float | None = setting(
        None, "Evaluate and save an average of the weights over the steps, with this decay a step", above=0.0, below=1.0
    )


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
    doctor: bool = setting(
        False,
        "In preflight: only check this environment's versions, variables and bucket",
        scope=Scope.WHOLE,
        needs={"mode=preflight": ""},
    )
