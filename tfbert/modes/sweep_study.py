"""Sweeps: a grid or a search over settings, with trials run by any number of workers on one store."""

import dataclasses
import hashlib
import itertools
import json
import os
import re
import socket
import time
import traceback
import warnings

import tensorflow as tf

from tfbert.config.load import changes, scope_of
from tfbert.config.setting import Scope
from tfbert.core.errors import CannotWrite, Diverged, InputError
from tfbert.core.extras import install_command
from tfbert.core.files import json_of, remove_folder, write_whole
from tfbert.modes.folds import train_model
from tfbert.modes.output_folder import results_of
from tfbert.reports.sweep_report import write_sweep_report
from tfbert.tasks import TASKS
from tfbert.training.evaluation import dev_score
from tfbert.training.signals import Interrupted

_STUDY = "tfbert"
# Seconds without a heartbeat after which a worker on another machine counts as dead.
_HEARTBEAT, _GIVEN_UP = 30, 180
_POLL = 5.0
# Seconds that a worker waits for a lock on the SQLite file; the default of 5 s is too short on a busy machine.
_LOCK_SECONDS = 60
_ATTEMPTS = 4


@dataclasses.dataclass(frozen=True)
class SweepTrial:
    """A finished trial.

    Attributes:
        settings: dict. The values of the settings that vary.
        folder: str. The folder of its run.
        results: dict. The run's results, empty if it did not finish.
        failed: str or None. Why it counts as failed.
        seconds: float.
    """

    settings: dict
    folder: str
    results: dict
    failed: str | None
    seconds: float


class Sweep:
    """The trials of one sweep, stored in an Optuna study, which several workers may share.

    For a grid, all trials are enqueued at the start; for a search, Optuna's TPE suggests each trial.
    """

    def __init__(self, config, trainer):
        """Opens or creates the study, and enqueues new points of the grid.

        Args:
            config: Config, with `sweep`.
            trainer: Trainer.

        Raises:
            InputError: Optuna is not installed, the store cannot be opened, or it holds a sweep with other settings.
        """
        self._config, self._trainer = config, trainer
        self._spaces = json.loads(json.dumps(config.sweep.sweep))  # as the store returns them: without tuples
        self._output_dir = config.training.output_dir
        self._search, self._mistake = config.sweep.sweep_trials, None
        base = json.loads(json.dumps(config.as_dict()))
        self._base = {name: base[name] for space in self._spaces for name in space}
        task = TASKS[config.model.task]
        self._metric = config.training.best_metric or task.default_metric
        self._lower_is_better = task.lower_is_better(self._metric)
        self._study = self._open()
        self._refuse_changed()
        self._give_up_on_the_dead()
        if not self._search:
            self._queue_grid()

    def run(self):
        """Runs trials until none is left, by this worker or another; returns list of SweepTrial.

        Raises:
            Interrupted: SIGTERM or Ctrl-C; the running trial is saved, and resumed next time.
        """
        try:
            while self._wait_for_work():
                self._study.optimize(self._objective, n_trials=1, catch=(InputError,))
                if self._mistake:
                    raise self._mistake
                self._record()
            self._record()
            self._keep_best()
        finally:
            trials = self.trials()
            if trials:
                write_sweep_report(self._output_dir, self._config.as_dict(), self._metric, trials)
        return trials

    def trials(self):
        """Returns the finished trials, in order: list of SweepTrial."""
        return [
            SweepTrial(
                trial.user_attrs["settings"],
                trial.user_attrs["folder"],
                trial.user_attrs.get("results", {}),
                trial.user_attrs["failed"],
                trial.user_attrs["seconds"],
            )
            for trial in self._ended()
        ]

    def best(self):
        """Returns the trial with the best dev score, of equals one that has not failed; None if none has a score."""
        scored = [trial for trial in self.trials() if dev_score(trial.results, self._metric) is not None]
        sign = -1 if self._lower_is_better else 1
        return max(scored, key=lambda t: (sign * dev_score(t.results, self._metric), not t.failed), default=None)

    def _open(self):
        try:
            import optuna
        except ImportError:
            raise InputError(f"--mode=sweep needs Optuna, which is missing: {install_command('sweep')}.") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # the reasons are reported here
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # about the heartbeat
        url = self._config.sweep.sweep_store
        if not url:
            if "://" in self._output_dir:
                raise InputError(
                    f"--output_dir={self._output_dir} cannot hold the sweep's database; give one as --sweep_store, "
                    "such as a local sqlite:///sweep.db or postgresql://…."
                )
            tf.io.gfile.makedirs(self._output_dir)
            url = f"sqlite:///{os.path.abspath(self._output_dir)}/sweep.db"
        for attempt in range(_ATTEMPTS):
            try:
                return self._study_in(url)
            except Exception as error:  # each database has its own exceptions
                reason = " ".join(str(error).split())[:300]
                time.sleep(attempt)  # two workers may create the tables at once
        raise InputError(
            f"--sweep_store={url} cannot be opened: {reason}; give a database that SQLAlchemy can reach, such as "
            "sqlite:///sweep.db."
        )

    def _study_in(self, url):
        import optuna

        sqlite = url.startswith("sqlite")
        self._storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": _LOCK_SECONDS}} if sqlite else None,
            heartbeat_interval=_HEARTBEAT,
            grace_period=_GIVEN_UP,
            heartbeat_stale_trial_callback=lambda study, trial: self._queue_again(trial),
        )
        if sqlite:
            _write_in_turn(self._storage.engine)
        return optuna.create_study(
            storage=self._storage,
            study_name=f"{_STUDY} {self._output_dir}",
            sampler=optuna.samplers.TPESampler(seed=self._config.training.seed),
            direction="minimize" if self._lower_is_better else "maximize",
            load_if_exists=True,
        )

    def _refuse_changed(self):
        """Refuses a study with other settings, as its trials would not be comparable with new ones."""
        settings = json.loads(json.dumps(self._config.as_dict()))
        if self._search:
            settings["space searched"] = self._spaces
        changed = changes(self._study.user_attrs.get("settings", settings), settings)
        trials = [trial.user_attrs for trial in self._study.get_trials(False)]
        if changed and any("worker" in about and "mistake" not in about for about in trials):
            raise InputError(
                f"{self._output_dir} holds a sweep with other settings: {'; '.join(changed)}. Use the old settings to "
                "continue it, or another --output_dir."
            )
        if changed:  # the first trial failed through a user's mistake, which the new settings fix
            self._delete()
            self._study = self._open()
        self._study.set_user_attr("settings", settings)

    def _delete(self):
        import optuna

        optuna.delete_study(study_name=self._study.study_name, storage=self._storage)

    def _queue_grid(self):
        """Enqueues new points of the grid, and removes points that are no longer in it."""
        from optuna.trial import TrialState

        points = grid(self._spaces)
        wanted = [self._base | point for point in points]
        for trial in self._study.get_trials(False, states=[TrialState.WAITING]):
            if self._base | trial.user_attrs.get("point", {}) not in wanted:
                self._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        known = [self._base | trial.user_attrs.get("point", {}) for trial in self._trials_that_count()]
        for point in points:
            if self._base | point not in known:
                self._study.enqueue_trial({}, user_attrs={"point": point})
                known.append(self._base | point)

    def _queue_again(self, trial):
        point = {name: value for name, value in trial.user_attrs.items() if name == "point"}
        self._study.enqueue_trial(trial.params, user_attrs=point)

    def _give_up_on_the_dead(self):
        """Re-enqueues trials of killed processes of this machine; Optuna's heartbeat does so for other machines."""
        import optuna

        for trial in self._study.get_trials(False, states=[optuna.trial.TrialState.RUNNING]):
            host, _, process = trial.user_attrs.get("worker", "").rpartition(":")
            if host == socket.gethostname() and not _alive(int(process)):
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                self._queue_again(trial)  # finished results are read, not computed again

    def _wait_for_work(self):
        """Returns whether there is a trial to run; waits while others run the last ones, in case one of them dies."""
        from optuna.storages import fail_stale_trials
        from optuna.trial import TrialState

        said = False
        while True:
            running = self._study.get_trials(False, states=[TrialState.RUNNING])
            if self._search:
                left = self._search - len(self._ended()) - len(running)
            else:
                left = len(self._study.get_trials(False, states=[TrialState.WAITING]))
            if left > 0 or not running:
                return left > 0
            if not said:
                print(f"Waiting for {len(running)} trials of other workers.")
                said = True
            time.sleep(_POLL)
            fail_stale_trials(self._study)

    def _objective(self, trial):
        """Runs one trial, resuming a partial run; returns its dev score."""
        if not self._search and ("point" not in trial.user_attrs or self._is_double(trial)):
            raise InputError("Another worker has this trial.")  # the queue was empty, or filled twice
        trial.set_user_attr("worker", f"{socket.gethostname()}:{os.getpid()}")
        point = self._suggested(trial) if self._search else trial.user_attrs["point"]
        folder = os.path.join(self._output_dir, "trials", trial_name(point))
        print(f"Trial {trial.number}: {', '.join(f'{name}={value}' for name, value in point.items())}", flush=True)
        start = time.monotonic()
        results, reason = {}, None
        try:
            results = self._results_of(folder, point)
            score = dev_score(results, self._metric)
            reason = results["failed"] if score is not None else f"{self._metric} on dev is undefined"
        except (Interrupted, CannotWrite) as error:
            self._mistake = error  # the trial can still be run
            self._queue_again(trial)
            raise
        except Exception as error:  # also a library's, such as lack of memory; other trials can run
            if not isinstance(error, Diverged) and not any(ended.results for ended in self.trials()):
                self._mistake = error  # nothing has worked yet, so the sweep is at fault, not the trial
                trial.set_user_attr("mistake", str(error))
                self._queue_again(trial)
                raise
            reason = str(error)
            if not isinstance(error, InputError):
                traceback.print_exc()
                reason = f"{type(error).__name__}: {reason}".splitlines()[0][:300]
        about = {"settings": self._base | point, "folder": folder, "results": results, "failed": reason}
        for name, value in (about | {"seconds": time.monotonic() - start}).items():
            trial.set_user_attr(name, value)
        remove_folder(os.path.join(folder, "checkpoints"))
        for number in range(point.get("folds", self._config.training.folds) or 0):
            for name in ("checkpoints", "model"):  # the ensemble has its own members
                remove_folder(os.path.join(folder, "folds", str(number + 1), name))
        if reason:
            print(f"Trial {trial.number} failed: {reason}")
        if not results or score is None:
            raise InputError(reason)
        return score

    def _is_double(self, trial):
        """Returns whether an earlier trial of the same point is waiting, running or finished."""
        point = self._base | trial.user_attrs["point"]
        return any(
            other.number < trial.number
            and "point" in other.user_attrs
            and self._base | other.user_attrs["point"] == point
            for other in self._trials_that_count()
        )

    def _trials_that_count(self):
        """Returns the trials that are waiting, running or finished, without interrupted or dropped ones."""
        trials = self._study.get_trials(False)
        return [trial for trial in trials if not trial.state.is_finished() or "seconds" in trial.user_attrs]

    def _results_of(self, folder, settings):
        """Trains, or reads the results of a run that a killed worker had already finished."""
        if finished := results_of(folder):
            return finished
        config = self._config.replace(
            mode="train",
            output_dir=folder,
            overwrite=False,
            sweep=None,
            sweep_trials=None,
            sweep_store=None,
            **settings,
        )
        return train_model(config, self._trainer, announce=False)

    def _suggested(self, trial):
        found = {}
        for name, spec in self._spaces[0].items():
            if isinstance(spec, list):
                found[name] = json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in spec]))
            elif isinstance(spec["low"], int):
                found[name] = trial.suggest_int(name, spec["low"], spec["high"], log=spec["log"])
            else:
                found[name] = trial.suggest_float(name, spec["low"], spec["high"], log=spec["log"])
        return found

    def _ended(self):
        """Returns the finished trials; of restarted ones, only the last."""
        trials = [t for t in self._study.get_trials(False) if t.state.is_finished() and "seconds" in t.user_attrs]
        return list({trial.user_attrs["folder"]: trial for trial in trials}.values())

    def _record(self):
        """Writes trials.jsonl and keeps only the best model."""
        trials, best = self.trials(), self.best()
        lines = [json_of(dataclasses.asdict(trial), ensure_ascii=False) + "\n" for trial in trials]
        write_whole(os.path.join(self._output_dir, "trials.jsonl"), "".join(lines).encode())
        for trial in trials:
            if best and trial.folder != best.folder:
                remove_folder(os.path.join(trial.folder, "model"))

    def _keep_best(self):
        """Copies the best trial's model to OUTPUT_DIR/model, its weights last."""
        best = self.best()
        if best is None:
            return
        source, target = os.path.join(best.folder, "model"), os.path.join(self._output_dir, "model")
        members = [tf.io.gfile.exists(os.path.join(folder, "members")) for folder in (source, target)]
        if members[0] != members[1]:  # a single model and an ensemble have different files
            remove_folder(target)
        for folder, _, names in tf.io.gfile.walk(source, topdown=False):
            copy = os.path.join(target, folder[len(source) :].strip("/"))
            tf.io.gfile.makedirs(copy)
            for name in sorted(names, key=lambda name: name == "model.safetensors"):
                with tf.io.gfile.GFile(os.path.join(folder, name), "rb") as file:
                    write_whole(os.path.join(copy, name), file.read())


def _write_in_turn(engine):
    """Makes SQLite lock at the start of a transaction; otherwise two workers may take the same waiting trial."""
    import sqlalchemy

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def grid(spaces):
    """Returns the points of grids: list of dict. Settings that need no new trace vary fastest.

    Args:
        spaces: list of dict name -> list of values.
    """
    points = []
    for space in spaces:
        names = sorted(space, key=lambda name: Scope.GRAPH not in scope_of(name))
        for values in itertools.product(*(space[name] for name in names)):
            point = dict(zip(names, values))
            points.append({name: point[name] for name in space})
    return points


def trial_name(settings):
    """Returns a folder name for the settings of a trial: str."""
    text = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in settings.items())
    name = re.sub(r"[^\w.,=+-]+", "_", text.replace('"', ""))
    return (
        name
        if len(name) < 150 and name == text.replace('"', "")
        else (f"{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")
    )


def _alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
