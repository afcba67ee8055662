#!/usr/bin/env python3
"""What each layer knows: a linear probe on every layer and pooling of a BERT, from one pass over the data.

    .venv/bin/python tools/layer_probe.py --train=data/train.jsonl --dev=data/dev.jsonl --output=runs/probe

Nothing is fine-tuned: the vectors of all layers are computed once, kept in OUTPUT/vectors_….npz, and a logistic
regression (scikit-learn, on standardised vectors) is trained on each. Writes OUTPUT/layer_probe.json and
OUTPUT/layer_probe.svg, the score on dev by layer. Compare Sun et al. 2019 (1905.05583), table 3, which fine-tunes a
whole BERT for every row.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

TOKENS = "cls", "mean", "max"


def main():
    """Reads the command line, probes, writes and prints."""
    args = read_arguments()
    output = pathlib.Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    train, dev = (vectors_of(args, split, output) for split in ("train", "dev"))
    layers = train[0].shape[1] // len(TOKENS)
    sets = {}
    for place, token in enumerate(TOKENS):
        for layer in range(layers):
            sets[f"{token}, layer {layer}"] = lambda x, number=layer * len(TOKENS) + place: x[:, number]
    for name, combine in COMBINED.items():
        sets[name] = lambda x, combine=combine: combine(x[:, TOKENS.index("cls") : -1 : len(TOKENS)])
    sets["pooler"] = lambda x: x[:, -1]
    scores = {}
    for name, select in sets.items():
        scores[name] = probe(*((select(x), y) for x, y in (train, dev)))
        print(f"{name:16} {scores[name]:.4f}", flush=True)
    majority = float((dev[1] == most_frequent(train[1])).mean())
    found = {"accuracy": scores, "most_frequent_label": majority, "settings": vars(args)}
    (output / "layer_probe.json").write_text(json.dumps(found, indent=2))
    draw(scores, layers, majority, output / "layer_probe.svg")
    print(f"The most frequent label alone: {majority:.4f}. The curve is {output / 'layer_probe.svg'}.")


# Of [CLS] in every layer, [rows, layers, hidden], the embeddings' output first: what `--pooling` makes of it.
COMBINED = {
    "first_last": lambda x: (x[:, 1] + x[:, -1]) / 2,
    "last4_concat": lambda x: x[:, -4:].reshape(len(x), -1),
    "last4_mean": lambda x: x[:, -4:].mean(axis=1),
    "last4_max": lambda x: x[:, -4:].max(axis=1),
    "all_concat": lambda x: x[:, 1:].reshape(len(x), -1),
    "all_mean": lambda x: x[:, 1:].mean(axis=1),
}


def read_arguments():
    """Returns the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, help="rows to train the probes on, as tfbert.run's --train_file")
    parser.add_argument("--dev", required=True, help="rows to score them on")
    parser.add_argument("--output", required=True, help="folder for vectors, scores and picture")
    parser.add_argument("--preset", default="minilm", help="pre-trained BERT, or a model saved by tfbert")
    parser.add_argument("--text_column", default="text")
    parser.add_argument("--text_pair_column")
    parser.add_argument("--label_column", default="label")
    parser.add_argument("--rows", type=int, help="so many rows of train at most")
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--long_text", default="head", choices=("head", "tail", "head_tail"))
    parser.add_argument("--batch_size", type=int, default=32)
    return parser.parse_args()


def vectors_of(args, split, output):
    """Returns ([rows, vectors, hidden] float32, [rows] labels); computed where they are not kept.

    The vectors are those of TOKENS for each layer, the embeddings' output first, then BERT's pooler.
    """
    import numpy as np

    import tfbert
    from tfbert.data.batches import ExampleBatches
    from tfbert.data.sources import read_examples
    from tfbert.data.examples import tokenize_examples
    from tfbert.training.evaluation import Evaluator

    tokenizer = tfbert.load_tokenizer(args.preset)
    columns = (args.text_column, args.text_pair_column, args.label_column)
    rows = list(
        read_examples(getattr(args, split), *columns, split=split, limit=args.rows if split == "train" else None)
    )
    labels = np.array([str(row["label"]) for row in rows])
    examples = tokenize_examples(rows, tokenizer, args.max_seq_length, long_text=tfbert.LongText(args.long_text))
    encoder = tfbert.load_encoder(args.preset)
    digest = hashlib.sha256(f"{args.preset} {TOKENS} {examples.fingerprint}".encode())
    for variable in encoder.trainable_variables:  # a folder of the same name may hold another model now
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    key = digest.hexdigest()[:16]
    path = output / f"vectors_{key}.npz"
    if not path.exists():
        start = time.monotonic()
        batches = ExampleBatches(examples, args.batch_size, args.max_seq_length, shuffle=False, seed=0)
        found = Evaluator(all_layers(encoder)).outputs(batches, lambda done: print(f"{done} more rows of {split} …"))
        found = found.reshape(len(rows), -1, encoder.hidden_dim)
        scratch = path.with_suffix(".partial.npz")
        np.savez(scratch, vectors=found)
        scratch.rename(path)
        print(f"{len(rows)} rows of {split} in {time.monotonic() - start:.0f} s.")
    return np.load(path)["vectors"], labels


def all_layers(encoder):
    """Returns a model of every layer's [CLS], mean and maximum, and of the pooler: batch -> [M, vectors * hidden]."""
    from keras import ops

    from tfbert.models.pooling import Pooling, max_of_tokens, mean_of_tokens
    from tfbert.models.text_model import VectorModel

    class AllLayers(VectorModel):
        width = ((encoder.num_layers + 1) * len(TOKENS) + 1) * encoder.hidden_dim

        def call(self, features, training=False, seed=None):
            vectors = []
            for layer in self.encoder(features):
                flat = ops.reshape(layer, (-1, encoder.hidden_dim))
                vectors += [ops.take(flat, features["window_start"], axis=0), mean_of_tokens(layer, features)]
                vectors.append(max_of_tokens(layer, features))
            vectors.append(self.encoder.pool(vectors[-len(TOKENS)]))
            return ops.concatenate(vectors, axis=-1)

    return AllLayers(encoder, encoder.tokenizer, Pooling("cls", encoder), None, 0, None)


def probe(train, dev):
    """Returns the accuracy on dev of a logistic regression: ((x, y), (x, y)) -> float."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return float(classifier.fit(*train).score(*dev))


def most_frequent(labels):
    """Returns the label that most rows have."""
    import numpy as np

    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()]


def draw(scores, layers, majority, path):
    """Draws the score by layer for each of TOKENS, with what combines layers beside."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    names = {"cls": "[CLS]", "mean": "mean of the tokens", "max": "maximum of the tokens"}
    for token in TOKENS:
        axes.plot(
            range(layers), [scores[f"{token}, layer {layer}"] for layer in range(layers)], "o-", label=names[token]
        )
    others = [*COMBINED, "pooler"]
    for number, name in enumerate(others):
        axes.plot(layers + number, scores[name], "s", color="tab:gray")
    axes.axhline(majority, color="black", linewidth=0.8, linestyle=":", label="most frequent label")
    axes.set_xticks(range(layers + len(others)), [*map(str, range(layers)), *others])
    for label in axes.get_xticklabels()[layers:]:
        label.set(rotation=30, ha="right")
    axes.set(xlabel="layer (0: embeddings); then [CLS] of several, and pooled", ylabel="accuracy on dev")
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    from tfbert import InputError

    try:
        main()
    except InputError as error:
        sys.exit(f"Error: {error}")
