"""From settings to a trained model: one run after another, what is traced shared by those of one shape."""

import dataclasses
import json
import os

import tensorflow as tf

from tfbert.errors import InputError
from tfbert.files import write_whole
from tfbert.model_card import write_model_card
from tfbert.optim.multipliers import describe_groups
from tfbert.parts import seed_of, training_parts
from tfbert.report import write_run_report
from tfbert.training.checkpoints import check_disk
from tfbert.training.strategy import device_kind, is_chief, leave_together, worker_values
from tfbert.training_run import TracedGraphs, TrainingRun

# Settings by which two runs may differ and yet run the same graphs.
VARY = {
    "output_dir",
    "overwrite",
    "seed",
    "init_seed",
    "data_seed",
    "learning_rate",
    "patience",
    "eval_steps",
    "evaluations",
    "save_checkpoints_steps",
    "save_summary_steps",
    "stop_failed_runs",
}


class Trainer:
    """Trains by settings, one run after another on the same devices.

    Runs that differ in nothing but seeds, learning rate, or what is written when, share what TensorFlow has traced: the
    new run's values are put into the variables of the old one.
    """

    def __init__(self, strategy):
        """Takes the devices.

        Args:
            strategy: tf.distribute.Strategy.
        """
        self._strategy, self._shape, self._parts, self._graphs = strategy, None, None, None

    def train(self, config, announce=True):
        """Trains, keeps the best model by dev score, scores it on test.

        Args:
            config: Config.
            announce: bool. Whether to say what is trained, on what.

        Returns:
            dict. The content of `eval_results.json`.

        Raises:
            InputError: settings or data that cannot be used, or a loss that is not finite.
            Interrupted: SIGTERM or Ctrl-C; what was trained is saved.
        """
        output_dir, strategy = config.training.output_dir, self._strategy
        chief = is_chief(strategy)
        restarts = _refuse_finished(output_dir, config.training.overwrite, chief)
        parts = self._traced(config)
        model, optimizer = parts.model, parts.optimizer
        run = TrainingRun(config, parts, strategy, self._graphs)
        check_disk(output_dir, model, optimizer, config.training.keep_checkpoints)
        if chief:
            tf.io.gfile.makedirs(os.path.join(output_dir, "checkpoints"))
            write_whole(os.path.join(output_dir, "config.yaml"), config.to_yaml().encode())
            write_whole(
                os.path.join(output_dir, "labels.json"), json.dumps(model.task.labels, ensure_ascii=False).encode()
            )
            if announce:
                _announce(config, parts, strategy)
        _check_shared(output_dir, strategy)
        results = run.train() | ({"restarts": restarts} if restarts else {})
        shares = model.pool.shares()
        if chief and shares is not None:
            print("Shares of the layers in the scalar mix, from the bottom:", " ".join(f"{x:.3f}" for x in shares))
        results["data"] = {split: dataset.examples.fingerprint for split, dataset in parts.datasets.items()}
        if chief:
            write_whole(os.path.join(output_dir, "eval_results.json"), json.dumps(results, indent=2).encode())
            write_model_card(output_dir, config.as_dict(), model.task, results)
            write_run_report(output_dir, config.as_dict(), parts.metric, results)
        leave_together(strategy)
        return results

    def _traced(self, config):
        """Returns the parts of a run, whose graphs are then in `_graphs`: new ones, or the last run's."""
        parts = training_parts(config, self._strategy)
        shape = {name: value for name, value in config.as_dict().items() if name not in VARY}
        shape |= {"outputs": parts.model.task.outputs, "steps": parts.steps}
        if shape == self._shape:
            for old, new in zip(_variables(self._parts), _variables(parts), strict=True):
                old.assign(new)
            self._parts = dataclasses.replace(parts, model=self._parts.model, optimizer=self._parts.optimizer)
        else:
            self._shape, self._parts = shape, parts
            with self._strategy.scope():  # a variable, so that another peak needs no new trace
                schedule_of(parts.optimizer).peak = tf.Variable(config.optimizer.learning_rate, trainable=False)
            self._graphs = TracedGraphs(config, parts, self._strategy)
        schedule_of(self._parts.optimizer).peak.assign(config.optimizer.learning_rate)
        self._graphs.loop.data_seed.assign(seed_of(config.training, config.training.data_seed))
        return self._parts


def schedule_of(optimizer):
    """Returns the learning-rate schedule of an optimizer: WarmupSchedule."""
    return optimizer._learning_rate


def _variables(parts):
    return [*parts.model.variables, *parts.optimizer.variables]


def _announce(config, parts, strategy):
    train = parts.datasets["train"]
    sizes = ", ".join(f"{dataset.examples.size} {split}" for split, dataset in parts.datasets.items())
    print(
        f"Examples: {sizes}; {train.examples.cut_share:.1%} of the training texts are cut to "
        f"{config.data.max_seq_length} pieces."
    )
    if parts.model.task.labels:
        print(f"Labels: {', '.join(map(str, parts.model.task.labels))}.")
    print(
        f"Devices: {strategy.num_replicas_in_sync} × {device_kind(strategy)}; {parts.steps} steps of "
        f"{train.batch_size} examples."
    )
    print(describe_groups(parts.optimizer.groups()))


def _check_shared(output_dir, strategy):
    """Raises InputError where the machines do not all see the output folder that the chief has just made."""
    worker_values(strategy, 0)
    seen = tf.io.gfile.exists(os.path.join(output_dir, "config.yaml"))
    if not worker_values(strategy, int(seen)).all():
        raise InputError(f"--output_dir={output_dir} must be one folder that all machines see, such as one on gs://.")


def _refuse_finished(output_dir, overwrite, chief):
    """Raises InputError where a run has finished; with `overwrite` removes it.

    Returns:
        int. How many failed runs were replaced in this folder, one after another.
    """
    finished = os.path.join(output_dir, "eval_results.json")
    restarts = 0
    if tf.io.gfile.exists(finished):
        if not overwrite:
            raise InputError(f"{output_dir} holds a finished run already; choose another --output_dir, or --overwrite.")
        with tf.io.gfile.GFile(finished) as file:
            before = json.load(file)
        restarts = before.get("restarts", 0) + bool(before.get("failed"))
    if overwrite and chief and tf.io.gfile.exists(output_dir):
        for name in ("checkpoints", "model", "metrics.jsonl", "eval_results.json", "report.html"):
            path = os.path.join(output_dir, name)
            if tf.io.gfile.exists(path):
                (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else tf.io.gfile.remove)(path)
    return restarts
