"""Runs a sweep of trainings and keeps the best model."""

import dataclasses
import os

from tfbert.core.files import json_of
from tfbert.modes.build import strategy_of
from tfbert.modes.output_folder import output_lock
from tfbert.modes.sweep_study import Sweep
from tfbert.modes.train import Trainer


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
    results = {
        "trials": len(trials),
        "failed": sum(bool(trial.failed) for trial in trials),
        "best": best and dataclasses.asdict(best),
    }
    print(json_of(results))
    print(f"The report is {os.path.join(output_dir, 'report.html')}.")
    if best:
        print(f"The best model is in {os.path.join(output_dir, 'model')}.")
    return results
