"""Random tagged sentences over the tiny vocabulary, whose tags can be learnt, and files of them."""

import json

import numpy as np

LABELS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def random_sentences(count, seed=0, longest=20):
    """Returns sentences with tags, list of (words, tags): "printer" begins a LOC, "account" a PER, "my" goes on."""
    rng, found = np.random.default_rng(seed), []
    words = ["the", "is", "not", "my", "please", "printer", "account", "ok", "中", "x1", "!", "\ufe0f"]
    for size in rng.integers(0, longest, count):
        sentence, tags, kind = rng.choice(words, size).tolist(), [], None
        for word in sentence:
            if word in ("printer", "account"):
                kind = {"printer": "LOC", "account": "PER"}[word]
                tags.append(f"B-{kind}")
            elif word == "my" and kind:
                tags.append(f"I-{kind}")
            else:
                kind = None
                tags.append("O")
        found.append((sentence, tags))
    return found


def rows_of(sentences):
    """Returns them as `read_examples` yields them."""
    return [
        {"words": words, "text": " ".join(words), "label": tags, "where": ("test", number)}
        for number, (words, tags) in enumerate(sentences)
    ]


def write_jsonl(path, sentences):
    """Writes them as JSON objects with an id."""
    lines = [{"id": f"s{number}", "tokens": words, "tags": tags} for number, (words, tags) in enumerate(sentences)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_conll(path, sentences):
    """Writes them in CoNLL's format; sentences without words are lost in it."""
    path.write_text("".join("".join(f"{w}\t{t}\n" for w, t in zip(*pair)) + "\n" for pair in sentences), "utf-8")
