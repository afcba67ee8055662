"""Runs the quickstart of README, and saves and formats its output."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from results import ROOT

# The saved output, and the commands. README shows this many lines at the head and the tail of a long output.
QUICKSTART = "docs/quickstart.txt"
COMMANDS = (
    "python -m tfbert.run --config=configs/quickstart.yaml",
    "python -m tfbert.run --mode=predict --output_dir=runs/quickstart "
    "--test_file=tfbert/data/samples/support_desk_test.tsv",
    "head -n 2 runs/quickstart/predictions.jsonl",
)
HEAD, TAIL, WIDTH = 3, 4, 100


def run_quickstart(root=ROOT):
    """Runs the quickstart's commands in a temporary folder, and saves what they print."""
    said = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("configs", "tfbert"):
            (pathlib.Path(folder) / name).symlink_to(root / name)
        environment = os.environ | {
            "PYTHONPATH": str(root), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        }  # fmt: skip
        for command in COMMANDS:
            done = subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE, text=True, cwd=folder,
                                  env=environment)  # fmt: skip
            said.append(f"$ {command}\n{done.stdout.rstrip()}\n")
    (root / QUICKSTART).write_text("\n".join(said), encoding="utf-8")


def transcript(text):
    """Returns the quickstart's commands and output as shown in README: fenced blocks in Markdown."""
    blocks = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *lines = part.rstrip().split("\n")
        lines = lines if len(lines) <= HEAD + TAIL + 1 else [*lines[:HEAD], "…", *lines[-TAIL:]]
        lines = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in lines]
        shown = command.replace("quickstart --test", "quickstart \\\n    --test")
        blocks += ["<!-- run: quickstart -->", "```bash", shown, "```", "```text", *lines, "```"]
    return "\n".join(blocks)
