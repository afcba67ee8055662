#!/usr/bin/env python3
"""Makes BUILD.md's table of what BERT needs on TPUs, by compiling its train step; needs tfbert[preflight], and hours.

    tools/tpu_table.py                       every row; what configs/tpu_compiled.json holds is not compiled again
    tools/tpu_table.py base-128-v5e-1 ...    some rows
    tools/tpu_table.py --write               only writes the tables into BUILD.md

Weights are random: memory and work do not depend on them. Arithmetic is mixed bfloat16, dropout 0.1, the head has two
labels, no token is padding. Each compilation is kept as soon as it is done: the tool may be stopped at any time.
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
BATCH = 32
GIB = 2**30


def main(names):
    """Compiles what is missing of some rows, then writes the table."""
    if names != ["--write"]:
        for name in names or ROWS:
            make_row(name)
    path = ROOT / "BUILD.md"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(<!-- tpu -->\n).*(<!-- /tpu -->)", lambda m: m[1] + table() + m[2], text, flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")


def make_row(name):
    """Compiles at BATCH, with --remat and without, then searches for the largest batch."""
    from tfbert.tpu.search import search
    from tfbert.tpu.step import Compiled
    from tfbert.tpu.topologies import find_topology

    compilers = {}

    def compile_at(size, remat=False):
        key = name + "-remat" * remat
        known = {entry["examples"]: Compiled(**entry) for entry in read_kept().get(key, [])}
        if size not in known:
            if remat not in compilers:
                compilers[remat] = new_compiler(name, remat)
            known[size] = compilers[remat].compile(size)
            kept = read_kept()
            kept.setdefault(key, []).append(dataclasses.asdict(known[size]))
            KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        return known[size]

    first = compile_at(BATCH)
    compile_at(BATCH, remat=True)
    search(compile_at, first, find_topology(name.split("-", 2)[2]).hbm_bytes)


def new_compiler(name, remat):
    """Returns a StepCompiler of a BERT with random weights on random texts."""
    import keras_hub
    import numpy as np

    from tfbert import TASKS, AdamWeightDecay, build_model, linear_warmup
    from tfbert.data.dataset import ExampleDataset
    from tfbert.data.tokenized import TokenizedExamples
    from tfbert.models.encoder import BertEncoder
    from tfbert.tpu.step import StepCompiler
    from tfbert.tpu.topologies import find_topology

    model, length, topology = name.split("-", 2)
    layers, hidden, heads = MODELS[model]
    backbone = keras_hub.models.BertBackbone(
        30522, layers, heads, hidden, 4 * hidden, dropout=0.1, dtype="mixed_bfloat16"
    )
    encoder = BertEncoder(backbone, dtype="mixed_bfloat16")
    encoder.remat, encoder.tokenizer = remat, None
    model = build_model(encoder, TASKS["classification"]([0, 1]), max_seq_length=int(length))
    pieces, count = np.full(8 * int(length), 100, np.int32), np.full(8, int(length), np.int32)
    examples = TokenizedExamples([(pieces, count, count, np.zeros(8, bool))], lambda: np.zeros(8, np.int32))
    dataset = ExampleDataset(examples, BATCH, int(length), shuffle=False, seed=0)
    optimizer = AdamWeightDecay(linear_warmup(2e-5, 1000, 100))
    return StepCompiler(model, optimizer, dataset, find_topology(topology))


def table():
    """Returns the table of all rows that are measured, in Markdown."""
    lines = [
        f"| BERT, length, TPU | HBM at batch {BATCH} | with `--remat` | largest batch that fits | flops an example |",
        "|---|---|---|---|---|",
    ]
    kept = read_kept()
    lines += [_line(name, kept) for name in ROWS if name in kept]
    return "\n".join(lines) + "\n"


def _line(name, kept):
    model, length, topology = name.split("-", 2)
    found = kept[name]
    first = next(entry for entry in found if entry["examples"] == BATCH)
    fits = max((entry["examples"] for entry in found if entry["fits"]), default=0)
    fails = min((entry["examples"] for entry in found if not entry["fits"]), default=None)
    largest = f"{fits} ({fails} does not)" if fails else f"{fits}, none larger tried"
    again = next((_gib(entry) for entry in kept.get(name + "-remat", []) if entry["examples"] == BATCH), "")
    flops = next((f"{entry['flops'] / entry['examples']:.3g}" for entry in found if entry["fits"]), "")
    return f"| {model}, {length}, {topology} | {_gib(first)} | {again} | {largest} | {flops} |"


def _gib(entry):
    return f"{entry['hbm_bytes'] / GIB:.2f} GiB" if entry["fits"] else "does not fit"


def read_kept():
    """Returns what is compiled already: row -> list of Compiled as dicts."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


if __name__ == "__main__":
    main(sys.argv[1:])
