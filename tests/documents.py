"""The documentation as tests read it: its fenced blocks, each marked with the test that runs it, or why none does."""

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys

from tests.processes import ROOT, Run

PAGES = [ROOT / "README.md", ROOT / "README.zh.md", ROOT / "CONTRIBUTING.md", ROOT / "configs" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
SAMPLES = ROOT / "tfbert" / "data" / "samples"
# What documents show and nobody runs.
SHOWN = ("text", "csv")
_BLOCK = re.compile(r"(?:<!-- (run|not run): (.+?) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: pathlib.Path.
        mark: "run", "not run" or None.
        name: str or None. Of the test case, or the reason.
        language: str.
        text: str.
    """

    page: object
    mark: str | None
    name: str | None
    language: str
    text: str


def blocks_of(page):
    """Returns the fenced blocks of a page: list of Block."""
    return [Block(page, *found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def blocks_named(name, pages=None):
    """Returns the blocks that a test case runs, in order: list of Block."""
    pages = PAGES if pages is None else pages
    return [block for page in pages for block in blocks_of(page) if (block.mark, block.name) == ("run", name)]


def sandbox(folder):
    """Makes a folder look like a checkout with a user's files, all of them small; returns it.

    The samples have 48 training rows in place of 413 and 16 in place of 100; the CSV files are README's five rows eight
    times over, numbered.
    """
    (folder / "configs").symlink_to(ROOT / "configs")
    samples = folder / "tfbert" / "data" / "samples"
    samples.mkdir(parents=True)
    for path in SAMPLES.glob("*.tsv"):
        header, *rows = path.read_text("utf-8").splitlines()
        urgent = [row for row in rows if row.endswith("urgent")]
        count = 40 if "train" in path.name else 12
        kept = [*(row for row in rows if row not in urgent)][:count] + urgent[: count // 5]
        (samples / path.name).write_text("\n".join([header, *kept]) + "\n", "utf-8")
    [table] = [block.text for block in blocks_of(ROOT / "README.md") if block.language == "csv"]
    header, *rows = table.splitlines()
    rows = [row.replace('",', f' {number}",') for number in range(8) for row in rows]
    for name in ("train", "dev", "test", "new"):
        (folder / f"{name}.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    tagged = [f'{{"text": "the printer is {word}", "labels": ["{word}"]}}' for word in ("down", "slow") * 10]
    (folder / "tags.jsonl").write_text("\n".join(tagged) + "\n", "utf-8")
    sentence = "John\tB-PER\nlives\tO\nin\tO\nNew\tB-LOC\nYork\tI-LOC\n\n"
    for name in ("train.conll", "dev.conll"):
        (folder / name).write_text(sentence * 8, "utf-8")
    context = "John lives in Berlin. " * 3
    asked = [{"id": f"q{number}", "question": "Who lives in Berlin?", "answers": [{"text": "John", "answer_start": 0}]}
             for number in range(8)]  # fmt: skip
    for name in ("squad_train.json", "squad_dev.json"):
        paragraphs = [{"context": context, "qas": asked}]
        (folder / name).write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), "utf-8")
    (folder / "new.txt").write_text("John is in the printer\n", "utf-8")
    documents = ["\n".join(f"The {word} of line {line} is not my {word}." for line in range(8)) for word in
                 ("printer", "account", "door", "phone", "screen", "key")]  # fmt: skip
    (folder / "corpus.txt").write_text("\n\n".join(documents) + "\n", "utf-8")
    return folder


def run_shell(block, folder, extra):
    """Runs the commands of a block one after another, `python -m tfbert.run` in a forked process.

    Args:
        block: Block, in bash.
        folder: pathlib.Path. Where they run.
        extra: list of str. Further flags of each `python -m tfbert.run`, which win over those printed.

    Returns:
        str. What they print.
    """
    printed = ""
    for command in block.text.replace("\\\n", " ").strip().splitlines():
        words = shlex.split(command, comments=True)
        if words[:3] == ["python", "-m", "tfbert.run"]:
            run = Run([*words[3:], *extra], folder=folder)
            run.wait()
            assert run.returncode == 0, command + run.outputs()[0][-3000:]
            printed += run.outputs()[0]
        else:
            done = subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True, text=True)
            printed += done.stdout
    return printed


def run_python(text, folder):
    """Runs Python in a process of its own; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
