#!/usr/bin/env python3
"""Times one training step with each technique beside a plain one, in turn, and prints a JSON line each.

    .venv/bin/python tools/bench_steps.py --train=data/rte/train.jsonl
    .venv/bin/python tools/bench_steps.py --train=data/imdb/train.jsonl --batch=8 --windows=4
    .venv/bin/python tools/bench_steps.py --train=data/sst2/train.jsonl --profile

Every variant trains a model of its own on the same batches; in each round each variant does `--steps` steps, so that
whatever else the machine does falls on all of them. `ratio`: the median over the rounds of its time over the plain
one's in the same round; `peak_rss_mb`: the largest memory so far. `--profile` says instead where the time of a plain
step goes, its operations one at a time, and how long one takes without the profiler; that goes to
configs/measured.json.
"""

import argparse
import collections
import glob
import json
import os
import pathlib
import resource
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--train", required=True, help="JSONL: text or text_a/text_b, and label")
parser.add_argument("--model", default="minilm", help="preset")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--rounds", type=int, default=10)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--windows", type=int, help="instead, texts that fill so many windows: all of them beside one")
parser.add_argument("--bf16", action="store_true", help="mixed_bfloat16")
parser.add_argument("--profile", action="store_true", help="instead, a plain step by kind of operation")
parser.add_argument("--only", nargs="*", help="variants, beside the plain one; none: the plain one alone")
parser.add_argument("--length", type=int, help="instead, max_seq_length, and texts that fill it")
parser.add_argument("--vocab_file", help="for --model=config:FILE.json")
args = parser.parse_args()

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import tfbert  # noqa: E402
from tfbert.core.process import tune_process  # noqa: E402

tune_process()

import measure  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfbert.optim import OPTIMIZERS  # noqa: E402
from tfbert.optim.parameter_groups import freeze, gradual_unfreezing, pretrained  # noqa: E402
from tfbert.training.loop import TrainingLoop  # noqa: E402

with open(args.train, encoding="utf-8") as lines:
    rows = [json.loads(line) for line in lines]
if args.windows or args.length:  # a word is a piece at least
    pieces = args.length or 126 * args.windows
    rows = [row for row in rows if len(row["text"].split()) >= pieces]
first, second = ("text_a", "text_b") if "text_b" in rows[0] else ("text", None)
examples = [
    {"text": row[first], "label": row["label"], "where": ("", number)} | ({"text_pair": row[second]} if second else {})
    for number, row in enumerate(rows)
]
task = tfbert.TASKS["classification"](sorted({row["label"] for row in rows}))

# Variant -> arguments of the optimiser, from the encoder.
VARIANTS = {
    "plain": lambda encoder: {},
    "mixout": lambda encoder: {},
    "prior_decay": lambda encoder: {"prior_weight_decay": pretrained(encoder)},
    "layer_decay": lambda encoder: {"lr_multipliers": tfbert.layer_decay(encoder, 0.95)},
    "freeze_half": lambda encoder: {"lr_multipliers": freeze(encoder, layers=encoder.num_layers // 2)},
    "unfreeze": lambda encoder: {"start_steps": gradual_unfreezing(encoder, 1)},
    "ema": lambda encoder: {"ema_decay": 0.999},
    "lamb": lambda encoder: {},
}
LONG = {}
if args.windows:
    LONG = {name: tfbert.LongText("mean", max_windows=args.windows) for name in ("all_windows", "some_at_a_time")}
    VARIANTS = {"plain": VARIANTS["plain"]} | {name: lambda encoder: {} for name in LONG}


def advance_of(name):
    """Returns a function that runs so many steps of a variant, already traced and warm."""
    dtype = "mixed_bfloat16" if args.bf16 else "float32"
    encoder = tfbert.load_encoder(args.model, dtype=dtype, vocab_file=args.vocab_file)
    if name == "mixout":
        tfbert.add_mixout(encoder, 0.1)
    long_text, length = LONG.get(name, tfbert.LongText()), args.length or 128
    model = tfbert.build_model(encoder, task, max_seq_length=length, long_text=long_text)
    model.windows_per_step = args.batch if name == "some_at_a_time" else None
    dataset = tfbert.make_dataset(examples, encoder.tokenizer, task, args.batch, length, 0, long_text=long_text)
    dataset = dataset.with_shapes(False, model.windows_per_step)
    steps = (3 if args.profile else 1) * args.rounds * args.steps + 3
    optimizer = OPTIMIZERS["lamb" if name == "lamb" else "adamw"](
        tfbert.linear_warmup(2e-5, steps), **VARIANTS[name](encoder)
    )
    loop = TrainingLoop(model, optimizer)
    batches = loop.batches(dataset, steps)
    loop.advance(batches, 3)
    return lambda: loop.advance(batches, args.steps)


def times_of_kinds(advance):
    """Returns the milliseconds of a step by kind of operation, as TensorFlow's profiler has them: Counter."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(args.rounds):
            advance()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        with open(glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)[0], "rb") as file:
            space.ParseFromString(file.read())
    times = collections.Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            kind = kind_of(*plane.event_metadata[event.metadata_id].name.rpartition(":")[::2])
            if kind:
                times[kind] += event.duration_ps / 1e9 / args.rounds / args.steps
    return times


def kind_of(name, operation):
    """Returns what an operation of the loop belongs to; None for what is none."""
    if operation == "ExecuteAsyncOnStream":
        return "compiled parts"
    if not name.startswith("while/"):
        return None
    if "adam_weight_decay" in name:
        return "optimiser"
    if "MatMul" in operation:
        return "matrix products"
    return "rest of the model"


def print_kinds():
    """Prints where the time of a plain step goes, and keeps it under the data's folder and the precision."""
    advance = advance_of("plain")
    for _ in range(args.rounds):  # until most shapes have been met, and compiled
        advance()
    whole = np.median([seconds_of(advance) for _ in range(args.rounds)])
    kinds = {kind: round(time, 1) for kind, time in times_of_kinds(advance).most_common()}
    line = {"ms": kinds, "whole_ms": round(1e3 * float(whole), 1)}
    command = " ".join([".venv/bin/python tools/bench_steps.py", *sys.argv[1:]])
    measured = measure.read()
    entry = {"command": command} | line | measure.provenance()
    name = f"{pathlib.Path(args.train).parent.name}, {'bfloat16' if args.bf16 else 'float32'}"
    measured["steps"] = measured.get("steps", {}) | {name: entry}
    measure.write(measured)
    print(json.dumps(line))


def seconds_of(advance):
    """Returns how long a step of a variant takes."""
    begin = time.perf_counter()
    advance()
    return (time.perf_counter() - begin) / args.steps


def print_ratios():
    """Prints the time of each variant beside the plain one's."""
    names = ["plain", *([name for name in VARIANTS if name != "plain"] if args.only is None else args.only)]
    advance = {name: advance_of(name) for name in names}
    times = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            times[name].append(seconds_of(advance[name]))
    for name in names:
        ratio = np.median(np.array(times[name]) / np.array(times["plain"]))
        milliseconds = round(1e3 * float(np.median(times[name])), 1)
        line = {"variant": name, "ms_per_step": milliseconds, "ratio": round(float(ratio), 3)}
        print(json.dumps(line | {"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if args.profile:
    tf.config.threading.set_inter_op_parallelism_threads(1)
tfbert.make_strategy()
print_kinds() if args.profile else print_ratios()
