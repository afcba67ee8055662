"""What `tfbert.run` can do: one function a mode, from settings to parts to results."""

import json
import os
import signal
import time

import tensorflow as tf

from tfbert.data.dataset import ExampleDataset
from tfbert.data.sources import read_examples
from tfbert.data.tokenized import tokenize_examples
from tfbert.errors import InputError
from tfbert.files import write_whole
from tfbert.model_card import write_model_card
from tfbert.models.mixout import add_mixout
from tfbert.models.presets import find_preset
from tfbert.models.reinit import reinitialize
from tfbert.models.saved_model import load_model, load_weights, save_model
from tfbert.models.text_model import build_model
from tfbert.optim import OPTIMIZERS
from tfbert.optim.multipliers import (
    HEAD,
    describe_groups,
    freeze,
    gradual_unfreezing,
    layer_decay,
    parse_multipliers,
    pretrained,
)
from tfbert.optim.schedules import make_schedule
from tfbert.predict import predict_file
from tfbert.tasks import TASKS
from tfbert.training.checkpoints import Checkpoints, check_disk
from tfbert.training.evaluation import Evaluator, is_better
from tfbert.training.interruption import Interrupted, Interruption
from tfbert.training.loop import total_steps, train
from tfbert.training.progress import RunLog
from tfbert.training.strategy import device_kind, is_chief, make_strategy, worker_values

_STEPS_PER_LOOP = {"CPU": 1, "GPU": 10, "TPU": 100}
# Settings that may differ when a run is resumed: they change no weight and no line of metrics.jsonl. The data files may
# have moved: what was read from them is compared instead, and the devices by their number.
_FREE = {
    "mode",
    "output_dir",
    "overwrite",
    "resume_changed",
    "train_file",
    "dev_file",
    "test_file",
    "id_column",
    "cache_dir",
    "eval_batch_size",
    "predict_batch_size",
    "save_checkpoints_steps",
    "keep_checkpoints",
    "strategy",
    "virtual_devices",
    "tpu",
    "worker_hosts",
    "worker_index",
    "steps_per_loop",
}


def train_mode(config):
    """Trains, keeps the best model by dev score, scores it on test: what --mode=train does.

    Returns:
        dict. The content of `eval_results.json`.
    """
    data, training = config.data, config.training
    output_dir = training.output_dir
    strategy = _strategy(config)
    _refuse_finished(output_dir, training.overwrite, is_chief(strategy))

    preset = find_preset(config.model.preset, config.model.cache_dir)
    tokenizer = preset.tokenizer(data.do_lower_case)
    examples = _read(data, data.train_file, "train", data.limit_train_rows)
    smoothing = {"label_smoothing": config.model.label_smoothing} if config.model.label_smoothing else {}
    task = TASKS[config.model.task].from_examples(examples, **smoothing)
    metric = training.best_metric or task.default_metric
    if metric not in ("loss", *task.metric_names):
        raise InputError(f"--best_metric must be one of loss, {', '.join(task.metric_names)}. Received: {metric!r}.")
    datasets = _datasets(config, tokenizer, task)

    with strategy.scope():
        encoder = _encoder(config, preset)
        model = build_model(
            encoder,
            task,
            tokenizer,
            config.model.pooling,
            data.max_seq_length,
            _text_columns(data),
            _seed(training, training.init_seed),
        )
        steps = training.max_steps or total_steps(datasets["train"].steps_per_epoch, training.num_train_epochs)
        optimizer = _optimizer(config, model, steps)
        optimizer.build(model.trainable_variables)
    run = _Run(config, model, optimizer, strategy, datasets, metric, steps)
    check_disk(output_dir, model, optimizer, training.keep_checkpoints)
    if is_chief(strategy):
        tf.io.gfile.makedirs(os.path.join(output_dir, "checkpoints"))
        write_whole(os.path.join(output_dir, "config.yaml"), config.to_yaml().encode())
        write_whole(os.path.join(output_dir, "labels.json"), json.dumps(task.labels, ensure_ascii=False).encode())
        _announce(config, model, optimizer, datasets, strategy, steps)
    _check_shared(output_dir, strategy)
    results = run.train()
    if is_chief(strategy):
        write_whole(os.path.join(output_dir, "eval_results.json"), json.dumps(results, indent=2).encode())
        write_model_card(output_dir, config.as_dict(), task, results)
        print(json.dumps(results))
        print(f"The model is in {os.path.join(output_dir, 'model')}.")
    worker_values(strategy, 0)  # who leaves first would look dead to the others
    return results


class _Run:
    """One training run: what happens at which step, and what a checkpoint has to remember."""

    def __init__(self, config, model, optimizer, strategy, datasets, metric, steps):
        self._config, self._training = config, config.training
        self._model, self._optimizer, self._strategy, self._datasets = model, optimizer, strategy, datasets
        self._metric, self._steps = metric, steps
        self._output_dir = self._training.output_dir
        self._model_dir = os.path.join(self._output_dir, "model")
        self._xla = _xla(config, strategy)
        self._evaluator = Evaluator(model, strategy, self._xla)
        self._checkpoints = Checkpoints(
            os.path.join(self._output_dir, "checkpoints"), model, optimizer, self._training.keep_checkpoints
        )
        self._decides = {name: value for name, value in config.as_dict().items() if name not in _FREE} | {
            f"{split} data": dataset.examples.fingerprint for split, dataset in datasets.items() if split != "test"
        }
        self._decides = json.loads(json.dumps(self._decides)) | {"devices": strategy.num_replicas_in_sync}
        state = self._checkpoints.restore(self._refuse_changed) or {"best": {}, "log": [], "seconds": 0.0}
        self._best, self._pending, self._seconds_before = state["best"], state["log"], state["seconds"]

    def train(self):
        """Runs to the last step, from the newest checkpoint if there is one; returns the results."""
        first = int(self._optimizer.iterations.numpy())
        chief = is_chief(self._strategy)
        if chief:
            self._checkpoints.clean()
        batch_size = self._training.train_batch_size
        self._log = RunLog(self._output_dir, self._steps, batch_size, first, self._pending, chief)
        if first:
            self._log.say(f"Going on from step {first}, where the newest checkpoint stands.")
        self._begin = time.monotonic()
        with Interruption() as interruption:
            losses = train(
                self._model,
                self._datasets["train"],
                self._optimizer,
                self._strategy,
                steps=self._steps,
                accumulation=self._training.gradient_accumulation_steps,
                steps_per_loop=_steps_per_loop(self._config, self._strategy),
                xla=self._xla,
                data_seed=_seed(self._training, self._training.data_seed),
                events=self._events(),
                on_loop=self._log.steps,
                stop=lambda: interruption.signal is not None,
            )
            step = first + len(losses)
            if step < self._steps:
                self._save(step)
                self._log.close()
                worker_values(self._strategy, 0)
                raise Interrupted(interruption.signal or signal.SIGTERM, step)
        self._log.close()
        return self._results(self._steps * batch_size / self._seconds())

    def _seconds(self):
        """Returns how long the run has trained so far, before it was interrupted included."""
        return self._seconds_before + time.monotonic() - self._begin

    def _refuse_changed(self, state):
        before = state["decides"]
        changed = [
            f"{name} was {before.get(name)}, is {self._decides.get(name)}"
            for name in sorted(before.keys() | self._decides.keys())
            if before.get(name) != self._decides.get(name)
        ]
        if changed and not self._training.resume_changed:
            raise InputError(
                f"{self._output_dir} holds an unfinished run of other settings: {'; '.join(changed)}. Give the old "
                "ones to go on with it, --overwrite to begin anew, or --resume_changed to go on with the new ones."
            )

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
        with self._optimizer.averaged():
            scores = self._evaluator.evaluate(self._datasets["dev"])
        self._log.evaluation(step, "dev", scores)
        if is_better(self._metric, scores.get(self._metric), self._best.get("dev", {}).get(self._metric)):
            self._keep(step, scores)

    def _keep(self, step, scores=None):
        self._best = {"step": step, **({"dev": scores} if scores else {})}
        with self._optimizer.averaged():
            if is_chief(self._strategy):
                save_model(self._model, self._model_dir)

    def _save(self, step):
        if is_chief(self._strategy):
            state = {"best": self._best, "log": self._log.pending, "seconds": self._seconds(), "decides": self._decides}
            self._checkpoints.save(step, state)

    def _results(self, examples_per_second):
        results = {"dev": self._best["dev"]} if "dev" in self._best else {}
        if "test" in self._datasets:
            if self._best["step"] != self._steps or self._config.optimizer.ema_decay:
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
    results, evaluator = {}, Evaluator(model, strategy, _xla(config, strategy))
    for split, location in (("dev", data.dev_file), ("test", data.test_file)):
        if location:
            examples = read_examples(location, *columns, data.label_column, None, data.quoting, split)
            examples = tokenize_examples(examples, model.tokenizer, model.max_seq_length, model.task.encode_label)
            dataset = ExampleDataset(examples, training.eval_batch_size, model.max_seq_length, shuffle=False, seed=0)
            results[split] = evaluator.evaluate(dataset)
    path = os.path.join(training.output_dir, "eval_results.json")
    if tf.io.gfile.exists(path):
        with tf.io.gfile.GFile(path) as file:
            results = json.load(file) | results
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
        write_whole(path, json.dumps(results, indent=2).encode())
        print(json.dumps(results))
    worker_values(strategy, 0)
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
    if is_chief(strategy):
        tf.io.gfile.makedirs(training.output_dir)
    count = predict_file(model, examples, path, training.predict_batch_size, strategy, _xla(config, strategy))
    if is_chief(strategy):
        print(f"{count} predictions are in {path}.")
    worker_values(strategy, 0)
    return {"predictions": path, "examples": count}


MODES = {"train": train_mode, "evaluate": evaluate_mode, "predict": predict_mode}


def _strategy(config):
    runtime = config.runtime
    return make_strategy(
        runtime.strategy, runtime.virtual_devices, runtime.tpu, runtime.worker_hosts, runtime.worker_index
    )


def _saved_model(config):
    folder = config.model.preset or os.path.join(config.training.output_dir, "model")
    strategy = _strategy(config)
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


def _encoder(config, preset):
    """Returns the encoder with what is new in it; its weights must be the pre-trained ones before mixout keeps them."""
    settings = config.model
    encoder = preset.encoder(settings.dropout, _dtype(config), config.data.do_lower_case)
    init_seed = _seed(config.training, config.training.init_seed)
    reinitialize(encoder, settings.reinit_layers, settings.reinit_pooler, init_seed)
    if settings.mixout:
        add_mixout(encoder, settings.mixout, settings.reinit_layers, settings.reinit_pooler)
    return encoder


def _optimizer(config, model, steps):
    settings, new, encoder = config.optimizer, config.model, model.encoder
    multipliers = parse_multipliers(settings.lr_multipliers)
    multipliers += freeze(encoder, settings.freeze, settings.freeze_layers, new.reinit_layers)
    if settings.head_lr_multiplier != 1:
        multipliers.append((HEAD, settings.head_lr_multiplier))
    if settings.layer_lr_decay != 1:
        multipliers += layer_decay(encoder, settings.layer_lr_decay)
    prior = pretrained(encoder, new.reinit_layers, new.reinit_pooler) if settings.prior_weight_decay else []
    return OPTIMIZERS[settings.optimizer](
        _schedule(settings, steps),
        settings.weight_decay,
        bias_correction=settings.bias_correction,
        global_clipnorm=settings.max_grad_norm or None,
        lr_multipliers=multipliers,
        prior_weight_decay=prior,
        start_steps=gradual_unfreezing(encoder, settings.unfreeze_steps) if settings.unfreeze_steps else [],
        ema_decay=settings.ema_decay,
    )


def _schedule(settings, steps):
    warmup = settings.warmup_steps
    if warmup is None:
        warmup = int(steps * settings.warmup_proportion)
    if warmup > steps:
        raise InputError(f"--warmup_steps must be at most {steps}, the steps of this run. Received: {warmup}.")
    return make_schedule(settings.schedule, settings.learning_rate, steps, warmup, settings.polynomial_power)


def _announce(config, model, optimizer, datasets, strategy, steps):
    sizes = ", ".join(f"{dataset.examples.size} {split}" for split, dataset in datasets.items())
    cut = datasets["train"].examples.cut_share
    print(f"Examples: {sizes}; {cut:.1%} of the training texts are cut to {config.data.max_seq_length} pieces.")
    if model.task.labels:
        print(f"Labels: {', '.join(map(str, model.task.labels))}.")
    print(
        f"Devices: {strategy.num_replicas_in_sync} × {device_kind(strategy)}; {steps} steps of "
        f"{config.training.train_batch_size} examples."
    )
    print(describe_groups(optimizer.groups()))


def _check_shared(output_dir, strategy):
    """Raises InputError where the machines do not all see the output folder that the chief has just made."""
    worker_values(strategy, 0)
    seen = tf.io.gfile.exists(os.path.join(output_dir, "config.yaml"))
    if not worker_values(strategy, int(seen)).all():
        raise InputError(f"--output_dir={output_dir} must be one folder that all machines see, such as one on gs://.")


def _refuse_finished(output_dir, overwrite, chief):
    finished = os.path.join(output_dir, "eval_results.json")
    if tf.io.gfile.exists(finished) and not overwrite:
        raise InputError(f"{output_dir} holds a finished run already; choose another --output_dir, or --overwrite.")
    if overwrite and chief and tf.io.gfile.exists(output_dir):
        for name in ("checkpoints", "model", "metrics.jsonl", "eval_results.json"):
            path = os.path.join(output_dir, name)
            if tf.io.gfile.exists(path):
                (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)


def _dtype(config):
    return {"none": "float32", "bfloat16": "mixed_bfloat16"}[config.runtime.mixed_precision]


def _xla(config, strategy):
    return config.runtime.xla == "on" or (config.runtime.xla == "auto" and device_kind(strategy) != "CPU")


def _steps_per_loop(config, strategy):
    return config.runtime.steps_per_loop or _STEPS_PER_LOOP[device_kind(strategy)]


def _seed(training, own):
    return training.seed if own is None else own
