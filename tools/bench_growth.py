#!/usr/bin/env python3
"""Measures what fine-tuning costs as the work grows, and keeps it in configs/measured.json.

    .venv/bin/python tools/bench_growth.py --data=../shared/data

Rows: one epoch of the first 320, 3,200 and 32,000 rows of SST-2, without its first step (`tools/bench.py`). Sequence
length and layers: one step of 32 texts of IMDb that fill the sequences, of minilm and of random BERTs of its width
(`tools/bench_steps.py`). Beside each, its slope: the exponent b of cost ~ size^b, fitted to all sizes.
"""

import argparse
import json
import pathlib
import shlex
import sys
import tempfile

import numpy as np
from compare import reported
from measure import provenance, read, write

from tfbert.models.minilm import fetch_minilm

ROWS, LENGTHS, LAYERS = (320, 3200, 32000), (16, 32, 64, 128, 256, 512), (2, 6, 12, 24)
BATCH = 32  # of both benchmarks


def main():
    """Measures all three, and keeps each when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data", help="folder of sst2/ and imdb/, as JSONL")
    data = parser.parse_args().data
    sst2 = [f"--train={data}/sst2/train.jsonl", f"--dev={data}/sst2/dev.jsonl", "--epochs=1"]
    keep("rows", {size: epoch(run("bench.py", *sst2, f"--limit={size}"), size) for size in ROWS})
    imdb = f"--train={data}/imdb/train.jsonl"
    keep("length", {size: step(imdb, f"--length={size}") for size in LENGTHS})
    minilm = pathlib.Path(fetch_minilm())
    config = json.loads((minilm / "config.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        found = {}
        for size in LAYERS:
            path = pathlib.Path(folder, f"{size}.json")
            path.write_text(json.dumps(config | {"num_hidden_layers": size}), encoding="utf-8")
            found[size] = step(imdb, "--length=128", f"--model=config:{path}", f"--vocab_file={minilm / 'vocab.txt'}")
    keep("layers", found)


def run(tool, *arguments):
    """Returns what a tool reports, and says so."""
    numbers = reported(shlex.join([sys.executable, f"tools/{tool}", *arguments]))
    print(tool, *arguments, json.dumps(numbers), file=sys.stderr, flush=True)
    return numbers


def epoch(numbers, rows):
    """Returns the cost of an epoch of so many rows without that of tracing: from the steps after the first."""
    first = numbers["first_step_s"] - numbers["import_s"] - numbers["prepare_s"]
    return {"ms": 1e3 * (numbers["train_s"] - first) * rows / (rows - BATCH), "peak_rss_mb": numbers["peak_rss_mb"]}


def step(*arguments):
    """Returns the cost of a step."""
    numbers = run("bench_steps.py", *arguments, "--rounds=3", "--steps=2", "--only")
    return {"ms": numbers["ms_per_step"], "peak_rss_mb": numbers["peak_rss_mb"]}


def keep(what, costs):
    """Writes the costs by size and their slope."""
    slope = np.polyfit(np.log(list(costs)), np.log([cost["ms"] for cost in costs.values()]), 1)[0]
    measured = read()
    entry = {"costs": {str(size): cost for size, cost in costs.items()}, "slope": float(slope)} | provenance()
    measured["growth"] = measured.get("growth", {}) | {what: entry}
    write(measured)


if __name__ == "__main__":
    main()
