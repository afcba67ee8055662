#!/usr/bin/env python3
"""Writes what is made from other files: the tables of README.md, the headers of the configs, the picture.

    .venv/bin/python tools/write_docs.py

Flags come from tfbert/config/groups/, results and timings from configs/results/, which only tools/record.py and
tools/bench.py write. Run it after one of them has run, or after a setting has changed; a test sees when it was
forgotten.
"""

import operator
import re
import textwrap

import numpy as np
from results import ROOT, read_all

from tfbert.config.load import flags_table

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
        "prediction of 20,000 rows of SST-2 (13 tokens a text)": operator.itemgetter("eval_s"),
    }
}


def main(root=ROOT):
    """Rewrites the files in place."""
    studies = read_all(root)
    seeds, sweeps, runs = ({name: study for name, study in studies.items() if study.about.get("kind") == kind}
                           for kind in ("seeds", "sweep", "run"))  # fmt: skip
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    for marker, table in (
        ("flags", flags_table()),
        ("results", results_table(seeds)),
        *((f"sweep {name}", sweep_table(name, title_of(root, name), study)) for name, study in sweeps.items()),
        *((f"run {name}", run_table(name, study)) for name, study in runs.items()),
        ("few samples", few_samples_table(root, sweeps)),
        ("reliability", reliability(studies["reliability"])),
        ("bench", "\n\n".join([timings(studies["timings"]), steps_table(studies["steps"]),
                               growth_table(studies["growth"])])),
    ):  # fmt: skip
        pattern = rf"(<!-- {marker} -->\n).*(<!-- /{marker} -->)"
        text = re.sub(pattern, lambda match: match[1] + table + "\n" + match[2], text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    for name in SHOWN:
        write_header(root, name, seeds[name], *seeds_header(name, seeds[name]))
    for name, study in sweeps.items():
        write_header(root, name, study, sweep_header(study), measured_on(study, source))
    for name, study in runs.items():
        write_header(root, name, study, run_header(study), sources(study.rows, source))
    draw(root, sweeps["bias_correction"])


def title_of(root, name):
    """Returns the first line of a config: what it asks."""
    return (root / "configs" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def metrics_of(study):
    """Returns the metrics that a sweep or a run was recorded with, in order: list of str."""
    columns = [column.removeprefix("test_") for column in study.rows[0] if not column.startswith("dev_")]
    return [column for column in columns if column not in ("setting", "step", "seed", "failed", "measured")]


def when(row):
    """Returns when and on what something was measured, in words."""
    return row["measured"].partition("; ")[0]


def source(row):
    """Returns when, on what and with which versions something was measured, in words."""
    return row["measured"]


def sources(rows, words):
    """Returns when and on what some rows were measured, in words, in order: list of str."""
    return list(dict.fromkeys(words(row) for row in rows))


def spread(values):
    """Returns mean ± standard deviation of some scores, as percentages."""
    values = 100 * np.array([value for value in values if value is not None])
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def spread_of(rows, column):
    """Returns mean ± standard deviation of a column of some rows, as percentages."""
    return spread([row[column] for row in rows])


def failed(rows):
    """Returns how many of some runs failed, in words."""
    return f"{sum(row['failed'] for row in rows)} of {len(rows)}"


def results_table(seeds):
    """Returns the table of scores, ours beside the peer's."""
    lines = ["| data | score | tfbert | Hugging Face Trainer |", "|---|---|---|---|"]
    for name, (title, metrics) in SHOWN.items():
        programs = seeds[name].groups("program")
        for metric in metrics:
            scores = [
                spread_of(programs[program], metric) if program in programs else ""
                for program in ("tfbert", "Hugging Face Trainer")
            ]
            lines.append(f"| [{title}](configs/{name}.yaml) | {NAMES[metric]} | {' | '.join(scores)} |")
    first = seeds[next(iter(SHOWN))].rows[0]
    machine = source(first).partition(", ")[2]
    return "\n".join([*lines, "", f"Each config's header holds its command and date. Machine: {machine}."])


def seeds_header(name, study):
    """Returns what the head of a config says of its seeds, and its sources: (list of str, list of str)."""
    rows = study.groups("program")["tfbert"]
    scores = ", ".join(f"{NAMES[metric]} {spread_of(rows, metric)}" for metric in SHOWN[name][1])
    seeds = ", ".join(f"{row['seed']:.0f}" for row in rows)
    what = f"mean ± standard deviation over seeds {seeds}; {study.about['split']} set, after the last step"
    return [f"{scores} ({what}),"], sources(rows, source)[-1:]


def sweep_header(study):
    """Returns what the head of a config says of a sweep: list of str."""
    metrics = metrics_of(study)
    lines = [
        f"{label}: {', '.join(spread_of(rows, f'test_{metric}') for metric in metrics)}, {failed(rows)} runs failed"
        for label, rows in study.groups("setting").items()
    ]
    return [f"{', '.join(NAMES[metric] for metric in metrics)} on unseen rows, mean ± standard deviation:", *lines]


def sweep_table(name, title, study):
    """Returns the table of a sweep: each setting's scores on unseen rows, mean ± standard deviation over the seeds."""
    paper, published = PUBLISHED.get(name, (None, {}))
    metrics = metrics_of(study)
    columns = ["setting", *(f"{NAMES[metric]}, %" for metric in metrics), "failed"]
    columns += [paper] if paper else []
    lines = [f"[{title}](configs/{name}.yaml)", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for label, rows in study.groups("setting").items():
        scores = [spread_of(rows, f"test_{metric}") for metric in metrics]
        theirs = [f"{published[label]:.2f}" if label in published else ""] if paper else []
        lines.append(f"| {' | '.join([label, *scores, failed(rows), *theirs])} |")
    return "\n".join([*lines, "", f"Unseen rows, mean ± standard deviation; {'; '.join(measured_on(study, when))}."])


def measured_on(study, words):
    """Returns when and where a sweep was measured, in words: what most of its settings share, then the others."""
    found = {}
    for label, rows in study.groups("setting").items():
        found.setdefault(words(rows[0]), []).append(label)
    most = max(found, key=lambda where: len(found[where]))
    return [most, *(f"{', '.join(labels)}: {where}" for where, labels in found.items() if where != most)]


def few_samples_table(root, sweeps):
    """Returns one table of the sweeps over small samples: a row a setting, a column a data set."""
    titles, groups = [], {}
    for name in (name for name in sweeps if name.startswith("few_samples_")):
        config = (root / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
        rows, data = re.search(r"(\d+) rows of ([\w-]+)", config).groups()
        metric = metrics_of(sweeps[name])[0]
        titles.append(f"[{data}, {rows} rows](configs/{name}.yaml): {NAMES[metric]}, %")
        groups[f"test_{metric}", name] = sweeps[name].groups("setting")
    lines = [f"| setting | {' | '.join(titles)} |", "|---" * (len(groups) + 1) + "|"]
    for label in sorted(set().union(*groups.values())):
        cells = []
        for (column, _), settings in groups.items():
            rows = settings.get(label)
            cells.append(f"{spread_of(rows, column)} ({sum(row['failed'] for row in rows)})" if rows else "")
        lines.append(f"| {' | '.join([label, *cells])} |")
    where = sorted({when(row) for _, name in groups for row in sweeps[name].rows})
    return "\n".join([*lines, "", f"Unseen rows, mean ± standard deviation over 10 seeds, and how many of the 10 runs "
                      f"failed; {'; '.join(where)}."])  # fmt: skip


def run_table(name, study):
    """Returns the table of one run: its dev scores after each evaluation, and those of the baseline."""
    metrics = metrics_of(study)
    lines = [f"| [{name}](configs/{name}.yaml), step | {' | '.join(NAMES[metric] for metric in metrics)} |"]
    lines.append("|---" * (1 + len(metrics)) + "|")
    for row in study.rows:
        step = row["step"] if isinstance(row["step"], str) else f"{row['step']:.0f}"
        lines.append(f"| {step} | {' | '.join(shown(metric, row[metric]) for metric in metrics)} |")
    return "\n".join([*lines, "", f"Dev set, one seed; {when(study.rows[0])}."])


def run_header(study):
    """Returns what the head of a config says of a run: its last scores, and those of the baseline: list of str."""
    baseline, last = study.rows[0], study.rows[-1]
    return [
        f"{what}: {', '.join(f'{NAMES[metric]} {shown(metric, row[metric])}' for metric in metrics_of(study))}"
        for what, row in (("dev, last step", last), (baseline["step"], baseline))
    ]


def shown(metric, value):
    """Returns a score as a reader wants it: a share in percent, a perplexity as it is."""
    return f"{value:.1f}" if metric == "perplexity" else f"{value:.1%}"


def reliability(study):
    """Returns what the tests measured when they were last recorded, in words."""
    found = {what: [row["value"] for row in rows] for what, rows in study.groups("what").items()}
    names = ("layouts", "loss_apart", "weights_apart", "kills")
    [layouts], [loss], [weights], [kills] = (found[name] for name in names)
    return (
        f"Measured by them, {source(study.rows[0])}: {layouts:.0f} layouts of devices, parts and loops, whose losses "
        f"differ from one device's by {loss:.1e} at most, and whose weights by {weights:.1e} of the way they went; "
        f"{kills:.0f} kills survived; programs of a two-layer model for {'; '.join(found['program'])} a chip."
    )


def draw(root, study):
    """Draws what bias correction does: configs/bias_correction.svg."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "tfbert", "axes.spines.top": False, "axes.spines.right": False}):
        [metric] = metrics_of(study)
        groups = study.groups("setting")
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        axes = figure.subplots()
        rng = np.random.default_rng(0)
        for place, label in enumerate(("bias_correction=true", "bias_correction=false")):
            values = 100 * np.array([row[f"test_{metric}"] for row in groups[label]], float)
            failed = np.array([row["failed"] for row in groups[label]])
            heights = place + rng.uniform(-0.18, 0.18, len(values))
            axes.scatter(values[~failed], heights[~failed], s=26, color="#1f6feb", alpha=0.75, label=None)
            axes.scatter(values[failed], heights[failed], s=34, color="#cf222e", marker="x")
            axes.text(101, place, f"{failed.sum()} of {len(failed)} failed", va="center", fontsize=9)
        axes.set_yticks(range(len(groups)), ["with bias correction", "without, as the original BERT"])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(45, 100)
        axes.set_xlabel(f"{NAMES[metric]} on unseen rows, % (a point a seed)")
        axes.grid(axis="x", alpha=0.2)
        figure.savefig(root / "configs" / "bias_correction.svg", metadata={"Date": None})


def timings(study):
    """Returns the tables of programs beside each other, one a machine."""
    machines = {}
    for row in study.rows:
        machines.setdefault(when(row).partition(", ")[2], []).append(row)
    return "\n\n".join(map(timings_table, machines.values()))


def timings_table(rows):
    """Returns a machine's table of programs: their time, how many times the first's it is, their peak memory."""
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
    lines += ["", f"In parentheses: times tfbert's. Below: peak memory. Once each, in turn{''.join(said)}. {where}."]
    lines += ["", "<details><summary>The commands</summary>", ""]
    for work, programs in works.items():
        lines += [f"{work}:", "", "```bash", *(row["command"] for row in programs), "```", ""]
    return "\n".join([*lines, "</details>"])


def steps_table(study):
    """Returns the table of where a training step's time goes."""
    kinds = [column for column in study.rows[0] if column not in ("work", "whole", "command", "measured")]
    lines = [f"| ms of a step | {' | '.join(kinds)} | together | the step | matrix products' share of it |"]
    lines.append("|---" * (len(kinds) + 4) + "|")
    how = {}
    for row in study.rows:
        times = [row[kind] for kind in kinds]
        cells = [f"{time:.0f}" for time in (*times, sum(times), row["whole"])]
        lines.append(f"| {row['work']} | {' | '.join(cells)} | {row['matrix products'] / row['whole']:.0%} |")
        how[f"`{row['command'].replace(row['work'].split(',')[0], 'DATA')}`, {when(row)}"] = None
    return "\n".join([*lines, "", "By the profiler, one operation at a time; the step: likewise, without the profiler; "
                      f"{'; '.join(how)}."])  # fmt: skip


def growth_table(study):
    """Returns the table of what an epoch or a step costs as rows, sequences and layers grow."""
    titles = {"rows": "rows of SST-2: an epoch", "length": "pieces of a sequence: a step of 32", "layers": "layers, "
              "128 pieces: a step of 32"}  # fmt: skip
    lines = ["| what grows | size: time, peak memory | slope |", "|---|---|---|"]
    groups = study.groups("what")
    for what, title in titles.items():
        rows = groups[what]
        cells = [f"{row['size']:,.0f}: {row['ms'] / 1e3:.2f} s, {row['peak_rss_mb'] / 1024:.2f} GiB" for row in rows]
        slope = np.polyfit(np.log([row["size"] for row in rows]), np.log([row["ms"] for row in rows]), 1)[0]
        lines.append(f"| {title} | {'<br>'.join(cells)} | {slope:.2f} |")
    return "\n".join([*lines, "", "Slope: the exponent b of time ~ size^b, fitted to all sizes; measured by "
                      f"`{study.about['command']}`, {'; '.join(sorted(sources(study.rows, when)))}."])  # fmt: skip


def write_header(root, name, study, lines, sources):
    """Puts the command, its results and where they come from into the comment at the head of a config."""
    path = root / "configs" / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    first = text.partition("\n")[0]
    body = text[re.search(r"^(?!#|\n)", text, flags=re.MULTILINE).start() :]
    header = [
        first,
        "#",
        *fetching(study.about["command"] + body),
        *textwrap.wrap(
            study.about["command"], 118, initial_indent="# ", subsequent_indent="#     ", break_on_hyphens=False
        ),
        *(f"# {line}" for line in lines),
        *(f"# {line}." for line in sources),
    ]
    path.write_text("\n".join(header) + "\n\n" + body, encoding="utf-8")


def fetching(text):
    """Returns the line of a header that fetches the files of data/ that a text names: list of str, one or none."""
    names = dict.fromkeys(re.findall(r"\bdata/(\w+)/", text))
    names.pop("samples", None)  # these are in the package
    return [f"# python tools/fetch_data.py {' '.join(names)}"] if names else []


if __name__ == "__main__":
    main()
