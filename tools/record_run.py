#!/usr/bin/env python3
"""Keeps the dev scores of a finished run, evaluation by evaluation, in configs/measured.json.

python -m tfbert.run --config=configs/bert_tiny_gutenberg.yaml --output_dir=runs/bert_tiny_gutenberg
.venv/bin/python tools/record_run.py bert_tiny_gutenberg runs/bert_tiny_gutenberg masked_accuracy perplexity
.venv/bin/python tools/update_readme.py
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import provenance, read, write  # noqa: E402

from tfbert.reports.run_report import read_metrics  # noqa: E402


def main(name, output_dir, *metrics):
    """Takes over some scores of a run: after each evaluation, and the baseline's."""
    results = json.loads((pathlib.Path(output_dir) / "eval_results.json").read_text(encoding="utf-8"))
    dev = [line for line in read_metrics(output_dir) if line["split"] == "dev"]
    measured = read()
    measured.setdefault("runs", {})[name] = {
        "metrics": metrics,
        "dev": [{key: line[key] for key in ("step", *metrics)} for line in dev],
        "baseline": {metric: results["baseline"][metric] for metric in metrics},
        **provenance(),
    }
    write(measured)


if __name__ == "__main__":
    main(*sys.argv[1:])
