"""Every text of the data sets in ../shared/data, in a fixed order. Plain Python: the golden tool has no TensorFlow."""

import functools
import json
import pathlib

SHARED = pathlib.Path(__file__).parents[3] / "shared"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def text_files():
    """Returns the data files, as paths relative to ../shared/data."""
    data = SHARED / "data"
    files = [*data.glob("*/*.jsonl"), *data.glob("corpus_*/*.txt"), *data.glob("squad*/*.json")]
    return sorted(str(path.relative_to(data)) for path in files)


@functools.cache
def texts_of(file):
    """Returns the texts of a data file; those that hold a special piece's name are left out."""
    path = SHARED / "data" / file
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        texts = content.split("\n")
    elif path.suffix == ".json":
        articles = json.loads(content)["data"]
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
        texts = [text for p in paragraphs for text in (p["context"], *(qa["question"] for qa in p["qas"]))]
    else:
        rows = [json.loads(line) for line in content.split("\n") if line]
        texts = [text for row in rows for text in _texts_of_row(row)]
    return [text for text in texts if not any(name in text for name in SPECIAL)]


def _texts_of_row(row):
    if "tokens" in row:
        return [" ".join(row["tokens"])]
    return [row[name] for name in ("text", "text_a", "text_b") if name in row]
