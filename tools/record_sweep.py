#!/usr/bin/env python3
"""Keeps the scores of a finished sweep in configs/measured.json, from which tables, headers and the picture are made.

python -m tfbert.run --config=configs/bias_correction.yaml --output_dir=runs/bias_correction
.venv/bin/python tools/record_sweep.py bias_correction runs/bias_correction
.venv/bin/python tools/update_readme.py
"""

import datetime
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import machine, read, versions, write  # noqa: E402

from tfbert.config import load_config  # noqa: E402
from tfbert.report import group_trials  # noqa: E402
from tfbert.sweep import SweepTrial  # noqa: E402
from tfbert.tasks import TASKS  # noqa: E402


def main(name, output_dir):
    """Takes over the trials of one sweep."""
    settings = load_config(str(ROOT / "configs" / f"{name}.yaml")).as_dict()
    metric = settings["best_metric"] or TASKS[settings["task"]].default_metric
    lines = (pathlib.Path(output_dir) / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    trials = [SweepTrial(**json.loads(line)) for line in lines]
    groups = group_trials(trials, settings)
    measured = read()
    measured.setdefault("sweeps", {})[name] = {
        "metric": metric,
        "groups": {
            label: {
                "dev": [trial.results.get("dev", {}).get(metric) for trial in members],
                "test": [trial.results.get("test", {}).get(metric) for trial in members],
                "failed": [bool(trial.failed) for trial in members],
                "seeds": [trial.settings["seed"] for trial in members],
            }
            for label, members in groups.items()
        },
        "date": str(datetime.date.today()),
        "machine": machine(),
        "versions": versions(),
    }
    write(measured)


if __name__ == "__main__":
    main(*sys.argv[1:])
