#!/usr/bin/env python3
"""Writes what is made from other files: the tables of README.md and the headers of the configs.

Flags come from tfbert/config.py, results and timings from configs/measured.json, which only tools/measure.py and
tools/compare.py write. Run it after either has run, or after a setting has changed; a test sees when it was forgotten.
"""

import json
import pathlib
import re
import sys
import textwrap

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import FILES  # noqa: E402

from tfbert.config import flags_table  # noqa: E402

# What is quoted of each measured config, in the order of the table.
SHOWN = {
    "mrpc": ("MRPC", ["accuracy", "f1"]),
    "cola": ("CoLA", ["mcc"]),
    "trec": ("TREC (test)", ["accuracy"]),
    "rte": ("RTE", ["accuracy"]),
    "sst2": ("SST-2, first 3,200 rows", ["accuracy"]),
    "stsb": ("STS-B", ["pearson", "spearman"]),
    "goemotions": ("GoEmotions, first 4,000 rows", ["f1_micro", "f1_macro"]),
    "quickstart": ("the quickstart's messages", ["f1"]),
}
NAMES = {"mcc": "MCC", "f1": "F1", "pearson": "Pearson", "spearman": "Spearman", "f1_micro": "F1 micro",
         "f1_macro": "F1 macro", "accuracy": "accuracy"}  # fmt: skip


def main():
    """Rewrites the files in place."""
    measured = json.loads((ROOT / "configs" / "measured.json").read_text(encoding="utf-8"))
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for marker, table in (("flags", flags_table()), ("results", results_table(measured)), ("bench", bench(measured))):
        pattern = rf"(<!-- {marker} -->\n).*(<!-- /{marker} -->)"
        text = re.sub(pattern, lambda match: match[1] + table + "\n" + match[2], text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    for name in SHOWN:
        if name in measured:
            write_header(ROOT / "configs" / f"{name}.yaml", name, measured[name])


def results_table(measured):
    """Returns the table of scores, ours beside the peer's."""
    lines = ["| data | score | tfbert | Hugging Face Trainer |", "|---|---|---|---|"]
    for name, (title, metrics) in SHOWN.items():
        for metric in metrics if name in measured else []:
            theirs = measured[name].get("peer", {})
            lines.append(f"| [{title}](configs/{name}.yaml) | {NAMES[metric]} | {spread(measured[name], metric)} "
                         f"| {spread(theirs, metric) if theirs else ''} |")  # fmt: skip
    first = next(iter(measured[name] for name in SHOWN if name in measured))
    lines += ["", f"Each config's header holds its command and date. Machine: {first['machine']}; {first['versions']}."]
    return "\n".join(lines)


def spread(entry, metric):
    """Returns mean ± standard deviation over the seeds, as percentages."""
    values = 100 * np.array([scores[metric] for scores in entry["scores"].values()])
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def bench(measured):
    """Returns the table of timings: medians of each program, and their ratio to ours."""
    lines = []
    for comparison in measured.get("timings", []):
        lines += [f"{comparison['title']} ({comparison['date']}, {comparison['machine']}; medians of "
                  f"{comparison['rounds']} rounds in turn):", "",
                  "| program | whole process | examples/s in training | first step after | peak memory | speed |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        ours = comparison["programs"][0]["total_s"]
        for program in comparison["programs"]:
            first = f"{program['first_step_s']:.1f} s" if "first_step_s" in program else ""
            lines.append(
                f"| {program['name']} | {program['total_s']:.1f} s | {program['examples_per_s']:.1f} | {first} "
                f"| {program['peak_rss_mb'] / 1024:.2f} GiB | {ours / program['total_s']:.2f} |"
            )
        lines += ["", "```bash", *(program["command"] for program in comparison["programs"]), "```", ""]
    return "\n".join(lines[:-1])


def write_header(path, name, entry):
    """Puts the command and its result into the comment at the head of a config."""
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    body = text[re.search(r"^(?!#|\n)", text, flags=re.MULTILINE).start() :]
    results = ", ".join(f"{NAMES[metric]} {spread(entry, metric)}" for metric in SHOWN[name][1])
    seeds = ", ".join(sorted(entry["scores"], key=int))
    header = [
        first,
        "#",
        *textwrap.wrap(entry["command"], 118, initial_indent="# ", subsequent_indent="#     ", break_on_hyphens=False),
        f"# {results} (mean ± standard deviation over seeds {seeds}; {FILES[name][1]} set, after the last step),",
        f"# {entry['date']}, {entry['machine']}; {entry['versions']}.",
    ]
    path.write_text("\n".join(header) + "\n\n" + body, encoding="utf-8")


if __name__ == "__main__":
    main()
