#!/usr/bin/env python3
"""Peer: fine-tune a BERT directory with keras_hub.models.BertTextClassifier.fit.

What a Keras user would write today: the stock preprocessor, padding to max_len,
Keras AdamW. Prints one JSON line on stdout.
"""
import argparse
import json
import os
import resource
import time

start = time.time()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--train", required=True)
parser.add_argument("--dev", required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--lr", type=float, default=5e-5)
parser.add_argument("--max_len", type=int, default=128)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bf16", action="store_true")
parser.add_argument("--limit", type=int)
args = parser.parse_args()

import keras
import keras_hub
import tensorflow as tf

keras.utils.set_random_seed(args.seed)


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


train, dev = read(args.train)[:args.limit], read(args.dev)
labels = sorted({row["label"] for row in train}, key=str)


def dataset(rows, shuffle):
    texts = [row.get("text_a", row.get("text")) for row in rows]
    if "text_b" in rows[0]:
        texts = (texts, [row["text_b"] for row in rows])
    data = tf.data.Dataset.from_tensor_slices(
        (texts, [labels.index(row["label"]) for row in rows]))
    if shuffle:
        data = data.shuffle(len(rows), seed=args.seed)
    return data.batch(args.batch)


if args.bf16:
    keras.config.set_dtype_policy("mixed_bfloat16")
steps = len(train) // args.batch * args.epochs
rate = keras.optimizers.schedules.PolynomialDecay(args.lr, steps)
preprocessor = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
    args.model, sequence_length=args.max_len)
backbone = keras_hub.models.BertBackbone.from_preset(args.model)
model = keras_hub.models.BertTextClassifier(
    backbone=backbone, num_classes=len(labels), preprocessor=preprocessor)
model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01),
              metrics=["accuracy"], jit_compile=False)
before = time.time()
model.fit(dataset(train, True), epochs=args.epochs, verbose=0)
trained = time.time()
accuracy = model.evaluate(dataset(dev, False), verbose=0)[1]
done = time.time()
print(json.dumps({
    "peer": "keras-hub-fit", "keras_hub": keras_hub.__version__,
    "import_s": before - start, "train_s": trained - before, "eval_s": done - trained,
    "total_s": done - start,
    "examples_per_s": len(train) * args.epochs / (trained - before),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "accuracy": float(accuracy)}))
