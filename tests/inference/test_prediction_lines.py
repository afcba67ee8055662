"""Predictions as lines: what a reader of CSV and of JSON gets back."""

import csv
import io
import json

from tfbert import TASKS
from tfbert.inference.prediction_lines import csv_lines, json_lines

EXAMPLES = [
    {"id": 7, "text": 'a "b", c\nd', "text_pair": "é"},
    {"id": {"a": [1]}, "text": "打印机", "text_pair": ""},
    {"text": "half \ud800", "text_pair": "x"},
]
LABELS = [
    {"label": "ja", "probabilities": {"ja": 0.75, "nein, gar nicht": 0.25}},
    {"label": "nein, gar nicht", "probabilities": {"ja": 0.1, "nein, gar nicht": 0.9}},
    {"label": "ja", "probabilities": {"ja": 1.0, "nein, gar nicht": 0.0}},
]


def read_csv(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))


def test_csv_is_read_back():
    rows = read_csv(csv_lines(EXAMPLES, LABELS, keep_text=True))
    assert [row["id"] for row in rows] == ["7", '{"a": [1]}', ""]
    assert [row["text"] for row in rows] == ['a "b", c\nd', "打印机", "half ?"]
    assert [row["label"] for row in rows] == [row["label"] for row in LABELS]
    assert [float(row["probability:nein, gar nicht"]) for row in rows] == [0.25, 0.9, 0.0]
    assert list(rows[0]) == ["id", "text", "text_pair", "label", "probability:ja", "probability:nein, gar nicht"]
    assert list(read_csv(csv_lines(EXAMPLES, LABELS))[0]) == [name for name in rows[0] if not name.startswith("text")]


def test_pieces_make_one_file():
    for form in (csv_lines, json_lines):
        pieces = [form([e], [p], first=not n) for n, (e, p) in enumerate(zip(EXAMPLES, LABELS))]
        assert b"".join(pieces) == form(EXAMPLES, LABELS)


def test_json_is_read_back():
    lines = json_lines(EXAMPLES, LABELS, keep_text=True).decode().splitlines()
    assert [json.loads(line) for line in lines] == [example | label for example, label in zip(EXAMPLES, LABELS)]
    assert "text" not in json.loads(json_lines(EXAMPLES, LABELS).splitlines()[0])


def test_other_answers():
    several = [{"label": ["a", "b"], "probabilities": {"a": 1.0, "b": 1.0}}, {"label": ["a,b"], "probabilities": {}}]
    rows = list(csv.reader(io.StringIO(csv_lines([{}, {}], several).decode())))
    assert [row[1] for row in rows[1:]] == ["a,b", '["a,b"]']
    task = TASKS["multilabel"](["a", "b"])
    assert [task.encode_label(row[1], ("f", 1)).tolist() for row in rows[1:2]] == [[1, 1]]
    assert csv_lines([{"id": "x"}], [{"label": 0.5}]) == b"id,label\r\nx,0.5\r\n"
