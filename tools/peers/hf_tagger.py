#!/usr/bin/env python3
"""Peer: fine-tune a BERT directory for tagging with the Hugging Face Trainer on the CPU.

Same data files and the same recipe as tfbert: the first token of a word is labelled, the last model is scored.
Sentences longer than --max_len are truncated, and their words beyond count as O. Prints one JSON line on stdout.
Run it in an environment of its own, with seqeval: docs/speed.md says how to make it.
"""
import argparse
import json
import resource
import tempfile
import time

start = time.time()
parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True, help="directory in Hugging Face format")
parser.add_argument("--train", required=True, help="JSONL: tokens, tags")
parser.add_argument("--dev", required=True)
parser.add_argument("--test", required=True)
parser.add_argument("--epochs", type=float, default=5)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--lr", type=float, default=1e-4)
parser.add_argument("--max_len", type=int, default=128)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
parser.add_argument("--group", action="store_true", help="batches of similar length")
parser.add_argument("--limit", type=int, help="use only the first N training rows")
args = parser.parse_args()

import numpy as np
import torch
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from transformers import (AutoTokenizer, BertForTokenClassification, DataCollatorForTokenClassification, Trainer,
                          TrainingArguments, set_seed)

set_seed(args.seed)


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


train, dev, test = read(args.train)[:args.limit], read(args.dev), read(args.test)
labels = sorted({tag for row in train for tag in row["tags"]})
tokenizer = AutoTokenizer.from_pretrained(args.model)


def encode(rows):
    out = tokenizer([row["tokens"] for row in rows], is_split_into_words=True, truncation=True, max_length=args.max_len)
    encoded = []
    for number, row in enumerate(rows):
        words, before, tags = out.word_ids(number), None, []
        for word in words:
            tags.append(-100 if word is None or word == before else labels.index(row["tags"][word]))
            before = word
        keys = ("input_ids", "token_type_ids", "attention_mask")
        encoded.append(dict({key: out[key][number] for key in keys}, labels=tags))
    return encoded, [out.word_ids(number) for number in range(len(rows))]


def scores(trainer, rows):
    data, words = encode(rows)
    logits = trainer.predict(data).predictions
    found = []
    for row, row_words, scored in zip(rows, words, logits):
        tags, before = ["O"] * len(row["tokens"]), None
        for place, word in enumerate(row_words):
            if word is not None and word != before:
                tags[word] = labels[int(np.argmax(scored[place]))]
            before = word
        found.append(tags)
    true = [row["tags"] for row in rows]
    return {"f1": f1_score(true, found), "f1_strict": f1_score(true, found, mode="strict", scheme=IOB2)}


imported = time.time()
train_set, _ = encode(train)
tokenized = time.time()
model = BertForTokenClassification.from_pretrained(args.model, num_labels=len(labels))
options = dict(train_sampling_strategy="group_by_length") if args.group else {}
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model, train_dataset=train_set, data_collator=DataCollatorForTokenClassification(tokenizer),
        args=TrainingArguments(
            output_dir=folder, num_train_epochs=args.epochs, per_device_train_batch_size=args.batch,
            per_device_eval_batch_size=64, learning_rate=args.lr, warmup_steps=0.1, weight_decay=0.01, use_cpu=True,
            bf16=args.bf16, seed=args.seed, save_strategy="no", logging_strategy="no", report_to="none",
            disable_tqdm=True, **options))
    before = time.time()
    trainer.train()
    trained = time.time()
    trainer.args.train_sampling_strategy = "random"  # with group_by_length, predictions come in order of length
    found = {split: scores(trainer, rows) for split, rows in (("dev", dev), ("test", test))}
done = time.time()
print(json.dumps({
    "peer": "huggingface-trainer", "torch": torch.__version__, "import_s": imported - start,
    "tokenize_s": tokenized - imported, "train_s": trained - before, "eval_s": done - trained, "total_s": done - start,
    "examples_per_s": len(train_set) * args.epochs / (trained - before),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **found}))
