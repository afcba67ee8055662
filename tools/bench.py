#!/usr/bin/env python3
"""Times one fine-tuning from process start to the dev score, and prints it as one JSON line.

The same rows and recipe as the peers' scripts have: 10 % warm-up, linear decay, weight decay 0.01, clipping at 1.

    .venv/bin/python tools/bench.py --train=data/sst2/train.jsonl --dev=data/sst2/dev.jsonl --limit=3200 --epochs=3

`import_s`: until the libraries are loaded; `prepare_s`: rows read and tokenised, weights loaded; `first_step_s`: from
process start to the end of the first step; `train_s`: the training loop, first step included; `steady_examples_per_s`:
after the first 10 steps; `total_s`: the whole process but the interpreter's start; `peak_rss_mb`: its largest memory.
"""

import argparse
import json
import os
import resource
import time

start = time.time()
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", default="minilm", help="preset")
parser.add_argument("--train", required=True, help="JSONL: text or text_a/text_b, and label")
parser.add_argument("--dev", required=True)
parser.add_argument("--epochs", type=float, default=3)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--lr", type=float, default=5e-5)
parser.add_argument("--max_len", type=int, default=128)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bf16", action="store_true", help="mixed_bfloat16")
parser.add_argument("--limit", type=int, help="use only the first N training rows")
args = parser.parse_args()

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import tfbert  # noqa: E402
from tfbert.core.process import tune_process, without_optional_packages  # noqa: E402

tune_process()

with without_optional_packages():
    from tfbert.training.loop import total_steps

    parts = {
        name: getattr(tfbert, name) for name in ("load_encoder", "make_dataset", "train", "evaluate", "AdamWeightDecay")
    }
tfbert.make_strategy()
imported = time.time()

with open(args.train, encoding="utf-8") as lines:
    first = json.loads(next(lines))
pairs = "text_b" in first
columns = {"text_column": "text_a" if pairs else "text", "text_pair_column": "text_b" if pairs else None}
task_class = tfbert.TASKS["classification"]
encoder = parts["load_encoder"](args.model, dtype="mixed_bfloat16" if args.bf16 else "float32")


def dataset(task, path, batch_size, **options):
    """Returns the rows of a file, ready for the model."""
    return tfbert.make_dataset(path, encoder.tokenizer, task, batch_size, args.max_len, args.seed, **columns, **options)


with open(args.train, encoding="utf-8") as lines:
    labels = sorted({json.loads(line)["label"] for line in lines})
task = task_class(labels)
train_set = dataset(task, args.train, args.batch, limit=args.limit)
dev_set = dataset(task, args.dev, 64, shuffle=False)
model = tfbert.build_model(encoder, task, max_seq_length=args.max_len, init_seed=args.seed)
steps = total_steps(train_set.steps_per_epoch, args.epochs)
optimizer = parts["AdamWeightDecay"](tfbert.linear_warmup(args.lr, steps, int(0.1 * steps)))
prepared = time.time()

times = []
parts["train"](
    model,
    train_set,
    optimizer,
    steps=steps,
    data_seed=args.seed,
    on_loop=lambda step, losses: times.append(time.time()),
)
trained = time.time()
scores = parts["evaluate"](model, dev_set)
done = time.time()
examples = train_set.examples.size
print(
    json.dumps(
        {
            "program": "tfbert",
            "import_s": imported - start,
            "prepare_s": prepared - imported,
            "first_step_s": times[0] - start,
            "train_s": trained - prepared,
            "eval_s": done - trained,
            "total_s": done - start,
            "examples_per_s": examples * args.epochs / (trained - prepared),
            "steady_examples_per_s": args.batch * (len(times) - 11) / (times[-1] - times[10])
            if len(times) > 11
            else None,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            **{name: scores[name] for name in ("accuracy", "f1", "mcc")},
        }
    )
)
