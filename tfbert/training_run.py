"""One training run: what happens at which step, what a checkpoint remembers, who writes."""

import json
import os
import signal
import time

import tensorflow as tf

from tfbert.errors import InputError
from tfbert.models.saved_model import load_weights, save_model
from tfbert.parts import seed_of, steps_per_loop_of, uses_xla
from tfbert.training.checkpoints import Checkpoints
from tfbert.training.evaluation import Evaluator, is_better
from tfbert.training.interruption import Interrupted, Interruption
from tfbert.training.loop import train
from tfbert.training.progress import RunLog
from tfbert.training.strategy import is_chief, worker_values

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
    "topology",
    "doctor",
}


class TrainingRun:
    """One training run: what happens at which step, and what a checkpoint has to remember."""

    def __init__(self, config, parts, strategy):
        """Restores the newest checkpoint, if there is one; writes nothing yet.

        Args:
            config: Config.
            parts: TrainingParts.
            strategy: tf.distribute.Strategy.

        Raises:
            InputError: the checkpoint is of a run with other settings or data.
        """
        self._config, self._training = config, config.training
        self._model, self._optimizer, self._strategy = parts.model, parts.optimizer, strategy
        self._datasets, self._metric, self._steps = parts.datasets, parts.metric, parts.steps
        self._output_dir = self._training.output_dir
        self._model_dir = os.path.join(self._output_dir, "model")
        self._xla = uses_xla(config, strategy)
        self._evaluator = Evaluator(parts.model, strategy, self._xla)
        self._checkpoints = Checkpoints(
            os.path.join(self._output_dir, "checkpoints"), parts.model, parts.optimizer, self._training.keep_checkpoints
        )
        self._decides = {name: value for name, value in config.as_dict().items() if name not in _FREE} | {
            f"{split} data": dataset.examples.fingerprint
            for split, dataset in parts.datasets.items()
            if split != "test"
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
                steps_per_loop=steps_per_loop_of(self._config, self._strategy),
                xla=self._xla,
                data_seed=seed_of(self._training, self._training.data_seed),
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
