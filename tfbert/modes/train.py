"""--mode=train: trains a model, selects the best by dev score, and scores it on test."""

import dataclasses
import gc
import json
import os

import numpy as np
import tensorflow as tf

from tfbert.config.setting import Scope
from tfbert.core.files import json_of, write_whole
from tfbert.data.hosts import check_hosts
from tfbert.inference.hugging_face import beyond_transformers
from tfbert.inference.linear_probe import linear_probe
from tfbert.modes.announcement import announcement
from tfbert.modes.build import (
    batches_to_score,
    copies_of,
    seed_of,
    strategy_of,
    training_parts,
    uses_xla,
)
from tfbert.modes.closing import closing, commands
from tfbert.modes.data_summary import summarize_data
from tfbert.modes.folds import train_model
from tfbert.modes.output_folder import check_shared, finished_results, output_lock, refuse_finished
from tfbert.modes.rows import rows_of_split, some_rows
from tfbert.modes.training_run import TracedGraphs, TrainingRun
from tfbert.reports.model_card import write_model_card
from tfbert.reports.run_report import write_run_report
from tfbert.reports.statistics import bootstrap_intervals
from tfbert.training.checkpoints import check_disk
from tfbert.training.devices import is_chief, leave_together
from tfbert.training.signals import Interrupted

# Dev rows of which a report shows that the model was wrong.
_MISTAKES = 20
# A linear probe takes so many rows, and of those that the run goes through one in so many; of fewer, it says nothing.
_PROBED_ROWS, _ROWS_A_PROBED_ROW, _FEWEST_PROBED = 2000, 3, 20


def train_mode(config):
    """Trains, keeps the best model by dev score, and scores it on test: --mode=train.

    Returns:
        dict. The content of `eval_results.json`; for a recipe of stages, that of each stage by name.
    """
    trainer, stages = Trainer(strategy_of(config)), config.stages()
    results = {}
    for name, stage in stages:
        results[name] = finished_results(stage)
        print(f"Stage {name}: {'already finished' if results[name] else stage.training.output_dir}.", flush=True)
        results[name] = results[name] or train_model(stage, trainer)
    return results if stages else train_model(config, trainer)


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

    def train(self, config, announce=True, alone=True):
        """Trains, keeps the best model by dev score, and scores it on test.

        Args:
            config: Config.
            announce: bool. Whether to print what is trained, on what.
            alone: bool. Whether the run stands for itself: then the result is printed, too, beside a linear probe's.

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
            return self._train(config, announce, announce and alone)

    def _train(self, config, announce, alone):
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
        check_shared(output_dir, strategy)
        summary = self._announce(config, parts) if announce and chief else None
        if alone and not run.step:
            run.probe = self._probe(config, parts)
        results = run.train() | ({"restarts": restarts} if restarts else {})
        self._signal = run.signal
        for note in model.notes() if chief else ():
            print(note)
        results["data"] = {split: dataset.examples.fingerprint for split, dataset in parts.datasets.items()}
        if chief:
            intervals = {split: bootstrap_intervals(model.task, *found) for split, found in run.outputs.items()}
            write_whole(os.path.join(output_dir, "eval_results.json"), json_of(results, indent=2).encode())
            write_model_card(output_dir, config.as_dict(), model.task, results, beyond_transformers(model))
            write_run_report(
                output_dir,
                config.as_dict(),
                parts.metric,
                results,
                model.task,
                run.outputs,
                intervals,
                summary,
                _mistakes(config, parts, run.outputs),
                commands(output_dir, model.task, results),
            )
            if alone:
                print(*closing(output_dir, parts.metric, results, model.task, intervals), sep="\n", flush=True)
        leave_together(strategy)
        return results

    def _announce(self, config, parts):
        """Says what is trained, on what; returns what the data is like: DataSummary or None."""
        packed = not uses_xla(config, self.strategy) and not config.training.windows_per_step
        model = parts.model
        summary = summarize_data(config, model.task, model.tokenizer, parts.datasets, parts.steps, packed)
        print(*announcement(config, parts, self.strategy, summary), sep="\n", flush=True)
        return summary

    def _probe(self, config, parts):
        """Returns what a linear model on the encoder's vectors scores on dev, before that is trained: dict or None."""
        train, dev = parts.datasets["train"], parts.datasets.get("dev")
        most = min(_PROBED_ROWS, parts.steps * train.batch_size // _ROWS_A_PROBED_ROW)
        if not (dev and parts.pretrained and parts.model.task.probed):
            return None
        if min(most, train.examples.size, dev.examples.size) < _FEWEST_PROBED:
            return None
        some = (
            train.examples.subset(_some_rows(train.examples.size, most, 1 + copies_of(config.data))),
            dev.examples.subset(_some_rows(dev.examples.size, most)),
        )
        batches = (batches_to_score(examples, config) for examples in some)
        found = linear_probe(parts.model, *batches, self.strategy, uses_xla(config, self.strategy))
        if found and is_chief(self.strategy):
            score = found["scores"].get(parts.metric)
            print(
                f"Before any training, a linear model on the encoder's vectors of {found['rows']:,} training rows has "
                f"{parts.metric} {'undefined' if score is None else f'{score:.4f}'} on {found['dev_rows']:,} dev rows.",
                flush=True,
            )
        return found

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


def _some_rows(rows, most, step=1):
    """Returns the numbers of so many rows at most, drawn by a fixed seed, of each `step` the first: int64 [n]."""
    return np.sort(np.random.default_rng(0).permutation(rows // step)[:most]) * step


def _mistakes(config, parts, outputs):
    """Returns the dev rows that the model is most wrong about: list of (row from 1, label, answer, how wrong, text)."""
    if "dev" not in outputs:
        return []
    task = parts.model.task
    found = task.mistakes(*outputs["dev"], _MISTAKES)
    numbers = parts.datasets["dev"].examples.numbers if found else ()
    rows = [int(numbers[row]) for row, *_ in found]
    dev = some_rows(rows_of_split(config, task, "dev", parts.split), rows)
    return [(row + 1, *task.shown_mistake(dev[row], mistake)) for row, mistake in zip(rows, found)]
