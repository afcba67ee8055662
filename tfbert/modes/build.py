"""Builds the parts of a run: each function reads the settings of one part and passes plain arguments on."""

import dataclasses
import functools
import inspect

import keras
import numpy as np
import tensorflow as tf

from tfbert.config.setting import read_amounts
from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean
from tfbert.core.variants import Variants
from tfbert.data.augmentation import find_augmentation, with_copies
from tfbert.data.batches import ExampleBatches
from tfbert.data.folds import fold_numbers
from tfbert.data.glue import is_glue
from tfbert.data.sources import read_examples
from tfbert.data.splits import halves
from tfbert.data.windows import LongText
from tfbert.models.initialization import initialize, reinitialize
from tfbert.models.mixout import add_mixout
from tfbert.models.presets import find_preset
from tfbert.modes.row_split import RowSplit
from tfbert.modes.rows import pair_of, read_rows, rows_of_split, split_of
from tfbert.optim import OPTIMIZERS
from tfbert.optim.parameter_groups import HEAD, freeze, gradual_unfreezing, layer_decay, parse_multipliers, pretrained
from tfbert.optim.schedules import make_schedule
from tfbert.tasks import TASKS
from tfbert.training.devices import device_kind, make_strategy
from tfbert.training.loop import total_steps

# Augmentations by a saved model: --augment=KIND:FOLDER.
_AUGMENTATIONS = Variants(masked_words="tfbert.inference.masked_words:MaskedWords")
# Tokens that a device predicts at a time.
_TOKENS_PER_STEP = {"CPU": 2**12, "GPU": 2**15, "TPU": 2**15}
_STEPS_PER_LOOP = {"CPU": 1, "GPU": 10, "TPU": 100}


@dataclasses.dataclass(frozen=True)
class TrainingParts:
    """The parts of a training run.

    Attributes:
        model: the task's, new.
        optimizer: AdamWeightDecay or Lamb, built.
        datasets: dict of ExampleBatches: "train", optionally "dev" and "test".
        metric: str. The dev score that selects the best model.
        steps, warmup_steps: int. Steps of the whole run, and of the warm-up.
        peak: tf.Variable, float32. The peak learning rate, as a variable so that changing it needs no new trace.
        split: RowSplit or None. Which rows of train_file are held out.
        pretrained: bool. Whether all layers of the encoder have pre-trained weights.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    datasets: dict
    metric: str
    steps: int
    warmup_steps: int
    peak: tf.Variable
    split: RowSplit | None
    pretrained: bool


def training_parts(config, strategy, splits=("train", "dev", "test"), kept=None):
    """Returns the TrainingParts of a run on a strategy's devices, with the given splits."""
    data, training = config.data, config.training
    preset = preset_of(config)
    tokenizer = preset.tokenizer(data.do_lower_case, data.clean_text)
    task = task_of(config)
    metric = training.best_metric or task.default_metric
    known = ("loss", *task.metric_names)
    if metric not in known:
        hint = did_you_mean(metric, known)
        raise InputError(f"--best_metric must be one of {', '.join(known)}. Received: {metric!r}.{hint}")
    kept = {} if kept is None else kept
    split, datasets = split_of(config, task, kept=kept), datasets_of(config, tokenizer, task, splits, kept)
    task, datasets["train"] = task.for_training(datasets["train"], **settings_for(config, task.for_training))
    with strategy.scope():
        model = model_of(config, preset, tokenizer, task, datasets["train"].examples.labels)
        steps = training.max_steps or total_steps(datasets["train"].steps_per_epoch, training.num_train_epochs)
        warmup_steps = warmup_steps_of(config.optimizer, steps)
        peak = tf.Variable(config.optimizer.learning_rate, trainable=False)
        power = config.optimizer.polynomial_power
        schedule = make_schedule(config.optimizer.schedule, peak, steps, warmup_steps, power)
        optimizer = optimizer_of(config, model, schedule)
        optimizer.build(model.trainable_variables)
    pretrained_layers = not preset.new and not config.model.reinit_layers
    return TrainingParts(model, optimizer, datasets, metric, steps, warmup_steps, peak, split, pretrained_layers)


def preset_of(config, default=None):
    """Returns the pre-trained model that the settings name: Preset."""
    settings = config.model
    return find_preset(settings.preset or default, settings.cache_dir, settings.vocab_file)


def strategy_of(config):
    """Returns the tf.distribute strategy."""
    runtime = config.runtime
    return make_strategy(
        runtime.strategy, runtime.virtual_devices, runtime.tpu, runtime.worker_hosts, runtime.worker_index
    )


def long_text_of(data):
    """Returns how long texts are handled: LongText."""
    return LongText(data.long_text, data.head_pieces, data.truncation, data.max_windows, data.window_stride)


def settings_for(config, method):
    """Returns the settings that a method of a task takes as keyword-only arguments: dict."""
    values = config.as_dict() | _amounts_of(config.balance)
    asked = inspect.signature(method).parameters.values()
    return {each.name: values[each.name] for each in asked if each.kind is each.KEYWORD_ONLY}


def _amounts_of(settings):
    """Returns the LABEL=NUMBER settings as tasks take them: dicts of label -> number."""
    weights = settings.class_weights
    return {
        "oversample": read_amounts("oversample", settings.oversample),
        "undersample": read_amounts("undersample", settings.undersample, whole=True),
        "class_weights": weights if weights == ("balanced",) else read_amounts("class_weights", weights),
    }


def task_of(config):
    """Returns the task, with the labels of the training rows."""
    data, task = config.data, TASKS[config.model.task]
    rows = read_rows(data, task, data.train_file, "train", data.limit_train_rows)
    return task.from_examples(rows, **settings_for(config, task.from_examples))


def datasets_of(config, tokenizer, task, splits, kept=None):
    """Returns the given splits: dict of "train", "dev", "test" -> ExampleBatches.

    Args:
        config: Config.
        tokenizer: BertTokenizer.
        task: one of TASKS.
        splits: tuple of str.
        kept: dict. A cache of tokenised data for later calls with the same data settings; None: no cache.
    """
    data, training, kept = config.data, config.training, {} if kept is None else kept
    seed, datasets = seed_of(training, training.data_seed), {}
    divided = split_of(config, task, kept=kept)
    for split in ("train", "dev", "test"):
        if split in splits and rows_of_split(config, task, split, divided):
            made = functools.partial(_tokenized, config, tokenizer, task, split, divided)
            changed = split == "train" and bool(data.augment)  # determined by the seed, new in each epoch
            asked = settings_for(config, task.tokenized)
            settings = (data, config.model.preset, config.model.vocab_file, task.name, task.labels, asked)
            if not changed and kept.get(split, (None,))[0] != settings:
                kept[split] = settings, made(epoch=0)
            datasets[split] = task.batches(
                made(epoch=0) if changed else kept[split][1],
                tokenizer,
                training.train_batch_size if split == "train" else training.eval_batch_size,
                data.max_seq_length,
                split == "train",
                seed,
                made if changed else None,
                **settings_for(config, task.batches),
            )
    if training.fold:
        datasets["train"], left_out = _without_fold(config, task, datasets["train"])
        if "test" in splits:
            datasets["test"] = left_out
    if data.halve_dev and "dev" in datasets:
        whole = datasets["dev"]
        for split, rows in zip(("dev", "test"), halves(whole.examples.labels, data.halve_dev_seed)):
            datasets[split] = whole.subset(rows)
    return datasets


def _tokenized(config, tokenizer, task, split, divided, epoch):
    """Returns the tokenised rows of a split; those for training with the augmented copies of an epoch."""
    data, train = config.data, split == "train"
    seed = seed_of(config.training, config.training.data_seed)

    def rows():
        found = rows_of_split(config, task, split, divided)
        if not train or not data.augment:
            return found
        changes = (data.augment, data.augment_copies, data.augment_probability, seed, epoch)
        return with_copies(found, *changes, augmentation_of)

    asked = settings_for(config, task.tokenized)
    return task.tokenized(rows, tokenizer, data.max_seq_length, long_text_of(data), train, **asked)


def _without_fold(config, task, whole):
    """Returns the training data without a fold, and the fold itself: (ExampleBatches, ExampleBatches)."""
    step = 1 + copies_of(config.data)
    left_out = folds_of(config, task, whole.examples.labels[::step]) == config.training.fold - 1
    rest = whole.subset(np.flatnonzero(np.repeat(~left_out, step)))
    return rest, batches_to_score(whole.examples.subset(np.flatnonzero(left_out) * step), config)


def batches_to_score(examples, config):
    """Returns labelled examples in order, in batches for evaluation: ExampleBatches."""
    return ExampleBatches(examples, config.training.eval_batch_size, config.data.max_seq_length, False, seed=0)


@functools.cache  # a masked-word model is loaded once, not in every epoch
def augmentation_of(name):
    """Returns an augmentation by its name: callable (text, rng, probability) -> str."""
    kind, _, folder = name.partition(":")
    return _AUGMENTATIONS[kind](folder) if kind in _AUGMENTATIONS else find_augmentation(name)


def copies_of(data):
    """Returns the number of augmented copies of each training row: int."""
    return data.augment_copies if data.augment else 0


def folds_of(config, task, labels):
    """Returns the fold of each training row, from 0: np.int64 [N]; labels: np.ndarray [N, ...]."""
    data, folds, groups = config.data, config.training.folds, None
    if data.group_column and is_glue(data.train_file):
        raise InputError(
            f"--group_column={data.group_column} has no effect with the raw GLUE folder {data.train_file}, whose "
            "columns are fixed; name its file, such as train.tsv, with --text_column and --label_column."
        )
    if data.group_column:
        columns = (*pair_of(data.text_columns()), None, data.group_column)
        limit = data.limit_train_rows
        rows = read_examples(data.train_file, *columns, split="train", limit=limit, **data.file_format)
        groups = [None if row.get("id") is None else str(row["id"]) for row in rows]
        if None in groups:
            raise InputError(
                f"{data.train_file} has no column {data.group_column!r}, the --group_column, or no value in it, in row "
                f"{groups.index(None) + 1}."
            )
    parts = len(set(groups)) if groups else len(labels)
    if parts < folds:
        raise InputError(f"--folds={folds} needs at least as many {'groups' if groups else 'rows'}. There are {parts}.")
    return fold_numbers(task.strata(labels, folds), folds, groups)


def encoder_of(config, preset):
    """Returns the encoder with re-initialised layers and mixout, which needs the pre-trained weights in place."""
    settings = config.model
    data = config.data
    encoder = preset.encoder(
        settings.dropout, dtype_of(config), data.do_lower_case, data.clean_text, config.runtime.remat
    )
    init_seed = seed_of(config.training, config.training.init_seed)
    if preset.new:
        initialize(encoder, init_seed)
    reinitialize(encoder, settings.reinit_layers, settings.reinit_pooler, init_seed)
    if settings.mixout:
        add_mixout(encoder, settings.mixout, settings.reinit_layers, settings.reinit_pooler)
    return encoder


def model_of(config, preset, tokenizer, task, train_labels):
    """Returns the model to train: the prepared encoder with the task's head."""
    data, training = config.data, config.training
    return task.model(
        encoder_of(config, preset),
        tokenizer,
        preset,
        data.max_seq_length,
        data.text_columns(task.rules.default_columns[:2]),
        seed_of(training, training.init_seed),
        long_text_of(data),
        train_labels,
        **settings_for(config, task.model),
    )


def optimizer_of(config, model, schedule):
    """Returns the optimiser with a schedule (WarmupSchedule), not yet built."""
    settings, new, encoder = config.optimizer, config.model, model.encoder
    multipliers = parse_multipliers(settings.lr_multipliers)
    multipliers += freeze(encoder, settings.freeze, settings.freeze_layers, new.reinit_layers)
    if settings.head_lr_multiplier != 1:
        multipliers.append((HEAD, settings.head_lr_multiplier))
    if settings.layer_lr_decay != 1:
        multipliers += layer_decay(encoder, settings.layer_lr_decay)
    prior = pretrained(encoder, new.reinit_layers, new.reinit_pooler) if settings.prior_weight_decay else []
    return OPTIMIZERS[settings.optimizer](
        schedule,
        settings.weight_decay,
        bias_correction=settings.bias_correction,
        global_clipnorm=settings.max_grad_norm or None,
        lr_multipliers=multipliers,
        prior_weight_decay=prior,
        start_steps=gradual_unfreezing(encoder, settings.unfreeze_steps) if settings.unfreeze_steps else [],
        ema_decay=settings.ema_decay,
    )


def warmup_steps_of(settings, steps):
    """Returns the number of warm-up steps: int."""
    if settings.warmup_steps is None:
        return int(steps * settings.warmup_proportion)
    if settings.warmup_steps > steps:
        raise InputError(
            f"--warmup_steps must be at most {steps}, the steps of this run. Received: {settings.warmup_steps}."
        )
    return settings.warmup_steps


def dtype_of(config):
    """Returns the dtype policy of the encoder: str."""
    return {"none": "float32", "bfloat16": "mixed_bfloat16"}[config.runtime.mixed_precision]


def uses_xla(config, strategy):
    """Returns whether steps are compiled."""
    return config.runtime.xla == "on" or (config.runtime.xla == "auto" and device_kind(strategy) != "CPU")


def predict_batch_size_of(config, strategy, max_seq_length, windows=1):
    """Returns the examples of a prediction step, over all devices: those that are asked for, or as many as are quick.

    Args:
        config: Config.
        strategy: tf.distribute.Strategy.
        max_seq_length, windows: int. Maximum number of tokens of a window, and the most windows of a text.
    """
    if config.training.predict_batch_size:
        return config.training.predict_batch_size
    tokens = _TOKENS_PER_STEP[device_kind(strategy)]
    return max(1, tokens // (max_seq_length * windows)) * strategy.num_replicas_in_sync


def steps_per_loop_of(config, strategy):
    """Returns the number of steps per call of TensorFlow: int."""
    return config.runtime.steps_per_loop or _STEPS_PER_LOOP[device_kind(strategy)]


def seed_of(training, own):
    """Returns a specific seed if it is set, else the general one: int."""
    return training.seed if own is None else own
