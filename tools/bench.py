#!/usr/bin/env python3
"""Times fine-tuning: one run, programs side by side, one step with each technique, and how the cost grows.

    .venv/bin/python tools/bench.py --train=data/sst2/train.jsonl --dev=data/sst2/dev.jsonl --limit=3200 --epochs=3
    .venv/bin/python tools/bench.py compare "SST-2, first 3,200 rows, one epoch" --rounds=3 \\
        "tfbert=.venv/bin/python tools/bench.py --train=…" "the other=python other.py --train=…"
    .venv/bin/python tools/bench.py steps --train=data/rte/train.jsonl
    .venv/bin/python tools/bench.py steps --train=data/imdb/train.jsonl --batch=8 --windows=4
    .venv/bin/python tools/bench.py steps --train=data/sst2/train.jsonl --profile
    .venv/bin/python tools/bench.py growth --data=data

compare, growth and steps --profile save their results in configs/results/, for the tables of tools/write_docs.py.
"""

import argparse
import collections
import glob
import json
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import results

START = time.time()
BATCH = 32
# The numbers of a program that are saved.
KEPT = ("total_s", "train_s", "eval_s", "peak_rss_mb")
# What grows: rows per epoch, tokens per sequence, layers.
GROWTH = {"rows": (320, 3200, 32000), "length": (16, 32, 64, 128, 256, 512), "layers": (2, 6, 12, 24)}
# How far the control's ratio may be from 1.
TOLERANCE = 0.05


def main():
    """Runs the subcommand; without one, times one fine-tuning."""
    verbs = {"compare": compare, "steps": time_steps, "growth": time_growth}
    verb = verbs[sys.argv.pop(1)] if sys.argv[1:2] and sys.argv[1] in verbs else time_run
    about = __doc__ * (verb is time_run) + verb.__doc__
    verb(argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter))


def load_tfbert(one_at_a_time=False):
    """Returns the package, loaded as by `python -m tfbert.run`; `one_at_a_time`: operations do not run in parallel."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import tfbert
    from tfbert.core.process import tune_process, without_optional_packages

    tune_process()
    with without_optional_packages():
        import tensorflow as tf

        for name in ("load_encoder", "make_dataset", "train", "evaluate", "AdamWeightDecay"):
            getattr(tfbert, name)
    if one_at_a_time:
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # as `tfbert.run` does
    return tfbert


def time_run(parser):
    """Times one fine-tuning from process start to the dev score, and prints it as one JSON line.

    Rows and recipe are those of the peers' scripts: 10 % warm-up, linear decay, weight decay 0.01, clipping at 1.
    `import_s`: until the libraries are loaded; `prepare_s`: rows read and tokenised, weights loaded; `first_step_s`:
    from process start to the end of the first step; `train_s`: the training loop, first step included;
    `steady_examples_per_s`: after the first 10 steps; `total_s`: the whole process except the interpreter's start;
    `peak_rss_mb`: its peak memory.
    """
    add_common(parser)
    parser.add_argument("--dev", required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--max_len", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only the first N training rows")
    args = parser.parse_args()
    tfbert = load_tfbert()
    from tfbert.training.loop import total_steps

    imported = time.time()
    with open(args.train, encoding="utf-8") as lines:  # a row at a time, as their memory would count
        first = json.loads(next(lines))
        labels = {first["label"], *(json.loads(line)["label"] for line in lines)}
    columns = {"text_column": "text_a", "text_pair_column": "text_b"} if "text_b" in first else {}
    encoder = tfbert.load_encoder(args.model, dtype="mixed_bfloat16" if args.bf16 else "float32")
    task = tfbert.TASKS["classification"](sorted(labels))
    made = {"tokenizer": encoder.tokenizer, "task": task, "max_seq_length": args.max_len, "seed": args.seed, **columns}
    train_set = tfbert.make_dataset(args.train, batch_size=args.batch, limit=args.limit, **made)
    dev_set = tfbert.make_dataset(args.dev, batch_size=64, shuffle=False, **made)
    model = tfbert.build_model(encoder, task, max_seq_length=args.max_len, init_seed=args.seed)
    steps = total_steps(train_set.steps_per_epoch, args.epochs)
    optimizer = tfbert.AdamWeightDecay(tfbert.linear_warmup(args.lr, steps, int(0.1 * steps)))
    prepared, times = time.time(), []
    on_loop = lambda step, losses: times.append(time.time())  # noqa: E731
    tfbert.train(model, train_set, optimizer, steps=steps, data_seed=args.seed, on_loop=on_loop)
    trained = time.time()
    scores, done = tfbert.evaluate(model, dev_set), time.time()
    found = {
        "program": "tfbert",
        "import_s": imported - START,
        "prepare_s": prepared - imported,
        "first_step_s": times[0] - START,
        "train_s": trained - prepared,
        "eval_s": done - trained,
        "total_s": done - START,
        "examples_per_s": train_set.examples.size * args.epochs / (trained - prepared),
        "steady_examples_per_s": args.batch * (len(times) - 11) / (times[-1] - times[10]) if times[11:] else None,
        "peak_rss_mb": peak_memory(),
    }
    print(json.dumps(found | {name: scores[name] for name in ("accuracy", "f1", "mcc")}))


def add_common(parser):
    """Adds the flags that one fine-tuning and `steps` share."""
    parser.add_argument("--model", default="minilm", help="preset")
    parser.add_argument("--train", required=True, help="JSONL: text or text_a/text_b, and label")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--bf16", action="store_true", help="mixed_bfloat16")


def peak_memory():
    """Returns the peak memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(parser):
    """Runs programs in turn for some rounds, and saves the medians of what they report: configs/results/timings.csv.

    The last line that a program prints is a JSON object with total_s and peak_rss_mb. The first program is the
    reference. A comparison of the same title is replaced; an interrupted one keeps its finished rounds.
    """
    parser.add_argument("title")
    parser.add_argument("programs", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    commands = dict(program.split("=", 1) for program in options.programs)
    found = {name: [] for name in commands}
    for number in range(options.rounds):
        for name, command in commands.items():
            found[name].append(reported(command))
            print(number + 1, name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
        rows = [
            {"work": options.title, "rounds": number + 1, "program": name, **medians(runs), "command": commands[name],
             "measured": results.provenance()}
            for name, runs in found.items()
        ]  # fmt: skip
        results.write("timings", results.read("timings").replace(rows, "work"))


def reported(command):
    """Returns the JSON object on the last line that a program prints."""
    words = [os.path.expandvars(os.path.expanduser(word)) for word in shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=results.ROOT)
    if done.returncode:
        sys.exit(f"{command} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def medians(runs):
    """Returns the median of each saved number over the runs of a program; None for a number that it does not report."""
    reported = {name: [run[name] for run in runs if name in run] for name in KEPT}
    return {name: float(statistics.median(values)) if values else None for name, values in reported.items()}


def time_growth(parser):
    """Measures how the cost of fine-tuning grows, and saves it: configs/results/growth.csv.

    Rows: one epoch of the first 320, 3,200 and 32,000 rows of SST-2, without its first step. Sequence length and
    layers: one step on 32 texts of IMDb that fill the sequences, with minilm and with random BERTs of its width.
    """
    parser.add_argument("--data", default="data", help="folder of sst2/ and imdb/, as JSONL")
    data = parser.parse_args().data
    sst2 = [f"--train={data}/sst2/train.jsonl", f"--dev={data}/sst2/dev.jsonl", "--epochs=1"]
    keep_growth("rows", lambda size: run_self(*sst2, f"--limit={size}"))
    imdb = ("steps", f"--train={data}/imdb/train.jsonl", "--rounds=3", "--steps=2", "--only")
    keep_growth("length", lambda size: run_self(*imdb, f"--length={size}"))
    from tfbert.models.minilm import fetch_minilm

    minilm = pathlib.Path(fetch_minilm())
    config = json.loads((minilm / "config.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:

        def layers(size):
            path = pathlib.Path(folder, f"{size}.json")
            path.write_text(json.dumps(config | {"num_hidden_layers": size}), encoding="utf-8")
            new = (f"--model=config:{path}", f"--vocab_file={minilm / 'vocab.txt'}")
            return run_self(*imdb, "--length=128", *new)

        keep_growth("layers", layers)


def keep_growth(what, measure):
    """Measures the cost at each size, and saves all of them at the end."""
    rows = []
    for size in GROWTH[what]:
        numbers = measure(size)
        cost = cost_of_epoch(numbers, size) if what == "rows" else numbers["ms_per_step"]
        rows.append({"what": what, "size": size, "ms": cost, "peak_rss_mb": numbers["peak_rss_mb"],
                     "measured": results.provenance()})  # fmt: skip
    study = results.read("growth")
    study.about["command"] = ".venv/bin/python tools/bench.py growth"
    results.write("growth", study.replace(rows, "what"))


def run_self(*arguments):
    """Runs this tool in a new process with these arguments; prints and returns what it reports."""
    numbers = reported(shlex.join([sys.executable, "tools/bench.py", *arguments]))
    print(*arguments, json.dumps(numbers), file=sys.stderr, flush=True)
    return numbers


def cost_of_epoch(numbers, rows):
    """Returns the milliseconds of an epoch without tracing, from the steps after the first."""
    first = numbers["first_step_s"] - numbers["import_s"] - numbers["prepare_s"]
    return 1e3 * (numbers["train_s"] - first) * rows / (rows - BATCH)


def time_steps(parser):
    """Times one training step with each technique against a plain step, and prints a JSON line for each.

    Every variant trains its own model on the same batches, and has seen all their shapes before it is timed. In each
    round, every variant runs `--steps` steps, in rotating order, so that other load on the machine affects all of them.
    `ratio`: the median over the rounds of its time divided by the plain step's in the same round; that of `control`, a
    second plain step, must be 1, otherwise the machine was too busy and the exit status is 1. `peak_rss_mb`: the peak
    memory so far. `--profile` instead measures where the time of a plain step goes, one operation at a time, and how
    long a step takes without the profiler, and saves that in configs/results/steps.csv.
    """
    add_common(parser)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--windows", type=int, help="instead, texts that fill this many windows: all against one")
    parser.add_argument("--profile", action="store_true", help="instead, a plain step by kind of operation")
    parser.add_argument("--only", nargs="*", help="variants, in addition to plain and control; none: only plain")
    parser.add_argument("--length", type=int, help="instead, max_seq_length, and texts that fill it")
    parser.add_argument("--vocab_file", help="for --model=config:FILE.json")
    args = parser.parse_args()
    steps = Steps(args, load_tfbert(one_at_a_time=args.profile))
    steps.print_kinds() if args.profile else steps.print_ratios()


class Steps:
    """The variants of a training step, on the rows of a file."""

    def __init__(self, args, tfbert):
        """Reads the rows."""
        from tfbert.optim.parameter_groups import freeze, gradual_unfreezing, pretrained

        self.args, self._tfbert = args, tfbert
        rows = [json.loads(line) for line in pathlib.Path(args.train).read_text(encoding="utf-8").splitlines()]
        if args.windows or args.length:  # a word is at least one token
            tokens = args.length or 126 * args.windows
            rows = [row for row in rows if len(row["text"].split()) >= tokens]
        names = {"text_a": "text", "text_b": "text_pair"}  # as `read_examples` yields them
        self.rows = [
            {names.get(name, name): value for name, value in row.items()} | {"where": ("", number)}
            for number, row in enumerate(rows)
        ]
        # Variant -> arguments of the optimiser, from the encoder.
        self.variants = {
            "plain": lambda encoder: {},
            "control": lambda encoder: {},
            "mixout": lambda encoder: {},
            "prior_decay": lambda encoder: {"prior_weight_decay": pretrained(encoder)},
            "layer_decay": lambda encoder: {"lr_multipliers": tfbert.layer_decay(encoder, 0.95)},
            "freeze_half": lambda encoder: {"lr_multipliers": freeze(encoder, layers=encoder.num_layers // 2)},
            "unfreeze": lambda encoder: {"start_steps": gradual_unfreezing(encoder, 1)},
            "ema": lambda encoder: {"ema_decay": 0.999},
            "lamb": lambda encoder: {},
        }
        self._long = {}
        if args.windows:
            long_text = tfbert.LongText("mean", max_windows=args.windows)
            self._long = dict.fromkeys(("all_windows", "some_at_a_time"), long_text)
            self.variants = dict.fromkeys(("plain", "control", *self._long), self.variants["plain"])

    def advance_of(self, name):
        """Returns a function that runs `--steps` steps of a variant, which has seen all shapes of its batches."""
        from tfbert.optim import OPTIMIZERS
        from tfbert.training.loop import TrainingLoop

        args, tfbert = self.args, self._tfbert
        dtype = "mixed_bfloat16" if args.bf16 else "float32"
        encoder = tfbert.load_encoder(args.model, dtype=dtype, vocab_file=args.vocab_file)
        if name == "mixout":
            tfbert.add_mixout(encoder, 0.1)
        long_text, length = self._long.get(name, tfbert.LongText()), args.length or 128
        task = tfbert.TASKS["classification"](sorted({row["label"] for row in self.rows}))
        model = tfbert.build_model(encoder, task, max_seq_length=length, long_text=long_text)
        model.windows_per_step = args.batch if name == "some_at_a_time" else None
        dataset = tfbert.make_dataset(
            self.rows, encoder.tokenizer, task, args.batch, length, 0, long_text=long_text
        ).with_shapes(False, model.windows_per_step)
        steps = (2 if args.profile else 1) * args.rounds * args.steps
        first = steps_of_shapes(dataset, steps)
        schedule = tfbert.linear_warmup(2e-5, len(first) + steps)
        optimizer = OPTIMIZERS["lamb" if name == "lamb" else "adamw"](schedule, **self.variants[name](encoder))
        loop = TrainingLoop(model, optimizer)
        for step in first:
            loop.advance(shares(loop, dataset, step, step + 1), 1)
        timed = shares(loop, dataset, 0, steps)
        return lambda: loop.advance(timed, args.steps)

    def print_ratios(self):
        """Prints the time of each variant and its ratio to the plain one's; exits with 1 if the control's is not 1."""
        only = list(self.variants)[2:] if self.args.only is None else self.args.only
        names = ["plain", *(["control", *only] if only else [])]
        advance, times = {name: self.advance_of(name) for name in names}, {name: [] for name in names}
        order = collections.deque(names)
        for _ in range(self.args.rounds):
            for name in order:
                times[name].append(self._seconds(advance[name]))
            order.rotate(-1)
        ratios = {name: statistics.median(a / b for a, b in zip(times[name], times["plain"])) for name in names}
        for name in names:
            numbers = {"ms_per_step": round(1e3 * statistics.median(times[name]), 1), "ratio": round(ratios[name], 3)}
            print(json.dumps({"variant": name, **numbers, "peak_rss_mb": peak_memory()}))
        if abs(ratios.get("control", 1) - 1) > TOLERANCE:
            sys.exit(f"The control, a plain step, has the ratio {ratios['control']:.3f}: the machine is too busy.")

    def print_kinds(self):
        """Prints where the time of a plain step goes, and saves it by data folder and precision."""
        advance = self.advance_of("plain")
        whole = statistics.median(self._seconds(advance) for _ in range(self.args.rounds))
        kinds = {kind: round(spent, 1) for kind, spent in sorted(self._times_of_kinds(advance).items())}
        work = f"{pathlib.Path(self.args.train).parent.name}, {'bfloat16' if self.args.bf16 else 'float32'}"
        row = {
            "work": work, **kinds, "whole": round(1e3 * whole, 1),
            "command": " ".join([".venv/bin/python tools/bench.py steps", *sys.argv[1:]]),
            "measured": results.provenance(),
        }  # fmt: skip
        study = results.read("steps").replace([row], "work")
        study.rows.sort(key=lambda row: row["work"])
        results.write("steps", study)
        print(json.dumps(row))

    def _seconds(self, advance):
        """Returns how long a step of a variant takes."""
        begin = time.perf_counter()
        advance()
        return (time.perf_counter() - begin) / self.args.steps

    def _times_of_kinds(self, advance):
        """Returns the milliseconds of a step by kind of operation, from TensorFlow's profiler: Counter."""
        import tensorflow as tf
        from tensorflow.tsl.profiler.protobuf import xplane_pb2

        with tempfile.TemporaryDirectory() as folder:
            tf.profiler.experimental.start(folder)
            for _ in range(self.args.rounds):
                advance()
            tf.profiler.experimental.stop()
            space = xplane_pb2.XSpace()
            [path] = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
            space.ParseFromString(pathlib.Path(path).read_bytes())
        times = collections.Counter()
        for plane in space.planes:
            for event in (event for line in plane.lines for event in line.events):
                kind = kind_of(*plane.event_metadata[event.metadata_id].name.rpartition(":")[::2])
                if kind:
                    times[kind] += event.duration_ps / 1e9 / self.args.rounds / self.args.steps
        return times


def shares(loop, dataset, first, last):
    """Returns an iterator over the batches of some steps, whatever step the loop has reached."""
    return iter(loop.strategy.distribute_datasets_from_function(lambda context: dataset.shares(first, last)))


def steps_of_shapes(dataset, steps):
    """Returns the first step with each shape of a batch: list of int."""
    import tensorflow as tf

    first = {}
    for number, batch in enumerate(dataset.shares(0, steps)):
        first.setdefault(tuple(tuple(tensor.shape) for tensor in tf.nest.flatten(batch)), number)
    return list(first.values())


def kind_of(name, operation):
    """Returns the kind of an operation; None if it is not one of the loop."""
    if operation == "ExecuteAsyncOnStream":
        return "compiled parts"
    if not name.startswith("while/"):
        return None
    if "adam_weight_decay" in name:
        return "optimiser"
    return "matrix products" if "MatMul" in operation else "rest of the model"


if __name__ == "__main__":
    main()
