"""Predictions as the lines of a file: JSON objects, CSV, or CoNLL's columns."""

import csv
import io
import json
import re

from tfbert.data.values import id_of

_SIDES = ("text", "text_pair")


def json_lines(examples, predictions, keep_text=False, first=True):
    """Returns a JSON object a line: the id where there is one, the text if it is kept, the prediction.

    Args:
        examples: list of dict.
        predictions: list of dict, as a task's `predictions` returns them.
        keep_text: bool. Whether to write the texts, too.
        first: bool. Whether they are the first of the file; here it makes no difference.

    Returns:
        bytes, UTF-8.
    """
    return b"".join(_json(_about(*row, keep_text)) for row in zip(examples, predictions))


def csv_lines(examples, predictions, keep_text=False, first=True):
    """Returns the same as CSV (RFC 4180): the columns `id`, `text`, `label`, and `probability:LABEL` of each label.

    The id is empty where there is none; several labels are separated by commas, as they are read. The first lines begin
    with the header.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for number, row in enumerate(zip(examples, predictions)):
        columns = {"id": None} | _about(*row, keep_text)
        probabilities = columns.pop("probabilities", {})
        columns |= {f"probability:{label}": value for label, value in probabilities.items()}
        if first and number == 0:
            writer.writerow(columns)
        writer.writerow(_cell(name, value) for name, value in columns.items())
    return text.getvalue().encode("utf-8", "replace")


def conll_lines(examples, predictions, keep_text=False, first=True):
    """Returns the predicted tags in CoNLL's format: a word, a tab and its tag a line, a blank line after a sentence.

    A sentence without words is a blank line. White space in a word that would end its column or line becomes a blank.
    """
    sentences = []
    for prediction in predictions:
        words = (" ".join(re.split("[\t\r\n]", word)) for word in prediction["tokens"])
        sentences += [f"{word}\t{tag}\n" for word, tag in zip(words, prediction["tags"])] + ["\n"]
    return "".join(sentences).encode("utf-8", "replace")


# The format of a file -> what makes its lines.
FORMATS = {"jsonl": json_lines, "csv": csv_lines, "conll": conll_lines}


def _about(example, prediction, keep_text):
    about = {"id": id_of(example["id"])} if "id" in example else {}
    about |= {side: example[side] for side in _SIDES if side in example} if keep_text else {}
    return about | prediction


def _json(content):
    try:
        return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair in an id, which only an escape can write
        return (json.dumps(content, allow_nan=False) + "\n").encode()


def _cell(name, value):
    """Returns a value for a column of CSV: several labels as they are read, separated by commas; else lists as JSON."""
    if name == "label" and isinstance(value, list) and not any("," in str(member) for member in value):
        return ",".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
