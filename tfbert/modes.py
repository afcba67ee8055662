"""What `tfbert.run` can do: one function a mode, from settings to parts to results."""

import json
import os
import time

import tensorflow as tf

from tfbert.data.dataset import ExampleDataset
from tfbert.data.sources import read_examples
from tfbert.data.tokenized import tokenize_examples
from tfbert.errors import InputError
from tfbert.model_card import write_model_card
from tfbert.models.presets import find_preset
from tfbert.models.saved_model import load_model, load_weights, save_model
from tfbert.models.text_model import build_model
from tfbert.optim.adam_weight_decay import AdamWeightDecay
from tfbert.optim.multipliers import HEAD, describe_groups, layer_decay, parse_multipliers
from tfbert.optim.schedules import linear_warmup
from tfbert.predict import predict_file
from tfbert.preflight import describe, preflight, refusal
from tfbert.tasks import TASKS
from tfbert.training.checkpoints import Checkpoints, check_disk, write_whole
from tfbert.training.evaluation import Evaluator, is_better
from tfbert.training.loop import total_steps, train
from tfbert.training.progress import RunLog
from tfbert.training.strategy import device_kind, make_strategy

_STEPS_PER_LOOP = {"CPU": 1, "GPU": 10}


def train_mode(config):
    """Trains, keeps the best model by dev score, scores it on test: what --mode=train does.

    Returns:
        dict. The content of `eval_results.json`.
    """
    data, training = config.data, config.training
    output_dir = training.output_dir
    _refuse_finished(output_dir, training.overwrite)
    strategy = make_strategy(config.runtime.strategy, config.runtime.virtual_devices)

    preset = find_preset(config.model.preset, config.model.cache_dir)
    tokenizer = preset.tokenizer(data.do_lower_case)
    task = TASKS[config.model.task].from_examples(_read(data, data.train_file, "train", data.limit_train_rows))
    metric = training.best_metric or task.default_metric
    if metric not in ("loss", *task.metric_names):
        raise InputError(f"--best_metric must be one of loss, {', '.join(task.metric_names)}. Received: {metric!r}.")
    datasets = _datasets(config, tokenizer, task)

    with strategy.scope():
        model = _new_model(config, preset, tokenizer, task)
        steps = training.max_steps or total_steps(datasets["train"].steps_per_epoch, training.num_train_epochs)
        optimizer = _optimizer(config.optimizer, model, steps)
        optimizer.build(model.trainable_variables)
    check_disk(output_dir, model, optimizer, training.keep_checkpoints)
    tf.io.gfile.makedirs(os.path.join(output_dir, "checkpoints"))
    write_whole(os.path.join(output_dir, "config.yaml"), config.to_yaml().encode())
    write_whole(os.path.join(output_dir, "labels.json"), json.dumps(task.labels, ensure_ascii=False).encode())
    _announce(config, model, optimizer, datasets, strategy, steps)
    run = _Run(config, model, optimizer, strategy, datasets, metric, steps)
    results = run.train()
    write_whole(os.path.join(output_dir, "eval_results.json"), json.dumps(results, indent=2).encode())
    write_model_card(output_dir, config.as_dict(), task, results)
    print(json.dumps(results))
    print(f"The model is in {os.path.join(output_dir, 'model')}.")
    return results


class _Run:
    """One training run: what happens at which step, and what a checkpoint has to remember."""

    def __init__(self, config, model, optimizer, strategy, datasets, metric, steps):
        self._config, self._training = config, config.training
        self._model, self._optimizer, self._strategy, self._datasets = model, optimizer, strategy, datasets
        self._metric, self._steps = metric, steps
        self._output_dir = self._training.output_dir
        self._model_dir = os.path.join(self._output_dir, "model")
        self._xla = _xla(config)
        self._evaluator = Evaluator(model, strategy, self._xla)
        self._checkpoints = Checkpoints(
            os.path.join(self._output_dir, "checkpoints"), model, optimizer, self._training.keep_checkpoints
        )
        self._best = {}

    def train(self):
        """Runs to the last step, from the newest checkpoint if there is one; returns the results."""
        state = self._checkpoints.restore() or {"best": {}, "log": []}
        self._best = state["best"]
        first = int(self._optimizer.iterations.numpy())
        self._log = RunLog(self._output_dir, self._steps, self._training.train_batch_size, first, state["log"])
        if first:
            self._log.say(f"Going on from step {first}, where the newest checkpoint stands.")
        begin = time.monotonic()
        train(
            self._model,
            self._datasets["train"],
            self._optimizer,
            self._strategy,
            steps=self._steps,
            accumulation=self._training.gradient_accumulation_steps,
            steps_per_loop=_steps_per_loop(self._config),
            xla=self._xla,
            data_seed=_seed(self._training, self._training.data_seed),
            events=self._events(),
            on_loop=self._log.steps,
        )
        seconds = time.monotonic() - begin
        self._log.close()
        examples = (self._steps - first) * self._training.train_batch_size
        return self._results(examples / seconds)

    def _events(self):
        events = [(self._training.save_summary_steps, self._log_step)]
        if "dev" in self._datasets:
            events.append((self._training.eval_steps or self._datasets["train"].steps_per_epoch, self._evaluate))
        else:
            events.append((self._steps, self._keep))
        return events + [(self._training.save_checkpoints_steps, self._save)]

    def _log_step(self, step):
        self._log.log(step, float(tf.convert_to_tensor(self._optimizer.learning_rate)))

    def _evaluate(self, step):
        scores = self._evaluator.evaluate(self._datasets["dev"])
        self._log.evaluation(step, "dev", scores)
        if is_better(self._metric, scores.get(self._metric), self._best.get("dev", {}).get(self._metric)):
            self._keep(step, scores)

    def _keep(self, step, scores=None):
        self._best = {"step": step, **({"dev": scores} if scores else {})}
        save_model(self._model, self._model_dir)

    def _save(self, step):
        self._checkpoints.save(step, {"best": self._best, "log": self._log.pending})

    def _results(self, examples_per_second):
        results = {"dev": self._best["dev"]} if "dev" in self._best else {}
        if "test" in self._datasets:
            if self._best["step"] != self._steps:
                load_weights(self._model, self._model_dir)
            results["test"] = self._evaluator.evaluate(self._datasets["test"])
        return results | {"examples_per_second": round(examples_per_second, 2), "best_step": self._best["step"]}


def evaluate_mode(config):
    """Scores a saved model on dev_file and test_file: what --mode=evaluate does.

    Returns:
        dict. The content of `eval_results.json`: a dict of scores for "dev", "test".
    """
    data, training = config.data, config.training
    model, strategy = _saved_model(config)
    columns = _columns(data, model)
    results = {}
    for split, location in (("dev", data.dev_file), ("test", data.test_file)):
        if location:
            examples = read_examples(location, *columns, data.label_column, None, data.quoting, split)
            examples = tokenize_examples(examples, model.tokenizer, model.max_seq_length, model.task.encode_label)
            dataset = ExampleDataset(examples, training.eval_batch_size, model.max_seq_length, shuffle=False, seed=0)
            results[split] = Evaluator(model, strategy, _xla(config)).evaluate(dataset)
    path = os.path.join(training.output_dir, "eval_results.json")
    tf.io.gfile.makedirs(training.output_dir)
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            results = json.load(file) | results
    write_whole(path, json.dumps(results, indent=2).encode())
    print(json.dumps(results))
    return results


def predict_mode(config):
    """Predicts test_file with a saved model, into `predictions.jsonl`: what --mode=predict does.

    Returns:
        dict with `predictions` (the path) and `examples` (how many).
    """
    data, training = config.data, config.training
    path = os.path.join(training.output_dir, "predictions.jsonl")
    if tf.io.gfile.exists(path) and not training.overwrite:
        raise InputError(f"{path} exists already; choose another --output_dir, or --overwrite.")
    model, strategy = _saved_model(config)
    examples = read_examples(data.test_file, *_columns(data, model), None, data.id_column, data.quoting, "test")
    tf.io.gfile.makedirs(training.output_dir)
    count = predict_file(model, examples, path, training.predict_batch_size, strategy, _xla(config))
    print(f"{count} predictions are in {path}.")
    return {"predictions": path, "examples": count}


def preflight_mode(config):
    """Finds out whether this training would run on a TPU, into `preflight.json`: what --mode=preflight does.

    Returns:
        dict. The content of `preflight.json`.

    Raises:
        InputError: it would not run.
    """
    data, training = config.data, config.training
    preset = find_preset(config.model.preset, config.model.cache_dir)
    tokenizer = preset.tokenizer(data.do_lower_case)
    task = TASKS[config.model.task].from_examples(_read(data, data.train_file, "train", data.limit_train_rows))
    dataset = _datasets(config, tokenizer, task)["train"]
    model = _new_model(config, preset, tokenizer, task)
    steps = training.max_steps or total_steps(dataset.steps_per_epoch, training.num_train_epochs)
    optimizer = _optimizer(config.optimizer, model, steps)
    found = preflight(model, optimizer, dataset, config.runtime.topology, training.gradient_accumulation_steps)
    tf.io.gfile.makedirs(training.output_dir)
    write_whole(os.path.join(training.output_dir, "preflight.json"), json.dumps(found, indent=2).encode())
    print(describe(found))
    if not found["would_run"]:
        raise InputError(refusal(found))
    print(f"It would run on {found['topology']}.")
    return found


MODES = {"train": train_mode, "evaluate": evaluate_mode, "predict": predict_mode, "preflight": preflight_mode}


def _new_model(config, preset, tokenizer, task):
    """Returns the TextModel to train."""
    data, training = config.data, config.training
    encoder = preset.encoder(config.model.dropout, _dtype(config), data.do_lower_case)
    encoder.remat = training.remat
    seed = _seed(training, training.init_seed)
    columns = _text_columns(data)
    return build_model(encoder, task, tokenizer, config.model.pooling, data.max_seq_length, columns, seed)


def _saved_model(config):
    folder = config.model.preset or os.path.join(config.training.output_dir, "model")
    strategy = make_strategy(config.runtime.strategy, config.runtime.virtual_devices)
    with strategy.scope():
        return load_model(folder, dtype=_dtype(config)), strategy


def _columns(data, model):
    """Returns the text columns: those given, else those of the model's training data."""
    given = _text_columns(data)
    columns = given if given != ("text",) else tuple(model.text_columns)
    return columns if len(columns) == 2 else (*columns, None)


def _text_columns(data):
    return (data.text_column, data.text_pair_column) if data.text_pair_column else (data.text_column,)


def _read(data, location, split, limit=None):
    return read_examples(
        location, data.text_column, data.text_pair_column, data.label_column, None, data.quoting, split, limit
    )


def _datasets(config, tokenizer, task):
    """Returns the data sets that are given: "train", "dev", "test" -> ExampleDataset."""
    data, training = config.data, config.training
    datasets = {}
    for split, location, limit in (
        ("train", data.train_file, data.limit_train_rows),
        ("dev", data.dev_file, None),
        ("test", data.test_file, None),
    ):
        if location:
            examples = _read(data, location, split, limit)
            examples = tokenize_examples(examples, tokenizer, data.max_seq_length, task.encode_label)
            batch_size = training.train_batch_size if split == "train" else training.eval_batch_size
            datasets[split] = ExampleDataset(
                examples,
                batch_size,
                data.max_seq_length,
                shuffle=split == "train",
                seed=_seed(training, training.data_seed),
            )
    return datasets


def _optimizer(settings, model, steps):
    multipliers = parse_multipliers(settings.lr_multipliers)
    if settings.head_lr_multiplier != 1:
        multipliers.append((HEAD, settings.head_lr_multiplier))
    if settings.layer_lr_decay != 1:
        multipliers += layer_decay(model.encoder, settings.layer_lr_decay)
    schedule = linear_warmup(settings.learning_rate, steps, int(steps * settings.warmup_proportion))
    return AdamWeightDecay(
        schedule,
        settings.weight_decay,
        bias_correction=settings.bias_correction,
        global_clipnorm=settings.max_grad_norm or None,
        lr_multipliers=multipliers,
    )


def _announce(config, model, optimizer, datasets, strategy, steps):
    sizes = ", ".join(f"{dataset.examples.size} {split}" for split, dataset in datasets.items())
    cut = datasets["train"].examples.cut_share
    print(f"Examples: {sizes}; {cut:.1%} of the training texts are cut to {config.data.max_seq_length} pieces.")
    if model.task.labels:
        print(f"Labels: {', '.join(map(str, model.task.labels))}.")
    print(
        f"Devices: {strategy.num_replicas_in_sync} × {device_kind()}; {steps} steps of "
        f"{config.training.train_batch_size} examples."
    )
    print(describe_groups(model.trainable_variables, optimizer.lr_multipliers, optimizer.decay))


def _refuse_finished(output_dir, overwrite):
    finished = os.path.join(output_dir, "eval_results.json")
    if tf.io.gfile.exists(finished) and not overwrite:
        raise InputError(f"{output_dir} holds a finished run already; choose another --output_dir, or --overwrite.")
    if overwrite and tf.io.gfile.exists(output_dir):
        for name in ("checkpoints", "model", "metrics.jsonl", "eval_results.json"):
            path = os.path.join(output_dir, name)
            if tf.io.gfile.exists(path):
                (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)


def _dtype(config):
    return {"none": "float32", "bfloat16": "mixed_bfloat16"}[config.runtime.mixed_precision]


def _xla(config):
    return config.runtime.xla == "on" or (config.runtime.xla == "auto" and device_kind() != "CPU")


def _steps_per_loop(config):
    return config.runtime.steps_per_loop or _STEPS_PER_LOOP[device_kind()]


def _seed(training, own):
    return training.seed if own is None else own
