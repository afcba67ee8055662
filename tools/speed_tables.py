"""The tables of timings in README and docs/speed.md, in Markdown."""

import itertools
import operator
import re

import numpy as np
from results import sources, when

# The programs of README's table of times, and their names there.
FASTEST = {"tfbert, bfloat16": "tfbert", "Hugging Face Trainer": "Hugging Face Trainer",
           "Hugging Face Trainer, --group --bf16": "its best setting", "keras-hub fit": "keras-hub fit"}  # fmt: skip
# What is timed in a comparison: the whole process, or, if its title is here, these parts of it.
WHOLE = operator.itemgetter("total_s")
TIMED = {
    "One training step, and the prediction of 20,000 rows of SST-2": {
        "start-up: until the first training step is done": lambda program: program["total_s"] - program["eval_s"],
        "prediction of 20,000 rows of SST-2 (13 tokens a text)": operator.itemgetter("eval_s"),
    }
}


def times_table(study):
    """Returns README's table of times in seconds, of the machine with bfloat16 instructions."""
    rows = [row for row in study.rows if "bf16" in when(row)]
    lines = [f"| work | {' | '.join(FASTEST.values())} |", "|---" * (1 + len(FASTEST)) + "|"]
    for work, group in itertools.groupby(rows, key=operator.itemgetter("work")):
        *_, (title, seconds) = TIMED.get(work, {work: WHOLE}).items()
        times = {row["program"]: f"{seconds(row):.0f} s" for row in group}
        title = re.sub(r" \(.*\)", "", title)
        lines.append(f"| {title} | {' | '.join(times.get(name, '') for name in FASTEST)} |")
    return "\n".join(lines)


def timings(study):
    """Returns the tables that compare programs, one per machine."""
    machines = {}
    for row in study.rows:
        machines.setdefault(when(row).partition(", ")[2], []).append(row)
    return "\n\n".join(map(timings_table, machines.values()))


def timings_table(rows):
    """Returns a machine's table of programs: their time, its ratio to the first program's, and their peak memory."""
    names = list(dict.fromkeys(row["program"] for row in rows))
    names.sort(key=lambda name: name.split(",")[0] == "keras-hub fit")
    lines = [f"| work | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    works = {}
    for row in rows:
        works.setdefault(row["work"], []).append(row)
    for work, programs in works.items():
        title = work.removesuffix(", float32")
        for part, seconds in TIMED.get(title, {title: WHOLE}).items():
            first = seconds(programs[0])
            cells = {
                row["program"]: f"{seconds(row):.1f} s (× {seconds(row) / first:.2f})<br>"
                f"{row['peak_rss_mb'] / 1024:.2f} GiB"
                for row in programs
            }
            lines.append(f"| {part} | {' | '.join(cells.get(name, '') for name in names)} |")
    rounds = {work: programs[0]["rounds"] for work, programs in works.items()}
    said = [f"; {work}: medians of {number:.0f} rounds" for work, number in rounds.items() if number > 1]
    where = "; ".join(sorted(sources(rows, when)))
    lines += ["", f"In parentheses: ratio to tfbert. Below: peak memory. One run each{''.join(said)}. {where}."]
    lines += ["", "<details><summary>The commands</summary>", ""]
    for work, programs in works.items():
        lines += [f"{work}:", "", "<!-- not run: minutes each, and torch in another environment -->", "```bash"]
        lines += [*(row["command"].strip() for row in programs), "```", ""]
    return "\n".join([*lines, "</details>"])


def steps_table(study):
    """Returns the table of where a training step's time goes."""
    kinds = [column for column in study.rows[0] if column not in ("work", "whole", "command", "measured")]
    lines = [f"| ms per step | {' | '.join(kinds)} | sum | without profiler | share of matrix products |"]
    lines.append("|---" * (len(kinds) + 4) + "|")
    how = {}
    for row in study.rows:
        times = [row[kind] for kind in kinds]
        cells = [f"{time:.0f}" for time in (*times, sum(times), row["whole"])]
        lines.append(f"| {row['work']} | {' | '.join(cells)} | {row['matrix products'] / row['whole']:.0%} |")
        how[f"`{row['command'].replace(row['work'].split(',')[0], 'DATA')}`, {when(row)}"] = None
    return "\n".join([*lines, "", "By the profiler, one operation at a time; without profiler: the same step, timed; "
                      f"{'; '.join(how)}."])  # fmt: skip


def growth_table(study):
    """Returns the table of how the cost of an epoch or a step grows with rows, sequence length and layers."""
    titles = {"rows": "rows of SST-2: one epoch", "length": "tokens per sequence: a step of 32", "layers": "layers, "
              "128 tokens: a step of 32"}  # fmt: skip
    lines = ["| what grows | size: time, peak memory | slope |", "|---|---|---|"]
    groups = study.groups("what")
    for what, title in titles.items():
        rows = groups[what]
        cells = [f"{row['size']:,.0f}: {row['ms'] / 1e3:.2f} s, {row['peak_rss_mb'] / 1024:.2f} GiB" for row in rows]
        slope = np.polyfit(np.log([row["size"] for row in rows]), np.log([row["ms"] for row in rows]), 1)[0]
        lines.append(f"| {title} | {'<br>'.join(cells)} | {slope:.2f} |")
    return "\n".join([*lines, "", "Slope: the exponent b of time ~ size^b, fitted to all sizes; measured by "
                      f"`{study.about['command']}`, {'; '.join(sorted(sources(study.rows, when)))}."])  # fmt: skip
