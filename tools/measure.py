#!/usr/bin/env python3
"""Runs configs over several seeds and keeps their scores in configs/measured.json, from which tables are made.

    .venv/bin/python tools/measure.py mrpc rte --seeds=0,1,2 --data=../shared/data

Each run is `python -m tfbert.run --config=configs/NAME.yaml --seed=S`, with the files of `--data` (a folder of JSONL
sets) in place of those the config names. The scores are those on dev_file after the last step. A run that is there
already is not repeated. `tools/update_readme.py` then writes the headers of the configs and the tables of README.md.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
MEASURED = ROOT / "configs" / "measured.json"

# What stands in place of the config's data: the files of ../shared/data, whose columns have names of their own.
PAIRS = ["--text_column=text_a", "--text_pair_column=text_b"]
SINGLE = ["--text_column=text"]
FILES = {
    "mrpc": (PAIRS, "dev"),
    "rte": (PAIRS, "dev"),
    "stsb": (PAIRS, "dev"),
    "cola": (SINGLE, "dev"),
    "sst2": (SINGLE, "dev"),
    "trec": ([*SINGLE, "--label_column=label"], "test"),
    "goemotions": (SINGLE, "dev"),
    "quickstart": (None, "dev"),
}


def main():
    """Runs what is asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", choices=sorted(FILES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--peer", help="JSON lines {task, seed, result}: another program's scores on the same rows")
    options = parser.parse_args()
    if options.peer:
        keep_peer(options.peer)
    for seed in map(int, options.seeds.split(",")):
        for name in options.configs:
            measure(name, seed, options.data)


def measure(name, seed, data):
    """Runs one config with one seed, unless measured.json has it."""
    if str(seed) in read().get(name, {}).get("scores", {}):
        return
    columns, split = FILES[name]
    flags = [f"--train_file={data}/{name}/train.jsonl", f"--dev_file={data}/{name}/{split}.jsonl", *(columns or [])]
    flags = flags if columns else []
    command = ["python", "-m", "tfbert.run", f"--config=configs/{name}.yaml", *flags]
    output = ROOT / "runs" / f"{name}-{seed}"
    run = [sys.executable, *command[1:], f"--seed={seed}", f"--output_dir={output}", "--overwrite"]
    subprocess.run(run, check=True, cwd=ROOT)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = [line for line in lines if line["split"] == "dev"][-1]
    measured = read()
    entry = measured.setdefault(name, {"scores": {}})
    entry["scores"][str(seed)] = {key: value for key, value in scores.items() if key not in ("step", "split")}
    entry |= {"command": " ".join(command), **provenance()}
    write(measured)
    shutil.rmtree(output)


def keep_peer(path):
    """Takes over the scores of another program."""
    measured = read()
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        scores = {name: run["result"][name] for name in ("accuracy", "f1", "mcc")}
        peer = measured.setdefault(run["task"], {"scores": {}}).setdefault("peer", {"scores": {}})
        peer["scores"][str(run["seed"])] = scores
    write(measured)


def read():
    """Returns what has been measured so far."""
    return json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}


def write(measured):
    """Keeps what has been measured."""
    MEASURED.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def provenance(output_dir=None):
    """Returns when, on what, and with which versions something was measured: dict of str.

    Args:
        output_dir: path. Where the results are; `run_on_jax.py replay` leaves there what computed them.
    """
    packages = ("tensorflow", "keras", "keras-hub")
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    device = output_dir and pathlib.Path(output_dir) / "device.txt"
    machine = device.read_text(encoding="utf-8").strip() if device and device.exists() else _machine()
    return {"date": str(datetime.date.today()), "machine": machine, "versions": versions}


def _machine():
    """Returns what computes, in words; providers call different CPUs alike, so what they have for bfloat16 is named."""
    model, bfloat16 = platform.machine(), ""
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
        for flag in ("avx512_bf16", "amx_bf16"):
            if line.startswith("flags") and flag in line.split():
                bfloat16 = f" ({flag})"
    return f"{model}{bfloat16}, {os.cpu_count()} cores, no accelerator"


if __name__ == "__main__":
    main()
