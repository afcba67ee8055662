"""One training run: events by step, checkpoints, detection of failure, and output."""

import json
import os
import signal
import time

import numpy as np
import tensorflow as tf

from tfbert.config.load import changes, given_settings
from tfbert.config.setting import Scope
from tfbert.core.errors import InputError
from tfbert.inference.saved_model import load_weights, save_decision, save_model
from tfbert.modes.build import seed_of, steps_per_loop_of, uses_xla
from tfbert.training.checkpoints import Checkpoints
from tfbert.training.devices import is_chief, leave_together
from tfbert.training.evaluation import Evaluator, scores
from tfbert.training.health import RunHealth, majority_share, part_norms
from tfbert.training.loop import TrainingLoop, check_weights
from tfbert.training.run_log import RunLog
from tfbert.training.signals import Interrupted, Interruption


class TracedGraphs:
    """The traced graphs of a run: the training loop and the evaluation.

    Attributes:
        loop: TrainingLoop.
        evaluator: Evaluator.
    """

    def __init__(self, config, parts, strategy):
        """Prepares tracing.

        Args:
            config: Config.
            parts: TrainingParts.
            strategy: tf.distribute.Strategy.
        """
        xla, training = uses_xla(config, strategy), config.training
        self.loop = TrainingLoop(
            parts.model,
            parts.optimizer,
            strategy,
            training.gradient_accumulation_steps,
            xla,
            seed_of(training, training.data_seed),
        )
        self.evaluator = Evaluator(parts.model, strategy, xla)


class TrainingRun:
    """One training run: what happens at which step, and what a checkpoint stores.

    Attributes:
        outputs: dict. The best model's outputs once it is trained: "dev", "test" -> (labels, np.float32 [N, outputs]).
        probe: dict or None. What `linear_probe` found before the training began.
        signal: int. The signal that came too late to stop it, within its last steps; None: none did.
    """

    def __init__(self, config, parts, strategy, graphs):
        """Restores the newest checkpoint, if there is one; does not write anything yet.

        Args:
            config: Config.
            parts: TrainingParts.
            strategy: tf.distribute.Strategy.
            graphs: TracedGraphs of the parts.

        Raises:
            InputError: the checkpoint belongs to a run with other settings or data, or the dev rows do not allow
                fitting temperature or thresholds.
        """
        self._config, self._training = config, config.training
        self._model, self._optimizer, self._strategy = parts.model, parts.optimizer, strategy
        self._datasets, self._metric, self._steps = parts.datasets, parts.metric, parts.steps
        self._loop, self._evaluator = graphs.loop, graphs.evaluator
        if "dev" in parts.datasets:
            labels, settings = parts.datasets["dev"].examples.labels, config.balance
            parts.model.task.check_fit(labels, settings.calibrate, settings.tune_threshold)
        self._output_dir = self._training.output_dir
        self._model_dir = os.path.join(self._output_dir, "model")
        self._checkpoints = Checkpoints(
            os.path.join(self._output_dir, "checkpoints"), parts.model, parts.optimizer, self._training.keep_checkpoints
        )
        moving = config.within(Scope.PLACE)
        self._decides = {name: value for name, value in config.within(Scope.RESULT).items() if name not in moving} | {
            f"{split} data": dataset.examples.fingerprint
            for split, dataset in parts.datasets.items()
            if split != "test"
        }
        self._decides = json.loads(json.dumps(self._decides)) | {"devices": strategy.num_replicas_in_sync}
        state = self._checkpoints.restore(self._refuse_changed) or {
            "best": {},
            "waited": 0,
            "warnings": {},
            "losses": [],
            "predicted": [0.0] * parts.model.task.outputs,
            "seconds": 0.0,
            "probe": None,
        }
        self._best, self._waited, self._seconds_before = state["best"], state["waited"], state["seconds"]
        self._losses, self._predicted = state["losses"], np.array(state["predicted"], np.float32)
        self.outputs, self.signal, self._dev_outputs, self.probe = {}, None, None, state["probe"]
        self._health = self._watch(parts.warmup_steps) if "dev" in parts.datasets else None
        if self._health:
            self._health.warnings = state["warnings"]

    def _watch(self, warmup_steps):
        settings = self._config.optimizer
        return RunHealth(
            self._model.task,
            self._datasets["dev"].examples,
            self._metric,
            settings.learning_rate,
            settings.bias_correction,
            warmup_steps,
        )

    @property
    def step(self):
        """The steps that are done: int."""
        return self._loop.step

    def train(self):
        """Trains to the last step, from the newest checkpoint if there is one; returns the results."""
        first = self._loop.step
        chief = is_chief(self._strategy)
        if chief:
            self._checkpoints.clean()
        batch_size = self._training.train_batch_size
        self._log = RunLog(self._output_dir, self._steps, batch_size, first, self._losses, chief)
        if first:
            self._log.say(f"Resuming from the newest checkpoint, step {first}.")
        self._begin = time.monotonic()
        with Interruption() as interruption:
            losses = self._loop.run(
                self._datasets["train"],
                first if self._ended_early() else self._steps,
                steps_per_loop_of(self._config, self._strategy),
                self._events(),
                self._log.steps,
                stop=lambda: interruption.signal is not None or bool(self._ended_early()),
            )
            step = first + len(losses)
            if step < self._steps and not self._ended_early():
                self._save(step)
                self._log.close()
                leave_together(self._strategy)
                raise Interrupted(interruption.signal or signal.SIGTERM, step)
        self.signal = interruption.signal
        if step < self._steps:
            self._log.say(f"Stopped at step {step}: {self._ended_early()}.")
        self._log.close()
        return self._results(step, step * batch_size / self._seconds())

    def _ended_early(self):
        """Returns why the run ends before its last step, or None if it does not."""
        if self._training.patience and self._waited >= self._training.patience:
            return f"{self._waited} evaluations without a better {self._metric}"
        best = self._best.get("dev")
        if self._training.stop_failed_runs and best and self._health.hopeless(best, self._loop.step / self._steps):
            return f"the run is failing: {self._health.failed(best)}"
        return None

    def _seconds(self):
        """Returns the training time so far, including the time before an interruption."""
        return self._seconds_before + time.monotonic() - self._begin

    def _refuse_changed(self, state):
        labels = self._model.task.labels
        before = state.get("labels", labels)
        if before != labels:
            old, new = (", ".join(map(str, names[:30])) for names in (before, labels))
            raise InputError(
                f"{self._output_dir} holds an unfinished run with other labels: {old}; now they are {new}. Use the old "
                "training data to resume it, --overwrite to start again, or another --output_dir."
            )
        changed = changes(state["decides"], self._decides)
        if changed and not self._training.resume_changed:
            raise InputError(
                f"{self._output_dir} holds an unfinished run with other settings: {'; '.join(changed)}. Use the old "
                "settings to resume it, --overwrite to start again, or --resume_changed to resume it with the new ones."
            )

    def _events(self):
        events = [(self._training.save_summary_steps or min(500, -(-self._steps // 50)), self._log_step)]
        if "dev" in self._datasets:
            events.append((self._steps_between_evaluations(), self._evaluate))
        else:
            events.append((self._steps, self._keep_last))
        return events + [(self._training.save_checkpoints_steps, self._save)]

    def _steps_between_evaluations(self):
        if self._training.evaluations:
            return -(-self._steps // self._training.evaluations)
        return self._training.eval_steps or self._datasets["train"].steps_per_epoch

    def _log_step(self, step):
        learning_rate = float(tf.convert_to_tensor(self._optimizer.learning_rate))
        norms = part_norms(self._optimizer.gradient_norms(), self._model.encoder)
        self._log.log(step, learning_rate, norms, self._predicted + self._loop.take_predicted())
        self._predicted[:] = 0
        self._warn(step, norms)

    def _evaluate(self, step):
        check_weights(self._model, step)
        dataset = self._datasets["dev"]
        with self._optimizer.averaged():
            outputs = self._evaluator.outputs(dataset)
        task = self._model.task
        found = scores(task, dataset.examples.labels, outputs)
        best = self._best.get("dev", {}).get(self._metric)
        better = task.is_better(self._metric, found.get(self._metric), best)
        self._log.evaluation(step, "dev", found, majority_share(task, outputs), self._metric, better)
        self._waited += 1
        if better:
            self._waited = 0 if self._metric in found else self._waited  # without scores the last model is kept
            self._dev_outputs = outputs
            self._keep(step, found)
        self._warn(step, part_norms(self._optimizer.gradient_norms(), self._model.encoder), outputs, found)

    def _warn(self, step, norms, *what):
        for warning in self._health.look(step, norms, self._best.get("dev"), *what) if self._health else ():
            self._log.say(f"Warning: {warning}")

    def _keep_last(self, step):
        check_weights(self._model, step)
        self._keep(step)

    def _keep(self, step, dev_scores=None):
        self._best = {"step": step, **({} if dev_scores is None else {"dev": dev_scores})}
        with self._optimizer.averaged():
            if is_chief(self._strategy):
                save_model(self._model, self._model_dir)

    def _save(self, step):
        check_weights(self._model, step)
        self._predicted += self._loop.take_predicted()
        if is_chief(self._strategy):
            state = {
                "best": self._best,
                "waited": self._waited,
                "warnings": self._health.warnings if self._health else {},
                "losses": self._log.pending,
                "predicted": self._predicted.tolist(),
                "seconds": self._seconds(),
                "probe": self.probe,
                "decides": self._decides,
                "labels": self._model.task.labels,
            }
            self._checkpoints.save(step, state)

    def _results(self, step, examples_per_second):
        untuned, results = self._best.get("dev"), {}
        known = {} if self._dev_outputs is None else {"dev": self._dev_outputs}
        splits = [split for split in ("dev", "test") if split in self._datasets]
        task = self._model.task
        told = task.shows or bool(self._model.notes())  # samples of the model, besides its scores
        if (splits != list(known) or told) and (self._best["step"] != step or self._config.optimizer.ema_decay):
            load_weights(self._model, self._model_dir)
        for split in splits:
            labels = self._datasets[split].examples.labels
            outputs = known[split] if split in known else self._evaluator.outputs(self._datasets[split])
            if split == "dev":
                outputs = self._decide(labels, outputs)
            self.outputs[split] = labels, outputs
            results[split] = scores(task, labels, outputs)
        results |= task.shown(self._model, self._datasets.get("dev", self._datasets["train"]).examples)
        results |= {
            "examples_per_second": round(examples_per_second, 2),
            "best_step": self._best["step"],
            "steps": step,
        }
        if self._health:
            failed = self._health.failed(untuned)
            results |= {
                "baseline": self._health.baseline,
                "failed": failed,
                "warnings": list(self._health.warnings.values()),
                "remarks": task.remarks(*self.outputs["dev"], results["dev"], given_settings(self._config)),
            }
            if self.probe:
                results["linear_probe"] = self.probe
                results["remarks"] += self._beaten(results["dev"])
            if self._metric not in untuned:
                print(
                    f"{self._metric} on dev was undefined in every evaluation; the last model, of step "
                    f"{self._best['step']}, is kept."
                )
        return results

    def _beaten(self, dev_scores):
        """Returns whether the linear probe is better on the same rows, as remarks: list of (sentence, flag)."""
        score, same = self.probe["scores"].get(self._metric), len(self.outputs["dev"][0]) == self.probe["dev_rows"]
        own, is_better = dev_scores.get(self._metric), self._model.task.is_better
        if not same or score is None or is_better(self._metric, own, score):
            return []
        does = "better" if is_better(self._metric, score, own) else "as well"
        return [(f"A linear model on the encoder's vectors before any training does {does}, with {self._metric} "
                 f"{score:.4f}: more steps, or another --learning_rate, may do more", "")]  # fmt: skip

    def _decide(self, labels, outputs):
        """Fits temperature and thresholds on dev if requested; returns the outputs after correction."""
        settings, task = self._config.balance, self._model.task
        if not (settings.calibrate or settings.tune_threshold or task.decides):
            return outputs
        task.decision = task.fit_decision(labels, outputs, settings.calibrate, settings.tune_threshold)
        if is_chief(self._strategy):
            save_decision(self._model, self._model_dir)
        for line in task.describe_fit(labels, settings.calibrate, settings.tune_threshold):
            self._log.say(line)
        return outputs if task.decision.temperature == 1 else outputs / np.float32(task.decision.temperature)
