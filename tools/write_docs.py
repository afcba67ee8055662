#!/usr/bin/env python3
"""Writes the generated parts of the documentation: tables, the headers of the configs, the figure.

    .venv/bin/python tools/write_docs.py                 the tables, the headers, the figure
    .venv/bin/python tools/write_docs.py --quickstart    runs README's quickstart first, and saves what it prints

Flags come from tfbert/config/groups/, results and timings from configs/results/, which only tools/record.py and
tools/bench.py write, and the output of the quickstart from docs/quickstart.txt. Run it after one of them has changed; a
test fails if it was forgotten. What it writes is between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

import argparse
import re
import sys
import textwrap

import numpy as np
from quickstart_output import QUICKSTART, run_quickstart, transcript
from results import ROOT, read_all, source, sources, when
from speed_tables import growth_table, steps_table, times_table, timings

sys.path.insert(0, str(ROOT))  # the checkout of this file, whichever is installed
from tfbert.config.load import flags_table  # noqa: E402

# Title and scores of each measured config, in the order of the table.
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
         "expected_calibration_error": "calibration error", "masked_accuracy": "masked-word accuracy",
         "next_sentence_accuracy": "next-sentence accuracy",
         "perplexity": "perplexity"}  # fmt: skip

# Accuracies in a paper for the settings of a sweep, with other weights and more rows: its tables 2, 3 and 4.
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

# The rows of README's table of scores: config, metric.
FRONT = [("mrpc", "f1"), ("cola", "mcc"), ("trec", "accuracy"), ("rte", "accuracy"), ("sst2", "accuracy"),
         ("stsb", "pearson")]  # fmt: skip
# The words in README's tables, in Chinese.
CHINESE = {
    "data": "数据", "score": "指标", "accuracy": "准确率", "work": "任务", "tfbert": "tfbert",
    "Hugging Face Trainer": "Hugging Face Trainer", "its best setting": "其最快设置", "keras-hub fit": "keras-hub fit",
    "RTE, 2,490 rows, three epochs": "RTE，2,490 行，三轮", "MRPC, 3,668 rows, three epochs": "MRPC，3,668 行，三轮",
    "SST-2, first 3,200 rows, three epochs": "SST-2 前 3,200 行，三轮",
    "SST-2, first 3,200 rows": "SST-2 前 3,200 行", "TREC (test)": "TREC（测试集）",
    "prediction of 20,000 rows of SST-2": "预测 SST-2 的 20,000 行",
}  # fmt: skip


def main(root=ROOT):
    """Rewrites the files in place."""
    studies = read_all(root)
    seeds, sweeps, runs = ({name: study for name, study in studies.items() if study.about.get("kind") == kind}
                           for kind in ("seeds", "sweep", "run"))  # fmt: skip
    printed = transcript((root / QUICKSTART).read_text(encoding="utf-8"))
    tables = {
        "flags": flags_table(),
        "quickstart": printed,
        "scores": scores_table(seeds),
        "times": times_table(studies["timings"]),
        "results": results_table(seeds),
        "few samples": few_samples_table(root, sweeps),
        "reliability": reliability(studies["reliability"]),
        "bench": "\n\n".join([timings(studies["timings"]), steps_table(studies["steps"]),
                              growth_table(studies["growth"])]),
    }  # fmt: skip
    tables |= {f"sweep {name}": sweep_table(name, title_of(root, name), study) for name, study in sweeps.items()}
    tables |= {f"run {name}": run_table(name, study) for name, study in runs.items()}
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        for marker, table in tables.items():
            table = in_chinese(table) if path.name.endswith(".zh.md") and marker in ("scores", "times") else table
            pattern = rf"(<!-- {re.escape(marker)} -->\n).*?(<!-- /{re.escape(marker)} -->)"
            text = re.sub(pattern, lambda match, table=table: match[1] + table + "\n" + match[2], text, flags=re.DOTALL)
        path.write_text(text, encoding="utf-8")
    for name in SHOWN:
        write_header(root, name, seeds[name], *seeds_header(name, seeds[name]))
    for name, study in sweeps.items():
        write_header(root, name, study, sweep_header(study), measured_on(study, source))
    for name, study in runs.items():
        write_header(root, name, study, run_header(study), sources(study.rows, source))
    draw(root, sweeps["bias_correction"])


def documents(root):
    """Returns the files that hold tables: list of pathlib.Path."""
    return [*sorted(root.glob("README*.md")), *sorted((root / "docs").glob("*.md")), root / "configs" / "README.md"]


def in_chinese(table):
    """Returns a table of README with its words in Chinese."""
    def cell(text):
        link = re.fullmatch(r"\[(.+)\](\(.+\))", text)
        return f"[{CHINESE.get(link[1], link[1])}]{link[2]}" if link else CHINESE.get(text, text)

    lines = (line.strip("|").split("|") for line in table.split("\n"))
    return "\n".join(f"| {' | '.join(cell(text.strip()) for text in cells)} |" for cells in lines).replace(
        "| --- ", "|---").replace("--- |", "---|")  # fmt: skip


def scores_table(seeds):
    """Returns README's table of scores."""
    lines = ["| data | score | tfbert | Hugging Face Trainer |", "|---|---|---|---|"]
    for name, metric in FRONT:
        programs = seeds[name].groups("program")
        scores = [spread_of(programs[program], metric) if program in programs else ""
                  for program in ("tfbert", "Hugging Face Trainer")]  # fmt: skip
        lines.append(f"| [{SHOWN[name][0]}](configs/{name}.yaml) | {NAMES[metric]} | {' | '.join(scores)} |")
    return "\n".join(lines)


def title_of(root, name):
    """Returns the first line of a config, the question that it answers."""
    return (root / "configs" / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def metrics_of(study):
    """Returns the metrics that a sweep or a run was recorded with, in order: list of str."""
    columns = [column.removeprefix("test_") for column in study.rows[0] if not column.startswith("dev_")]
    return [column for column in columns if column not in ("setting", "step", "seed", "failed", "measured")]


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
    """Returns the table of scores, ours and the peer's."""
    lines = ["| data | score | tfbert | Hugging Face Trainer |", "|---|---|---|---|"]
    for name, (title, metrics) in SHOWN.items():
        programs = seeds[name].groups("program")
        for metric in metrics:
            scores = [
                spread_of(programs[program], metric) if program in programs else ""
                for program in ("tfbert", "Hugging Face Trainer")
            ]
            lines.append(f"| [{title}]({name}.yaml) | {NAMES[metric]} | {' | '.join(scores)} |")
    first = seeds[next(iter(SHOWN))].rows[0]
    machine = source(first).partition(", ")[2]
    return "\n".join([*lines, "", f"Each config's header holds its command and date. Machine: {machine}."])


def seeds_header(name, study):
    """Returns the lines of a config's header on its seeds, and their sources: (list of str, list of str)."""
    rows = study.groups("program")["tfbert"]
    scores = ", ".join(f"{NAMES[metric]} {spread_of(rows, metric)}" for metric in SHOWN[name][1])
    seeds = ", ".join(f"{row['seed']:.0f}" for row in rows)
    what = f"mean ± standard deviation over seeds {seeds}; {study.about['split']} set, after the last step"
    return [f"{scores} ({what}),"], sources(rows, source)[-1:]


def sweep_header(study):
    """Returns the lines of a config's header on a sweep: list of str."""
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
    lines = [f"[{title}]({name}.yaml)", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for label, rows in study.groups("setting").items():
        scores = [spread_of(rows, f"test_{metric}") for metric in metrics]
        theirs = [f"{published[label]:.2f}" if label in published else ""] if paper else []
        lines.append(f"| {' | '.join([label, *scores, failed(rows), *theirs])} |")
    return "\n".join([*lines, "", f"Unseen rows, mean ± standard deviation; {'; '.join(measured_on(study, when))}."])


def measured_on(study, words):
    """Returns when and where a sweep was measured: what most of its settings share, then the others: list of str."""
    found = {}
    for label, rows in study.groups("setting").items():
        found.setdefault(words(rows[0]), []).append(label)
    most = max(found, key=lambda where: len(found[where]))
    return [most, *(f"{', '.join(labels)}: {where}" for where, labels in found.items() if where != most)]


def few_samples_table(root, sweeps):
    """Returns one table of the sweeps over small samples: one row per setting, one column per data set."""
    titles, groups = [], {}
    for name in (name for name in sweeps if name.startswith("few_samples_")):
        config = (root / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
        rows, data = re.search(r"(\d+) rows of ([\w-]+)", config).groups()
        metric = metrics_of(sweeps[name])[0]
        titles.append(f"[{data}, {rows} rows]({name}.yaml): {NAMES[metric]}, %")
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
    lines = [f"| [{name}]({name}.yaml), step | {' | '.join(NAMES[metric] for metric in metrics)} |"]
    lines.append("|---" * (1 + len(metrics)) + "|")
    for row in study.rows:
        step = row["step"] if isinstance(row["step"], str) else f"{row['step']:.0f}"
        lines.append(f"| {step} | {' | '.join(shown(metric, row[metric]) for metric in metrics)} |")
    return "\n".join([*lines, "", f"Dev set, one seed; {when(study.rows[0])}."])


def run_header(study):
    """Returns the lines of a config's header on a run, its last scores and the baseline's: list of str."""
    baseline, last = study.rows[0], study.rows[-1]
    return [
        f"{what}: {', '.join(f'{NAMES[metric]} {shown(metric, row[metric])}' for metric in metrics_of(study))}"
        for what, row in (("dev, last step", last), (baseline["step"], baseline))
    ]


def shown(metric, value):
    """Returns a score for readers: a share in percent, a perplexity as it is."""
    return f"{value:.1f}" if metric == "perplexity" else f"{value:.1%}"


def reliability(study):
    """Returns a sentence on what the tests measured when they were last recorded."""
    found = {what: [row["value"] for row in rows] for what, rows in study.groups("what").items()}
    names = ("layouts", "loss_apart", "weights_apart", "kills")
    [layouts], [loss], [weights], [kills] = (found[name] for name in names)
    return (
        f"Measured by the tests, {source(study.rows[0])}: {layouts:.0f} layouts of devices, parts and loops, whose "
        f"losses differ from one device's by at most {loss:.1e}, and whose weights by {weights:.1e} of their change; "
        f"{kills:.0f} kills survived; programs of a two-layer model: {'; '.join(found['program'])} per chip."
    )


def draw(root, study):
    """Draws the effect of bias correction: docs/bias_correction.svg."""
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
        axes.set_yticks(range(len(groups)), ["with bias correction", "without, as in the original BERT"])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlim(45, 100)
        axes.set_xlabel(f"{NAMES[metric]} on unseen rows, % (one point per seed)")
        axes.grid(axis="x", alpha=0.2)
        figure.savefig(root / "docs" / "bias_correction.svg", metadata={"Date": None})


def write_header(root, name, study, lines, sources):
    """Writes the command, its results and their sources into the comment at the head of a config."""
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
    """Returns the line of a header that fetches the files of data/ named in a text: list of str, one or none."""
    names = dict.fromkeys(re.findall(r"\bdata/(\w+)/", text))
    names.pop("samples", None)  # these are in the package
    return [f"# python tools/fetch_data.py {' '.join(names)}"] if names else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstart", action="store_true", help="run the quickstart's commands first: two minutes")
    if parser.parse_args().quickstart:
        run_quickstart()
    main()
