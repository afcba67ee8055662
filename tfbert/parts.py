"""From settings to the parts of a run: each function reads the settings of one part and hands plain arguments on."""

import dataclasses

import keras

from tfbert.data.dataset import ExampleBatches
from tfbert.data.sources import read_examples
from tfbert.data.splits import halves
from tfbert.data.tokenized import tokenize_examples
from tfbert.data.windows import LongText
from tfbert.errors import InputError
from tfbert.models.mixout import add_mixout
from tfbert.models.presets import find_preset
from tfbert.models.reinit import reinitialize
from tfbert.models.text_model import TextModel, build_model
from tfbert.optim import OPTIMIZERS
from tfbert.optim.multipliers import HEAD, freeze, gradual_unfreezing, layer_decay, parse_multipliers, pretrained
from tfbert.optim.schedules import make_schedule
from tfbert.tasks import TASKS
from tfbert.training.loop import total_steps
from tfbert.training.strategy import device_kind, make_strategy

_STEPS_PER_LOOP = {"CPU": 1, "GPU": 10, "TPU": 100}


@dataclasses.dataclass(frozen=True)
class TrainingParts:
    """What a training needs.

    Attributes:
        model: TextModel, new.
        optimizer: AdamWeightDecay or Lamb, built.
        datasets: dict of ExampleBatches: "train", and perhaps "dev" and "test".
        metric: str. The dev score that decides which model is kept.
        steps, warmup_steps: int. Steps of the whole run, and those in which the learning rate rises.
    """

    model: TextModel
    optimizer: keras.optimizers.Optimizer
    datasets: dict
    metric: str
    steps: int
    warmup_steps: int


def training_parts(config, strategy, splits=("train", "dev", "test")):
    """Returns the TrainingParts of a run on the devices of a strategy, with those of the splits that are given."""
    data, training = config.data, config.training
    preset = find_preset(config.model.preset, config.model.cache_dir)
    tokenizer = preset.tokenizer(data.do_lower_case)
    task = task_of(config)
    metric = training.best_metric or task.default_metric
    if metric not in ("loss", *task.metric_names):
        raise InputError(f"--best_metric must be one of loss, {', '.join(task.metric_names)}. Received: {metric!r}.")
    datasets = datasets_of(config, tokenizer, task, splits)
    with strategy.scope():
        model = model_of(config, preset, tokenizer, task, datasets["train"].examples.labels)
        steps = training.max_steps or total_steps(datasets["train"].steps_per_epoch, training.num_train_epochs)
        warmup_steps = warmup_steps_of(config.optimizer, steps)
        optimizer = optimizer_of(config, model, steps, warmup_steps)
        optimizer.build(model.trainable_variables)
    return TrainingParts(model, optimizer, datasets, metric, steps, warmup_steps)


def strategy_of(config):
    """Returns the tf.distribute strategy."""
    runtime = config.runtime
    return make_strategy(
        runtime.strategy, runtime.virtual_devices, runtime.tpu, runtime.worker_hosts, runtime.worker_index
    )


def text_columns_of(data):
    """Returns the names of the text columns: (text,) or (text, second text)."""
    return (data.text_column, data.text_pair_column) if data.text_pair_column else (data.text_column,)


def long_text_of(data):
    """Returns what is kept of a text that is too long: LongText."""
    return LongText(data.long_text, data.head_pieces, data.truncation)


def read_rows(data, location, split, limit=None):
    """Returns the rows of a data location: iterable of dict."""
    return read_examples(
        location, data.text_column, data.text_pair_column, data.label_column, None, data.quoting, split, limit
    )


def task_of(config):
    """Returns the task, with the labels that the training rows have."""
    data, model = config.data, config.model
    examples = read_rows(data, data.train_file, "train", data.limit_train_rows)
    smoothing = {"label_smoothing": model.label_smoothing} if model.label_smoothing else {}
    return TASKS[model.task].from_examples(examples, **smoothing)


def datasets_of(config, tokenizer, task, splits):
    """Returns those of the splits that are given: "train", "dev", "test" -> ExampleBatches."""
    data, training = config.data, config.training
    datasets = {}
    for split, location, limit in (
        ("train", data.train_file, data.limit_train_rows),
        ("dev", data.dev_file, None),
        ("test", data.test_file, None),
    ):
        if location and split in splits:
            examples = read_rows(data, location, split, limit)
            examples = tokenize_examples(
                examples, tokenizer, data.max_seq_length, task.encode_label, long_text_of(data)
            )
            batch_size = training.train_batch_size if split == "train" else training.eval_batch_size
            datasets[split] = ExampleBatches(
                examples,
                batch_size,
                data.max_seq_length,
                shuffle=split == "train",
                seed=seed_of(training, training.data_seed),
            )
    if data.halve_dev and "dev" in datasets:
        whole = datasets["dev"]
        for split, rows in zip(("dev", "test"), halves(whole.examples.labels, data.halve_dev_seed)):
            datasets[split] = whole.with_examples(whole.examples.subset(rows))
    return datasets


def encoder_of(config, preset):
    """Returns the encoder with what is new in it; its weights must be the pre-trained ones before mixout keeps them."""
    settings = config.model
    encoder = preset.encoder(settings.dropout, dtype_of(config), config.data.do_lower_case)
    encoder.remat = config.runtime.remat
    init_seed = seed_of(config.training, config.training.init_seed)
    reinitialize(encoder, settings.reinit_layers, settings.reinit_pooler, init_seed)
    if settings.mixout:
        add_mixout(encoder, settings.mixout, settings.reinit_layers, settings.reinit_pooler)
    return encoder


def model_of(config, preset, tokenizer, task, train_labels):
    """Returns the TextModel to train: the encoder with what is new in it, and a new head."""
    data, training = config.data, config.training
    return build_model(
        encoder_of(config, preset),
        task,
        tokenizer,
        config.model.pooling,
        data.max_seq_length,
        text_columns_of(data),
        seed_of(training, training.init_seed),
        train_labels,
        config.model.head_layers,
        config.model.head_activation,
        long_text_of(data),
    )


def optimizer_of(config, model, steps, warmup_steps):
    """Returns the optimiser of a run of so many steps, not yet built."""
    settings, new, encoder = config.optimizer, config.model, model.encoder
    multipliers = parse_multipliers(settings.lr_multipliers)
    multipliers += freeze(encoder, settings.freeze, settings.freeze_layers, new.reinit_layers)
    if settings.head_lr_multiplier != 1:
        multipliers.append((HEAD, settings.head_lr_multiplier))
    if settings.layer_lr_decay != 1:
        multipliers += layer_decay(encoder, settings.layer_lr_decay)
    prior = pretrained(encoder, new.reinit_layers, new.reinit_pooler) if settings.prior_weight_decay else []
    return OPTIMIZERS[settings.optimizer](
        make_schedule(settings.schedule, settings.learning_rate, steps, warmup_steps, settings.polynomial_power),
        settings.weight_decay,
        bias_correction=settings.bias_correction,
        global_clipnorm=settings.max_grad_norm or None,
        lr_multipliers=multipliers,
        prior_weight_decay=prior,
        start_steps=gradual_unfreezing(encoder, settings.unfreeze_steps) if settings.unfreeze_steps else [],
        ema_decay=settings.ema_decay,
    )


def warmup_steps_of(settings, steps):
    """Returns in how many of the steps the learning rate rises: int."""
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
    """Says whether steps are compiled."""
    return config.runtime.xla == "on" or (config.runtime.xla == "auto" and device_kind(strategy) != "CPU")


def steps_per_loop_of(config, strategy):
    """Returns the steps of one call of TensorFlow: int."""
    return config.runtime.steps_per_loop or _STEPS_PER_LOOP[device_kind(strategy)]


def seed_of(training, own):
    """Returns a seed of its own where there is one, else the seed of everything: int."""
    return training.seed if own is None else own
