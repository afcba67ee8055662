#!/usr/bin/env python3
"""Saves the scores of runs in configs/results/, from which tools/write_docs.py makes tables, headers and the figure.

    .venv/bin/python tools/record.py seeds mrpc rte --seeds=0,1,2 --data=data

runs `python -m tfbert.run --config=configs/NAME.yaml --seed=S`, with the files of `--data` (a folder of JSONL sets)
instead of those in the config, and saves the scores on dev_file after the last step. A run that is recorded already is
not repeated. `--peer` adds another program's scores on the same rows.

    python -m tfbert.run --config=configs/bias_correction.yaml --output_dir=runs/bias_correction
    .venv/bin/python tools/record.py sweep bias_correction runs/bias_correction accuracy

saves some scores of a sweep's trials; the first one comes first in the tables. Each setting is saved with its own date
and machine; settings that this sweep has not run keep their results.

    python -m tfbert.run --config=configs/bert_tiny_gutenberg.yaml --output_dir=runs/bert_tiny_gutenberg
    .venv/bin/python tools/record.py run bert_tiny_gutenberg runs/bert_tiny_gutenberg masked_accuracy perplexity

saves some dev scores of a finished run, one row per evaluation, and those of its baseline.

    EXTRAS=test,preflight tools/test -n 2 --junitxml=run.xml
    .venv/bin/python tools/record.py reliability run.xml

saves what the tests measured: devices, kills, TPU programs.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import results
from results import ROOT, Study

# Column flags and evaluated split of the files of tools/fetch_data.py, which replace the config's data.
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
OURS, PEER = "tfbert", "Hugging Face Trainer"


def main():
    """Runs the subcommand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    seeds = kinds.add_parser("seeds", help="run configs over several seeds")
    seeds.add_argument("configs", nargs="+", choices=sorted(FILES))
    seeds.add_argument("--seeds", default="0,1,2")
    seeds.add_argument("--data", default="data")
    seeds.add_argument("--peer", help="JSON lines {task, seed, result}: another program's scores on the same rows")
    seeds.set_defaults(record=record_seeds)
    for record, what in ((record_sweep, "sweep"), (record_run, "run")):
        finished = kinds.add_parser(what, help=f"save scores of a finished {what}")
        finished.add_argument("name", help="of the config: configs/NAME.yaml")
        finished.add_argument("output_dir")
        finished.add_argument("metrics", nargs="+", metavar="metric")
        finished.set_defaults(record=record)
    reliability = kinds.add_parser("reliability", help="save what the tests measured")
    reliability.add_argument("path", help="file written by pytest --junitxml")
    reliability.set_defaults(record=record_reliability)
    options = vars(parser.parse_args())
    options.pop("record")(**options)


def record_seeds(configs, seeds, data, peer):
    """Runs the requested configs and seeds that are not recorded yet."""
    if peer:
        record_peer(peer)
    for seed in map(int, seeds.split(",")):
        for name in configs:
            run_seed(name, seed, data)


def run_seed(name, seed, data):
    """Runs one config with one seed, unless its scores are recorded already."""
    study = results.read(name)
    if any((row["program"], row["seed"]) == (OURS, seed) for row in study.rows):
        return
    columns, split = FILES[name]
    flags = [f"--train_file={data}/{name}/train.jsonl", f"--dev_file={data}/{name}/{split}.jsonl", *(columns or [])]
    command = ["python", "-m", "tfbert.run", f"--config=configs/{name}.yaml", *(flags if columns else [])]
    output = ROOT / "runs" / f"{name}-{seed}"
    run = [sys.executable, *command[1:], f"--seed={seed}", f"--output_dir={output}", "--overwrite"]
    subprocess.run(run, check=True, cwd=ROOT)
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    scores = [line for line in lines if line["split"] == "dev"][-1]
    scores = {metric: value for metric, value in scores.items() if metric not in ("step", "split")}
    study.about |= {"command": " ".join(command), "split": split}
    keep_seed(name, study, OURS, seed, scores)
    shutil.rmtree(output)


def record_peer(path):
    """Records the scores of another program."""
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        scores = {metric: run["result"][metric] for metric in ("accuracy", "f1", "mcc")}
        keep_seed(run["task"], results.read(run["task"]), PEER, run["seed"], scores)


def keep_seed(name, study, program, seed, scores):
    """Saves the scores of one seed; our rows come first."""
    row = {"program": program, "seed": seed, **scores, "measured": results.provenance()}
    study.about = {"kind": "seeds"} | study.about
    study.replace([row], "program", "seed")
    study.rows.sort(key=lambda row: (row["program"] != OURS, row["seed"]))
    results.write(name, study)


def record_sweep(name, output_dir, metrics):
    """Records some scores of the trials of one sweep."""
    from tfbert.config.load import load_config
    from tfbert.modes.sweep_study import SweepTrial
    from tfbert.reports.score_tables import group_trials

    settings = load_config(str(ROOT / "configs" / f"{name}.yaml")).as_dict()
    lines = (pathlib.Path(output_dir) / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    groups = group_trials([SweepTrial(**json.loads(line)) for line in lines], settings)
    columns = [(split, metric) for split in ("dev", "test") for metric in metrics]
    rows = [
        {"setting": label, "seed": trial.settings["seed"], "failed": bool(trial.failed)}
        | {f"{split}_{metric}": trial.results.get(split, {}).get(metric) for split, metric in columns}
        | {"measured": results.provenance()}
        for label, trials in groups.items()
        for trial in trials
    ]
    study = results.read(name).replace(rows, "setting")
    study.rows.sort(key=lambda row: row["setting"])
    study.about = command_of("sweep", name)
    results.write(name, study)


def record_run(name, output_dir, metrics):
    """Records some scores of a run: those of each evaluation, and the baseline's."""
    from tfbert.reports.sections import read_metrics

    found = json.loads((pathlib.Path(output_dir) / "eval_results.json").read_text(encoding="utf-8"))
    lines = [{"step": "word frequencies alone"} | found["baseline"]]
    lines += [line for line in read_metrics(output_dir) if line["split"] == "dev"]
    where = {"measured": results.provenance()}
    rows = [{column: line[column] for column in ("step", *metrics)} | where for line in lines]
    results.write(name, Study(command_of("run", name), rows))


def command_of(kind, name):
    """Returns what all rows of a sweep or a run share: dict of str."""
    command = f"python -m tfbert.run --config=configs/{name}.yaml --output_dir=runs/{name}"
    return {"kind": kind, "command": command}


def record_reliability(path):
    """Records the properties that a test run measured; refuses one with a failed test."""
    root = ElementTree.parse(path).getroot()
    suite = root if root.tag == "testsuite" else root[0]
    if int(suite.get("failures")) + int(suite.get("errors")):
        sys.exit(f"{path}: a test failed; nothing is recorded.")
    found = {}
    for entry in root.iter("property"):
        found.setdefault(entry.get("name"), []).append(entry.get("value"))
    values = [
        ("layouts", len(found["loss_apart"])),
        ("loss_apart", max(map(float, found["loss_apart"]))),
        ("weights_apart", max(map(float, found["weights_apart"]))),
        ("kills", sum(map(int, found["kills"]))),
        *(("program", program) for program in found.get("program", [])),
    ]
    where = {"measured": results.provenance()}
    results.write("reliability", Study({}, [{"what": what, "value": value} | where for what, value in values]))


if __name__ == "__main__":
    main()
