#!/usr/bin/env python3
"""Keeps scores of a sweep in configs/measured.json, from which tables, headers and the picture are made.

Each setting is kept with its own date and machine; settings that this sweep has not run stay as they were measured.

python -m tfbert.run --config=configs/bias_correction.yaml --output_dir=runs/bias_correction
.venv/bin/python tools/record_sweep.py bias_correction runs/bias_correction accuracy
.venv/bin/python tools/update_readme.py
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import provenance, read, write  # noqa: E402

from tfbert.config.load import load_config  # noqa: E402
from tfbert.reports.run_report import group_trials  # noqa: E402
from tfbert.modes.sweep_study import SweepTrial  # noqa: E402


def main(name, output_dir, *metrics):
    """Takes over some scores of the trials of one sweep; the first one comes first in the tables."""
    settings = load_config(str(ROOT / "configs" / f"{name}.yaml")).as_dict()
    lines = (pathlib.Path(output_dir) / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    trials = [SweepTrial(**json.loads(line)) for line in lines]
    groups = group_trials(trials, settings)
    measured = read()
    entry = measured.setdefault("sweeps", {}).setdefault(name, {"groups": {}})
    entry["metrics"] = metrics
    for label, members in groups.items():
        entry["groups"][label] = {
            **{split: _scores(members, split, metrics) for split in ("dev", "test")},
            "failed": [bool(trial.failed) for trial in members],
            "seeds": [trial.settings["seed"] for trial in members],
            **provenance(output_dir),
        }
    write(measured)


def _scores(trials, split, metrics):
    return {metric: [trial.results.get(split, {}).get(metric) for trial in trials] for metric in metrics}


if __name__ == "__main__":
    main(*sys.argv[1:])
