#!/usr/bin/env python3
"""Peer: fine-tune a BERT directory with the Hugging Face Trainer on the CPU.

Same data files and the same recipe as tfbert, so that both can be timed side by
side. Prints one JSON line on stdout; everything else goes to stderr.
Run it in an environment of its own: docs/speed.md says how to make it.
"""
import argparse
import json
import resource
import tempfile
import time

start = time.time()
parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True, help="directory in Hugging Face format")
parser.add_argument("--train", required=True, help="JSONL: text or text_a/text_b, and label")
parser.add_argument("--dev", required=True)
parser.add_argument("--epochs", type=float, default=3)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--lr", type=float, default=5e-5)
parser.add_argument("--max_len", type=int, default=128)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
parser.add_argument("--group", action="store_true", help="batches of similar length")
parser.add_argument("--limit", type=int, help="use only the first N training rows")
args = parser.parse_args()

import torch
from sklearn.metrics import f1_score, matthews_corrcoef
from transformers import (AutoTokenizer, BertForSequenceClassification,
                          DataCollatorWithPadding, Trainer, TrainingArguments, set_seed)

set_seed(args.seed)


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


train, dev = read(args.train)[:args.limit], read(args.dev)
labels = sorted({row["label"] for row in train}, key=str)
tokenizer = AutoTokenizer.from_pretrained(args.model)


def encode(rows):
    pairs = [row["text_b"] for row in rows] if "text_b" in rows[0] else None
    out = tokenizer([row.get("text_a", row.get("text")) for row in rows], pairs,
                    truncation=True, max_length=args.max_len)
    keys = ("input_ids", "token_type_ids", "attention_mask")
    return [dict({key: out[key][i] for key in keys}, labels=labels.index(row["label"]))
            for i, row in enumerate(rows)]


def metrics(prediction):
    truth, guess = prediction.label_ids, prediction.predictions.argmax(-1)
    average = "binary" if len(labels) == 2 else "macro"
    return {"accuracy": float((truth == guess).mean()),
            "f1": float(f1_score(truth, guess, average=average)),
            "mcc": float(matthews_corrcoef(truth, guess))}


imported = time.time()
train_set, dev_set = encode(train), encode(dev)
tokenized = time.time()
model = BertForSequenceClassification.from_pretrained(
    args.model, num_labels=len(labels), attention_probs_dropout_prob=args.dropout,
    hidden_dropout_prob=args.dropout)
options = dict(train_sampling_strategy="group_by_length") if args.group else {}
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model, train_dataset=train_set, eval_dataset=dev_set,
        data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=metrics,
        args=TrainingArguments(
            output_dir=folder, num_train_epochs=args.epochs,
            per_device_train_batch_size=args.batch, per_device_eval_batch_size=64,
            learning_rate=args.lr, warmup_steps=0.1, weight_decay=0.01, use_cpu=True,
            bf16=args.bf16, seed=args.seed, save_strategy="no", logging_strategy="no",
            report_to="none", disable_tqdm=True, **options))
    before = time.time()
    trainer.train()
    trained = time.time()
    scores = trainer.evaluate()
    done = time.time()
tokens = sum(len(row["input_ids"]) for row in train_set)
print(json.dumps({
    "peer": "huggingface-trainer", "torch": torch.__version__,
    "import_s": imported - start, "tokenize_s": tokenized - imported,
    "train_s": trained - before, "eval_s": done - trained, "total_s": done - start,
    "examples_per_s": len(train_set) * args.epochs / (trained - before),
    "tokens_per_s": tokens * args.epochs / (trained - before),
    "mean_tokens": tokens / len(train_set),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    **{name: scores["eval_" + name] for name in ("accuracy", "f1", "mcc")}}))
