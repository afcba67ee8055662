#!/usr/bin/env python3
"""Makes the tables in docs/devices.md of what BERT needs on TPUs, by compiling its step; needs jax, libtpu and hours.

    tools/tpu_table.py                       all rows; those in configs/tpu_compiled.json are not compiled again
    tools/tpu_table.py base-128-v5e-1 ...    some rows
    tools/tpu_table.py --packed              real texts from data/, packed: they share rows
    tools/tpu_table.py --pipeline            measures the input pipeline on one core of this machine
    tools/tpu_table.py --write               only writes the tables into docs/devices.md

Weights are random: memory and work do not depend on them. Arithmetic is mixed bfloat16, dropout 0.1, the head has two
labels, and there is no padding except with `--packed`. Each compilation is saved when it is done: the tool can be
stopped at any time.
"""

import dataclasses
import json
import os
import pathlib
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
KEPT = ROOT / "configs" / "tpu_compiled.json"

# Layers, hidden size, heads.
MODELS = {"base": (12, 768, 12), "large": (24, 1024, 16)}
ROWS = [f"{model}-{length}-{topology}" for model in MODELS for length in (128, 512) for topology in ("v5e-1", "v6e-1")]
# Two programs give the line along which memory grows with the batch.
BATCHES = (8, 32)
# Data sets whose texts are packed, and the columns of their texts.
PACKED = {"sst2": ("text", None), "rte": ("text_a", "text_b")}
WEIGHTS = {"base": 109_483_778, "large": 335_143_938}
# Bytes per second between the chips of a v5e: Google Cloud's "TPU v5e", 1,600 Gbit/s per chip.
ICI_BYTES = 200e9
GIB = 2**30


def main(names):
    """Compiles the rows that are missing, then writes the tables."""
    if names == ["--pipeline"]:
        keep("pipeline", measure_pipeline())
    elif names == ["--packed"]:
        for data in PACKED:
            make_packed(data)
    elif names != ["--write"]:
        if unknown := [name for name in names if name.split("-")[0] not in MODELS]:
            sys.exit(f"{__doc__}\nThe rows are {', '.join(ROWS)}. Received: {' '.join(unknown)}.")
        for name in names or ROWS:
            make_row(name)
    path = ROOT / "docs" / "devices.md"
    text = path.read_text(encoding="utf-8")
    for marker, content in (("tpu", table()), ("packed", packed_table()), ("scaling", scaling())):
        pattern = rf"(<!-- {marker} -->\n).*(<!-- /{marker} -->)"
        text = re.sub(pattern, lambda match: match[1] + content + match[2], text, flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")


def make_row(name):
    """Compiles at two batch sizes; for a v5e, which has less memory, at the larger one also with --remat."""
    for remat, sizes in ((False, BATCHES), (True, BATCHES[-1:] if name.endswith("v5e-1") else ())):
        key = name + "-remat" * remat
        missing = set(sizes) - {entry["examples"] for entry in read_kept().get(key, [])}
        compiler = new_compiler(name, remat) if missing else None
        for size in sorted(missing):
            found = dataclasses.asdict(compiler.compile(size))
            keep(key, [*read_kept().get(key, []), found])


def make_packed(data):
    """Compiles one batch of a data set's texts, packed into rows."""
    from tfbert import load_tokenizer, make_dataset
    from tfbert.modes.preflight.report import padding_share
    from tfbert.modes.preflight.step import rows_of_epoch

    if f"packed-{data}" in read_kept():
        return
    path, (first, second) = ROOT / "data" / data / "train.jsonl", PACKED[data]
    labels = sorted({json.loads(line)["label"] for line in path.read_text(encoding="utf-8").splitlines()})

    def read(task):
        return make_dataset(
            str(path), load_tokenizer("minilm"), task, BATCHES[-1], text_column=first, text_pair_column=second
        )

    compiler = new_compiler("base-128-v5e-1", False, labels, read)
    dataset = compiler.dataset
    about = {"rows": rows_of_epoch(dataset), "padding": padding_share(dataset)}
    about["padding_a_row_a_window"] = padding_share(dataset.with_shapes(True, windows_per_step=1))
    keep(f"packed-{data}", about | dataclasses.asdict(compiler.compile(BATCHES[-1])))


def new_compiler(name, remat, labels=(0, 1), read=None):
    """Returns a StepCompiler of a BERT with random weights, on one repeated token or on the dataset of `read(task)`."""
    import keras_hub
    import numpy as np

    from tfbert import TASKS, AdamWeightDecay, build_model, linear_warmup
    from tfbert.data.batches import ExampleDataset
    from tfbert.data.examples import TokenizedExamples
    from tfbert.models.encoder import BertEncoder
    from tfbert.modes.preflight.step import StepCompiler
    from tfbert.modes.preflight.topologies import find_topology

    model, length, topology = name.split("-", 2)
    layers, hidden, heads = MODELS[model]
    backbone = keras_hub.models.BertBackbone(
        30522, layers, heads, hidden, 4 * hidden, dropout=0.1, dtype="mixed_bfloat16"
    )
    encoder = BertEncoder(backbone, dtype="mixed_bfloat16")
    encoder.remat, encoder.tokenizer = remat, None
    task = TASKS["classification"](list(labels))
    model = build_model(encoder, task, max_seq_length=int(length))
    tokens, count = np.full(8 * int(length), 100, np.int32), np.full(8, int(length), np.int32)
    examples = TokenizedExamples(
        [(tokens, count, count, np.ones(8, np.int32), np.zeros(8, np.int32), count)], lambda: np.zeros(8, np.int32)
    )
    dataset = read(task) if read else ExampleDataset(examples, 32, int(length), shuffle=False, seed=0)
    optimizer = AdamWeightDecay(linear_warmup(2e-5, 1000, 100))
    return StepCompiler(model, optimizer, dataset, find_topology(topology))


def measure_pipeline():
    """Returns how many examples per second one core prepares: pairs of MRPC, 128 tokens, tokenised before."""
    os.sched_setaffinity(0, {0})

    from tfbert import TASKS, load_tokenizer, make_dataset
    from tfbert.modes.preflight.report import pipeline_speed

    data = ROOT / "data" / "mrpc" / "train.jsonl"
    task = TASKS["classification"]([0, 1])
    dataset = make_dataset(str(data), load_tokenizer("minilm"), task, text_column="text_a", text_pair_column="text_b")
    return round(pipeline_speed(dataset))


def scaling():
    """Returns what the numbers mean for larger TPUs, in Markdown."""
    from tfbert.modes.preflight.report import ASSUMED_UTILISATION
    from tfbert.modes.preflight.topologies import find_topology

    kept = read_kept()
    pipeline, chip = kept.get("pipeline"), find_topology("v5e-1")
    lines = [
        "| BERT, length | TPU | examples/s needed per host | cores for that | step, 32 per chip | its all-reduce |",
        "|---|---|---|---|---|---|",
    ]
    for name in ROWS:
        model, length, topology = name.split("-", 2)
        fits = [entry for entry in kept.get(name, []) if entry["fits"]]
        if topology != "v5e-1" or not fits or not pipeline:
            continue
        best = max(fits, key=lambda entry: entry["examples"])
        speed = ASSUMED_UTILISATION * chip.peak_flops / (best["flops"] / best["examples"])
        for slice_name, chips, hosts in (("v5e-8", 8, 1), ("v5e, 32 hosts", 128, 32)):
            asked = speed * chips / hosts
            reduced = 2 * (chips - 1) / chips * 4 * WEIGHTS[model] / ICI_BYTES
            lines.append(
                f"| {model}, {length} | {slice_name} | {asked:,.0f} | {asked / pipeline:.1f} "
                f"| {BATCHES[-1] / speed * 1e3:.0f} ms | {4 * WEIGHTS[model] / 1e6:,.0f} MB, {reduced * 1e3:.1f} ms |"
            )
    return "\n".join(lines) + "\n"


def table():
    """Returns the table of all rows that are measured, in Markdown."""
    small, large = BATCHES
    lines = [
        f"| BERT, length, TPU | HBM at batch {small} | at {large} | at {large} with `--remat` | largest batch, by the "
        "line through the two | flops per example |",
        "|---|---|---|---|---|---|",
    ]
    kept = read_kept()
    lines += [_line(name, kept) for name in ROWS if len(kept.get(name, [])) == len(BATCHES)]
    return "\n".join(lines) + "\n"


def packed_table():
    """Returns what packed texts need on a TPU, compared with one row per text, in Markdown."""
    kept, size = read_kept(), BATCHES[-1]
    [alone] = [entry for entry in kept["base-128-v5e-1"] if entry["examples"] == size]
    lines = [
        f"| data, batch {size} | rows of 128 | padding | flops per example | flops of the model ÷ compiled | HBM |",
        "|---|---|---|---|---|---|",
    ]
    for data in (data for data in PACKED if f"packed-{data}" in kept):
        packed = kept[f"packed-{data}"]
        paddings = packed["padding_a_row_a_window"], packed["padding"]
        for rows, padding, entry in zip((size, packed["rows"]), paddings, (alone, packed)):
            lines.append(
                f"| {data}, {'packed' if entry is packed else 'one row per text'} | {rows} | {padding:.0%} "
                f"| {entry['flops'] / size:.3g} | {model_flops(rows, size) / entry['flops']:.2f} "
                f"| {entry['hbm_bytes'] / GIB:.2f} GiB |"
            )
    return "\n".join(lines) + "\n"


def model_flops(rows, examples, length=128):
    """Returns the flops of the matrix products in a step of BERT-base: 2 per weight and token forward, 4 backward.

    In the last layer, only keys and values are computed for all tokens, the rest for [CLS].
    """
    layers, hidden, _ = MODELS["base"]
    tokens, layer = rows * length, 12 * hidden**2
    of_weights = tokens * ((layers - 1) * layer + 3 * hidden**2) + examples * (layer - 3 * hidden**2 + hidden**2)
    return 6 * of_weights + 3 * 4 * layers * tokens * length * hidden


def _line(name, kept):
    from tfbert.modes.preflight.step import Compiled
    from tfbert.modes.preflight.topologies import find_topology

    model, length, topology = name.split("-", 2)
    known = sorted((Compiled(**entry) for entry in kept[name]), key=lambda compiled: compiled.examples)
    again = [Compiled(**entry) for entry in kept.get(name + "-remat", [])]
    few, many = known
    each = (many.hbm_bytes - few.hbm_bytes) / (many.examples - few.examples)
    room = find_topology(topology).hbm_bytes - many.hbm_bytes
    largest = f"about {int(many.examples + room / each) // 8 * 8}"
    flops = next((f"{compiled.flops / compiled.examples:.3g}" for compiled in reversed(known) if compiled.fits), "")
    memory = [_gib(compiled) for compiled in (*known, *again)] + [""] * (1 - len(again))
    return f"| {model}, {length}, {topology} | {' | '.join(memory)} | {largest} | {flops} |"


def _gib(compiled):
    return f"{compiled.hbm_bytes / GIB:.2f} GiB" + ("" if compiled.fits else ", does not fit")


def keep(key, value):
    """Saves one measurement."""
    KEPT.write_text(json.dumps(read_kept() | {key: value}, indent=1) + "\n", encoding="utf-8")


def read_kept():
    """Returns the saved measurements: row -> list of Compiled as dicts."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


if __name__ == "__main__":
    main(sys.argv[1:])
