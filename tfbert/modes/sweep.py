"""Runs a sweep of trainings and keeps the best model."""

import dataclasses

from tfbert.core.text_table import aligned
from tfbert.modes.build import strategy_of
from tfbert.modes.closing import where_to_go
from tfbert.modes.output_folder import output_lock
from tfbert.modes.sweep_study import Sweep
from tfbert.modes.train import Trainer
from tfbert.reports.score_tables import group_trials, scores_of_groups
from tfbert.reports.sections import text_of
from tfbert.tasks import TASKS


def sweep_mode(config):
    """Runs a sweep of trainings and keeps the best model: --mode=sweep.

    Returns:
        dict with `trials` (the number of finished trials), `failed` (how many of them failed) and `best` (its settings,
        folder and results; None if none has a score).
    """
    output_dir, strategy = config.training.output_dir, strategy_of(config)
    with output_lock(output_dir, strategy, shared=True):  # shared with the sweep's other workers
        found = Sweep(config, Trainer(strategy))
        trials, best = found.run(), found.best()
    failed = sum(bool(trial.failed) for trial in trials)
    task = TASKS[config.model.task]
    if trials:
        metric = config.training.best_metric or task.default_metric
        sign = -1 if task.lower_is_better(metric) else 1
        head, rows = scores_of_groups(metric, group_trials(trials, config.as_dict()), sign)
        print("", *aligned([head, *rows]), sep="\n")
    print(f"{len(trials)} trials, {failed} of them failed.")
    if best:
        print(f"The best has {', '.join(f'{name}={text_of(value)}' for name, value in best.settings.items())}.")
    print(*where_to_go(output_dir, task, model=bool(best)), sep="\n")
    return {"trials": len(trials), "failed": failed, "best": best and dataclasses.asdict(best)}
