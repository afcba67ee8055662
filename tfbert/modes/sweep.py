"""Runs many trainings and keeps the best model."""

import dataclasses
import json
import os

from tfbert.modes.build import strategy_of
from tfbert.modes.sweep_study import Sweep
from tfbert.modes.trainer import Trainer


def sweep_mode(config):
    """Runs many trainings and keeps the best model: what --mode=sweep does.

    Returns:
        dict with `trials` (how many have ended), `failed` (how many of them failed) and `best` (its settings, folder
        and results; None where none has a score).
    """
    found = Sweep(config, Trainer(strategy_of(config)))
    trials, best = found.run(), found.best()
    output_dir = config.training.output_dir
    results = {
        "trials": len(trials),
        "failed": sum(bool(trial.failed) for trial in trials),
        "best": best and dataclasses.asdict(best),
    }
    print(json.dumps(results))
    print(f"The report is {os.path.join(output_dir, 'report.html')}.")
    if best:
        print(f"The best model is in {os.path.join(output_dir, 'model')}.")
    return results
