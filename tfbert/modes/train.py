"""--mode=train: trains a model, selects the best by dev score, and scores it on test."""

import dataclasses
import gc
import json
import os

import tensorflow as tf

from tfbert.config.setting import Scope
from tfbert.core.files import json_of, write_whole
from tfbert.data.hosts import check_hosts
from tfbert.inference.hugging_face import beyond_transformers
from tfbert.modes.build import copies_of, describe_data, seed_of, strategy_of, training_parts
from tfbert.modes.folds import train_model
from tfbert.modes.output_folder import check_shared, finished_results, output_lock, refuse_finished
from tfbert.modes.training_run import TracedGraphs, TrainingRun
from tfbert.optim.parameter_groups import describe_groups
from tfbert.reports.model_card import write_model_card
from tfbert.reports.run_report import write_run_report
from tfbert.training.checkpoints import check_disk
from tfbert.training.devices import device_kind, imitates_bfloat16, is_chief, leave_together
from tfbert.training.signals import Interrupted


def train_mode(config):
    """Trains, keeps the best model by dev score, and scores it on test: --mode=train.

    Returns:
        dict. The content of `eval_results.json`; for a recipe of stages, that of each stage by name.
    """
    strategy = strategy_of(config)
    trainer, stages = Trainer(strategy), config.stages()
    results, folder = {}, config.training.output_dir
    for name, stage in stages:
        folder = stage.training.output_dir
        results[name] = finished_results(stage)
        print(f"Stage {name}: {'already finished' if results[name] else folder}.", flush=True)
        results[name] = results[name] or train_model(stage, trainer)
    if not stages:
        results = train_model(config, trainer)
    if is_chief(strategy):
        print(json_of(results))
        print(f"The model is in {os.path.join(folder, 'model')}.")
    return results


class Trainer:
    """Trains one run after another on the same devices.

    Runs that differ only in seeds, learning rate, fold, or when output is written share the traced graphs: the values
    of the new run are assigned to the variables of the old one. Data with the same settings is tokenised once.
    """

    def __init__(self, strategy):
        """Takes the devices to train on.

        Args:
            strategy: tf.distribute.Strategy, available as the attribute `strategy`.
        """
        self.strategy, self._shape, self._parts, self._graphs = strategy, None, None, None
        self._examples = {}
        self._signal = None  # a signal that came too late to stop the last run

    def train(self, config, announce=True):
        """Trains, keeps the best model by dev score, and scores it on test.

        Args:
            config: Config.
            announce: bool. Whether to print what is trained, and on what.

        Returns:
            dict. The content of `eval_results.json`.

        Raises:
            InputError: settings or data that cannot be used, or a loss that is not finite.
            Interrupted: SIGTERM or Ctrl-C; the training state is saved.
        """
        late, self._signal = self._signal, None
        if late:
            raise Interrupted(late)
        with output_lock(config.training.output_dir, self.strategy):
            return self._train(config, announce)

    def _train(self, config, announce):
        output_dir, strategy = config.training.output_dir, self.strategy
        chief = is_chief(strategy)
        restarts = refuse_finished(output_dir, config.training.overwrite, chief)
        parts = self._traced(config)
        model, optimizer = parts.model, parts.optimizer
        for dataset in parts.datasets.values():
            check_hosts(dataset)
        run = TrainingRun(config, parts, strategy, self._graphs)
        check_disk(output_dir, model, optimizer, config.training.keep_checkpoints)
        if chief:
            tf.io.gfile.makedirs(os.path.join(output_dir, "checkpoints"))
            write_whole(os.path.join(output_dir, "config.yaml"), config.to_yaml().encode())
            write_whole(
                os.path.join(output_dir, "labels.json"), json.dumps(model.task.labels, ensure_ascii=False).encode()
            )
            if parts.split:
                parts.split.write(output_dir)
            if announce:
                _announce(config, parts, strategy)
        check_shared(output_dir, strategy)
        results = run.train() | ({"restarts": restarts} if restarts else {})
        self._signal = run.signal
        for note in model.notes() if chief else ():
            print(note)
        results["data"] = {split: dataset.examples.fingerprint for split, dataset in parts.datasets.items()}
        if chief:
            write_whole(os.path.join(output_dir, "eval_results.json"), json_of(results, indent=2).encode())
            write_model_card(output_dir, config.as_dict(), model.task, results, beyond_transformers(model))
            write_run_report(output_dir, config.as_dict(), parts.metric, results, model.task, run.outputs)
        leave_together(strategy)
        return results

    def _traced(self, config):
        """Returns the parts of a run, new or those of the last run; sets `_graphs` to their graphs."""
        if self._parts:  # models are in reference cycles: those of earlier runs would keep their memory for long
            gc.collect()
        parts = training_parts(config, self.strategy, kept=self._examples)
        shape = config.within(Scope.GRAPH) | {"loss": parts.model.task.graph_key(), "steps": parts.steps}
        if shape == self._shape:
            for old, new in zip(_variables(self._parts), _variables(parts), strict=True):
                old.assign(new)
            self._parts.model.task = parts.model.task
            kept = {name: getattr(self._parts, name) for name in ("model", "optimizer", "peak")}
            self._parts = dataclasses.replace(parts, **kept)
        else:
            self._shape, self._parts = shape, parts
            self._graphs = TracedGraphs(config, parts, self.strategy)
        self._graphs.loop.forget()
        self._parts.peak.assign(config.optimizer.learning_rate)
        self._graphs.loop.data_seed.assign(seed_of(config.training, config.training.data_seed))
        return self._parts


def _variables(parts):
    return [*parts.model.variables, *parts.optimizer.variables]


def _announce(config, parts, strategy):
    if parts.split:
        print(parts.split.describe())
    train = parts.datasets["train"]
    sizes = ", ".join(f"{dataset.examples.size} {split}" for split, dataset in parts.datasets.items())
    if copies_of(config.data):
        sizes += f" (of the training rows {copies_of(config.data)} modified copies each)"
    print(f"Examples: {sizes}; {_cuts(train.examples, config.data.max_seq_length)}.")
    for line in parts.model.task.announcement(train):
        print(line)
    print(
        f"Devices: {strategy.num_replicas_in_sync} × {device_kind(strategy)}; {parts.steps} steps of "
        f"{train.batch_size} examples."
    )
    if config.runtime.mixed_precision != "none" and device_kind(strategy) == "CPU" and imitates_bfloat16():
        print("This CPU has no bfloat16 instructions: steps are usually faster without --mixed_precision=bfloat16.")
    print(describe_groups(parts.optimizer.groups()))
    for line in describe_data(config, parts.model.task, parts.model.tokenizer, parts.datasets, parts.steps):
        print(line)


def _cuts(examples, max_seq_length):
    """Returns a phrase on how much of the texts is truncated: str."""
    kept = f"{max_seq_length} tokens"
    if examples.most_windows > 1:
        most = int(examples.window_counts.max())
        kept = f"{examples.most_windows} windows of {kept}, and have {examples.window_counts.mean():.1f} on average"
        if most < examples.most_windows:
            kept += f", at most {most}: --max_windows={most} would suffice"
    lost = f"; {examples.lost_pieces:,} tokens are lost" if examples.cut_share else ""
    return f"{examples.cut_share:.1%} of the training texts are truncated to {kept}{lost}"
