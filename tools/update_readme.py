#!/usr/bin/env python3
"""Writes what is made from other files: the tables of README.md and the headers of the configs.

Flags come from tfbert/config/groups.py, results and timings from configs/measured.json, which only tools/measure.py,
tools/compare.py and tools/record_sweep.py write. Run it after one of them has run, or after a setting has changed; a
test sees when it was forgotten.
"""

import json
import operator
import pathlib
import re
import sys
import textwrap

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from measure import FILES  # noqa: E402

from tfbert.config.load import flags_table  # noqa: E402

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
         "f1_macro": "F1 macro", "accuracy": "accuracy", "average_precision": "average precision",
         "expected_calibration_error": "calibration error", "masked_accuracy": "masked words right",
         "next_sentence_accuracy": "next sentences right",
         "perplexity": "perplexity"}  # fmt: skip

# Accuracies that a paper gives for a sweep's settings, with other weights and more rows: its tables 2, 3 and 4.
PUBLISHED = {
    "long_text_imdb": (
        "Sun et al. 2019",
        {
            "max_seq_length=512, long_text=head": 94.37,
            "max_seq_length=512, long_text=tail": 94.56,
            "max_seq_length=512, long_text=head_tail": 94.58,
            "max_seq_length=256, long_text=mean": 94.11,
            "max_seq_length=256, long_text=max": 94.29,
            "max_seq_length=256, long_text=attention": 94.51,
        },
    ),
    "layers_imdb": (
        "Sun et al. 2019",
        {
            "pooling=pooler": 94.58,
            "pooling=last4_concat": 94.57,
            "pooling=last4_mean": 94.56,
            "pooling=last4_max": 94.58,
            "pooling=all_concat": 94.56,
        },
    ),
    "layer_decay_imdb": (
        "Sun et al. 2019",
        {
            "learning_rate=2.5e-05, layer_lr_decay=1": 94.48,
            "learning_rate=2.5e-05, layer_lr_decay=0.95": 94.54,
            "learning_rate=2.5e-05, layer_lr_decay=0.9": 94.56,
            "learning_rate=2.5e-05, layer_lr_decay=0.85": 94.42,
            "learning_rate=2e-05, layer_lr_decay=1": 94.58,
            "learning_rate=2e-05, layer_lr_decay=0.95": 94.60,
            "learning_rate=2e-05, layer_lr_decay=0.9": 94.48,
            "learning_rate=2e-05, layer_lr_decay=0.85": 94.35,
        },
    ),
}

# What is timed of a comparison's programs: the whole process, but where its title is here the parts named.
WHOLE = operator.itemgetter("total_s")
TIMED = {
    "One training step, and the prediction of 20,000 rows of SST-2": {
        "start-up: until the first training step is done": lambda program: program["total_s"] - program["eval_s"],
        "prediction of 20,000 rows of SST-2 (13 pieces a text)": operator.itemgetter("eval_s"),
    }
}


def main():
    """Rewrites the files in place."""
    measured = json.loads((ROOT / "configs" / "measured.json").read_text(encoding="utf-8"))
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for marker, table in (
        ("flags", flags_table()),
        ("results", results_table(measured)),
        *((f"sweep {name}", sweep_table(name, entry)) for name, entry in measured["sweeps"].items()),
        *((f"run {name}", run_table(name, entry)) for name, entry in measured.get("runs", {}).items()),
        ("few samples", few_samples_table(measured["sweeps"])),
        ("reliability", reliability(measured)),
        ("bench", bench(measured)),
    ):
        pattern = rf"(<!-- {marker} -->\n).*(<!-- /{marker} -->)"
        text = re.sub(pattern, lambda match: match[1] + table + "\n" + match[2], text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    for name in SHOWN:
        if name in measured:
            results = ", ".join(f"{NAMES[metric]} {spread(measured[name], metric)}" for metric in SHOWN[name][1])
            seeds = ", ".join(sorted(measured[name]["scores"], key=int))
            what = f"mean ± standard deviation over seeds {seeds}; {FILES[name][1]} set, after the last step"
            write_header(
                ROOT / "configs" / f"{name}.yaml",
                measured[name]["command"],
                [f"{results} ({what}),"],
                source(measured[name]),
            )
    for name, entry in measured["sweeps"].items():
        command = f"python -m tfbert.run --config=configs/{name}.yaml --output_dir=runs/{name}"
        lines = [
            f"{label}: {', '.join(spread_of(group['test'][metric]) for metric in entry['metrics'])}, {failures(group)}"
            for label, group in entry["groups"].items()
        ]
        scores = ", ".join(NAMES[metric] for metric in entry["metrics"])
        intro = f"{scores} on unseen rows, mean ± standard deviation:"
        write_header(ROOT / "configs" / f"{name}.yaml", command, [intro, *lines], *measured_on(entry, source))
    for name, entry in measured.get("runs", {}).items():
        lines = [
            f"{what}: {', '.join(f'{NAMES[metric]} {shown(metric, line[metric])}' for metric in entry['metrics'])}"
            for what, line in (("dev, last step", entry["dev"][-1]), ("word frequencies alone", entry["baseline"]))
        ]
        command = f"python -m tfbert.run --config=configs/{name}.yaml --output_dir=runs/{name}"
        write_header(ROOT / "configs" / f"{name}.yaml", command, lines, source(entry))
    draw(measured)


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


def spread_of(values):
    """Returns mean ± standard deviation of some scores, as percentages."""
    values = 100 * np.array([value for value in values if value is not None])
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def failures(group):
    """Returns how many of a setting's runs failed, in words."""
    return f"{sum(group['failed'])} of {len(group['failed'])} runs failed"


def sweep_table(name, entry):
    """Returns the table of a sweep: each setting's scores on unseen rows, mean ± standard deviation over the seeds."""
    title = (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
    paper, published = PUBLISHED.get(name, (None, {}))
    columns = ["setting", *(f"{NAMES[metric]}, %" for metric in entry["metrics"]), "failed"]
    columns += [paper] if paper else []
    lines = [f"[{title}](configs/{name}.yaml)", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for label, group in entry["groups"].items():
        scores = [spread_of(group["test"][metric]) for metric in entry["metrics"]]
        theirs = [f"{published[label]:.2f}" if label in published else ""] if paper else []
        failed = f"{sum(group['failed'])} of {len(group['failed'])}"
        lines.append(f"| {' | '.join([label, *scores, failed, *theirs])} |")
    return "\n".join([*lines, "", f"Unseen rows, mean ± standard deviation; {'; '.join(measured_on(entry, when))}."])


def few_samples_table(sweeps):
    """Returns one table of the sweeps over small samples: a row a setting, a column a data set."""
    names = [name for name in sweeps if name.startswith("few_samples_")]
    titles, metrics = [], {}
    for name in names:
        config = (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
        rows, data = re.search(r"(\d+) rows of ([\w-]+)", config).groups()
        metrics[name] = sweeps[name]["metrics"][0]
        titles.append(f"[{data}, {rows} rows](configs/{name}.yaml): {NAMES[metrics[name]]}, %")
    lines = [f"| setting | {' | '.join(titles)} |", "|---" * (len(names) + 1) + "|"]
    for label in sorted(set().union(*(sweeps[name]["groups"] for name in names))):
        cells = []
        for name in names:
            group = sweeps[name]["groups"].get(label)
            cells.append(f"{spread_of(group['test'][metrics[name]])} ({sum(group['failed'])})" if group else "")
        lines.append(f"| {' | '.join([label, *cells])} |")
    where = sorted({when(group) for name in names for group in sweeps[name]["groups"].values()})
    return "\n".join([*lines, "", f"Unseen rows, mean ± standard deviation over 10 seeds, and how many of the 10 runs "
                      f"failed; {'; '.join(where)}."])  # fmt: skip


def measured_on(entry, source):
    """Returns when and where a sweep was measured, in words: what most of its settings share, then the others."""
    found = {}
    for label, group in entry["groups"].items():
        found.setdefault(source(group), []).append(label)
    most = max(found, key=lambda words: len(found[words]))
    return [most, *(f"{', '.join(labels)}: {words}" for words, labels in found.items() if words != most)]


def when(entry):
    """Returns when and on what something was measured, in words."""
    return f"{entry['date']}, {entry['machine']}"


def source(entry):
    """Returns when, on what and with which versions something was measured, in words."""
    return f"{when(entry)}; {entry['versions']}"


def run_table(name, entry):
    """Returns the table of one run: its dev scores after each evaluation, and those of the baseline."""
    lines = [f"| [{name}](configs/{name}.yaml), step | {' | '.join(NAMES[metric] for metric in entry['metrics'])} |"]
    lines.append("|---" * (1 + len(entry["metrics"])) + "|")
    rows = [{"step": "word frequencies alone"} | entry["baseline"], *entry["dev"]]
    lines += [f"| {row['step']} | {' | '.join(shown(m, row[m]) for m in entry['metrics'])} |" for row in rows]
    return "\n".join([*lines, "", f"Dev set, one seed; {when(entry)}."])


def shown(metric, value):
    """Returns a score as a reader wants it: a share in percent, a perplexity as it is."""
    return f"{value:.1f}" if metric == "perplexity" else f"{value:.1%}"


def reliability(measured):
    """Returns what the tests measured when they were last recorded, in words."""
    entry = measured.get("reliability")
    if not entry:
        return ""
    return (
        f"Measured by them, {entry['date']}, {entry['machine']}; {entry['versions']}: {entry['layouts']} layouts of "
        f"devices, parts and loops, whose losses differ from one device's by {entry['loss_apart']:.1e} at most, and "
        f"whose weights by {entry['weights_apart']:.1e} of the way they went; {entry['kills']} kills survived; "
        f"programs of a two-layer model for {'; '.join(entry['programs'])} a chip."
    )


def draw(measured):
    """Draws what bias correction does: configs/bias_correction.svg."""
    entry = measured.get("sweeps", {}).get("bias_correction")
    if not entry:
        return
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "tfbert", "axes.spines.top": False, "axes.spines.right": False}):
        [metric] = entry["metrics"]
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        axes = figure.subplots()
        rng = np.random.default_rng(0)
        for place, label in enumerate(("bias_correction=true", "bias_correction=false")):
            group = entry["groups"][label]
            values, failed = 100 * np.array(group["test"][metric], float), np.array(group["failed"])
            heights = place + rng.uniform(-0.18, 0.18, len(values))
            axes.scatter(values[~failed], heights[~failed], s=26, color="#1f6feb", alpha=0.75, label=None)
            axes.scatter(values[failed], heights[failed], s=34, color="#cf222e", marker="x")
            axes.text(101, place, f"{failed.sum()} of {len(failed)} failed", va="center", fontsize=9)
        axes.set_yticks(range(len(entry["groups"])), ["with bias correction", "without, as the original BERT"])
        axes.set_ylim(len(entry["groups"]) - 0.5, -0.5)
        axes.set_xlim(45, 100)
        axes.set_xlabel(f"{NAMES[metric]} on unseen rows, % (a point a seed)")
        axes.grid(axis="x", alpha=0.2)
        figure.savefig(ROOT / "configs" / "bias_correction.svg", metadata={"Date": None})


def bench(measured):
    """Returns the tables of timings: programs beside each other, a step by operation, cost by size."""
    timings = measured.get("timings", [])
    machines = dict.fromkeys(entry["machine"] for entry in timings)
    tables = [timings_table([entry for entry in timings if entry["machine"] == machine]) for machine in machines]
    tables += [steps_table(measured["steps"])] if "steps" in measured else []
    tables += [growth_table(measured["growth"])] if "growth" in measured else []
    return "\n\n".join(tables)


def timings_table(timings):
    """Returns a machine's table of programs: their time, how many times the first's it is, their peak memory."""
    names = list(dict.fromkeys(program["name"] for comparison in timings for program in comparison["programs"]))
    names.sort(key=lambda name: name.split(",")[0] == "keras-hub fit")
    lines = [f"| work | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for comparison in timings:
        title = comparison["title"].removesuffix(", float32")
        for part, seconds in TIMED.get(title, {title: WHOLE}).items():
            first = seconds(comparison["programs"][0])
            cells = {
                program["name"]: f"{seconds(program):.1f} s (× {seconds(program) / first:.2f})<br>"
                f"{program['peak_rss_mb'] / 1024:.2f} GiB"
                for program in comparison["programs"]
            }
            lines.append(f"| {part} | {' | '.join(cells.get(name, '') for name in names)} |")
    rounds = [f"; {entry['title']}: medians of {entry['rounds']} rounds" for entry in timings if entry["rounds"] > 1]
    lines += ["", f"In parentheses: times tfbert's. Below: peak memory. Once each, in turn{''.join(rounds)}. "
              f"{'; '.join(sorted({when(entry) for entry in timings}))}.",
              "", "<details><summary>The commands</summary>", ""]  # fmt: skip
    for comparison in timings:
        commands = [program["command"] for program in comparison["programs"]]
        lines += [f"{comparison['title']}:", "", "```bash", *commands, "```", ""]
    return "\n".join([*lines, "</details>"])


def steps_table(steps):
    """Returns the table of where a training step's time goes."""
    kinds = next(iter(steps.values()))["ms"]
    lines = [f"| ms of a step | {' | '.join(kinds)} | together | the step | matrix products' share of it |"]
    lines.append("|---" * (len(kinds) + 4) + "|")
    for name, entry in steps.items():
        whole, products = entry["whole_ms"], entry["ms"]["matrix products"]
        times = [f"{time:.0f}" for time in (*(entry["ms"][kind] for kind in kinds), sum(entry["ms"].values()), whole)]
        lines.append(f"| {name} | {' | '.join(times)} | {products / whole:.0%} |")
    how = dict.fromkeys(
        f"`{entry['command'].replace(name.split(',')[0], 'DATA')}`, {when(entry)}" for name, entry in steps.items()
    )
    return "\n".join([*lines, "", "By the profiler, one operation at a time; the step: likewise, without the profiler; "
                      f"{'; '.join(how)}."])  # fmt: skip


def growth_table(growth):
    """Returns the table of what an epoch or a step costs as rows, sequences and layers grow."""
    titles = {"rows": "rows of SST-2: an epoch", "length": "pieces of a sequence: a step of 32", "layers": "layers, "
              "128 pieces: a step of 32"}  # fmt: skip
    lines = ["| what grows | size: time, peak memory | slope |", "|---|---|---|"]
    for what, entry in sorted(growth.items(), key=lambda item: list(titles).index(item[0])):
        costs = [
            f"{int(size):,}: {cost['ms'] / 1e3:.2f} s, {cost['peak_rss_mb'] / 1024:.2f} GiB"
            for size, cost in sorted(entry["costs"].items(), key=lambda item: int(item[0]))
        ]
        lines.append(f"| {titles[what]} | {'<br>'.join(costs)} | {entry['slope']:.2f} |")
    where = sorted({when(entry) for entry in growth.values()})
    return "\n".join([*lines, "", "Slope: the exponent b of time ~ size^b, fitted to all sizes; measured by "
                      f"`.venv/bin/python tools/bench_growth.py`, {'; '.join(where)}."])  # fmt: skip


def write_header(path, command, results, *sources):
    """Puts the command, its results and where they come from into the comment at the head of a config."""
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    body = text[re.search(r"^(?!#|\n)", text, flags=re.MULTILINE).start() :]
    header = [
        first,
        "#",
        *textwrap.wrap(command, 118, initial_indent="# ", subsequent_indent="#     ", break_on_hyphens=False),
        *(f"# {line}" for line in results),
        *(f"# {line}." for line in sources),
    ]
    path.write_text("\n".join(header) + "\n\n" + body, encoding="utf-8")


if __name__ == "__main__":
    main()
