#!/usr/bin/env python3
"""Runs programs in turn, several rounds, and keeps the medians of what they report in configs/measured.json.

A comparison that is interrupted keeps the rounds it has done.

    .venv/bin/python tools/compare.py "SST-2, first 3,200 rows, one epoch" --rounds=3 \
        "tfbert=.venv/bin/python tools/bench.py --train=…" "the other=python other.py --train=…"

Each program prints as its last line a JSON object with total_s, examples_per_s and peak_rss_mb (tools/bench.py does).
The first is the one that the others are compared with. A comparison of the same title is replaced.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys

import numpy as np
from measure import ROOT, provenance, read, write


def main():
    """Runs the rounds, and writes the medians after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("title")
    parser.add_argument("programs", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    commands = dict(program.split("=", 1) for program in options.programs)
    found = {name: [] for name in commands}
    for number in range(options.rounds):
        for name, command in commands.items():
            found[name].append(reported(command))
            print(number + 1, name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
        keep(options.title, commands, found)


def keep(title, commands, found):
    """Writes the medians of the rounds that are done."""
    programs = [{"name": name, "command": commands[name], **medians(runs)} for name, runs in found.items()]
    measured = read()
    others = [entry for entry in measured.get("timings", []) if entry["title"] != title]
    entry = {"title": title, "rounds": len(found[programs[0]["name"]]), "programs": programs} | provenance()
    measured["timings"] = [*others, entry]
    write(measured)


def reported(command):
    """Returns the JSON object on the last line that a program prints."""
    words = [os.path.expandvars(os.path.expanduser(word)) for word in shlex.split(command)]
    result = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    if result.returncode:
        sys.exit(f"{command} failed: {result.stderr[-2000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def medians(runs):
    """Returns the median of each number that all runs report."""
    names = [name for name, value in runs[0].items() if isinstance(value, float) and all(name in run for run in runs)]
    return {name: float(np.median([run[name] for run in runs])) for name in names}


if __name__ == "__main__":
    main()
