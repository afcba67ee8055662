"""JSON: an object a line, or an array of objects, with the lines of an editor."""

import json
import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbert import InputError
from tfbert.data.sources import read_examples

TEXT = st.text(alphabet='ab"\\[]{},\n\r é中 ', max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_examples(str(path), label_column="label"))


def error_of(path, content):
    with pytest.raises(InputError) as caught:
        read(path, content)
    return str(caught.value).replace(str(path), "FILE")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8),
    st.sampled_from([None, 0, 2]),
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.booleans(),
)
def test_an_array_is_read(folder, rows, indent, end, mark):
    """However it is laid out; a row's line is that of its brace."""
    content = json.dumps([{"text": text, "label": label} for text, label in rows], indent=indent, ensure_ascii=False)
    content = ("\ufeff" if mark else "") + content.replace("\n", end)
    found = read(folder / "a.json", content)
    assert [(row["text"], row["label"]) for row in found] == rows
    lines = re.split("\r\n|\r|\n", content)
    starts = [number for number, line in enumerate(lines, 1) if line.strip() == "{"] or [1] * len(rows)
    assert [row["where"][1] for row in found] == starts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, st.text(alphabet="\n\r", max_size=3)), min_size=1, max_size=6))
def test_lines_of_objects_are_counted(folder, rows):
    content, starts = "", []
    for text, blank in rows:
        starts.append(len(re.findall("\r\n|\r|\n", content)) + 1)
        content += json.dumps({"text": text, "label": "x"}) + "\n" + blank
    assert [row["where"][1] for row in read(folder / "a.jsonl", content)] == starts


def test_a_long_array_needs_little_memory(tmp_path):
    row = json.dumps({"text": "word " * 20_000, "label": "x"})
    (tmp_path / "a.json").write_text("[" + ",\n".join([row] * 300) + "]")  # 30 MB
    tracemalloc.start()
    try:
        lines = [row["where"][1] for row in read_examples(str(tmp_path / "a.json"), label_column="label")]
        assert lines == list(range(1, 301)) and tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "content,message",
    [
        ('["text"]\n', "line 1: expected an object {...} or a list of objects, received a list with a str"),
        ('[{"text": "a", "label": 1}\n {"text": "b", "label": 1}]', "line 2: not JSON (a comma or the end"),
        ('[{"text": "a", "label": 1},\n', "line 2: not JSON"),
        ('[{"text": "a", "label": 1},\n{"text": ', "line 2: not JSON"),
        ('[{"text": "a", "label": 1}]\n[]', "line 2: not JSON (text follows the array)"),
        ("[", "line 1: not JSON"),
        ("[]", "holds no rows"),
        ("", "holds no rows"),
        ('{"text": "a", "label": 1}\n"text"\n', "line 2: expected an object {...}, received a str"),
        ('{"text": "a", "text": "b", "label": 1}', "line 1: not JSON (the key 'text' appears twice in an object)"),
        ('{"text": ' + "[" * 200_000 + "\n", "line 1: not JSON (objects are nested too deep)"),
        ('[{"text": ' + "[" * 200_000 + "\n", "line 1: not JSON (objects are nested too deep)"),
        ('{"text": "a", "label": ' + "9" * 5000 + "}", "line 1: not JSON"),
    ],
)
def test_what_is_told(tmp_path, content, message):
    assert message in error_of(tmp_path / "a.jsonl", content)


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_other_ends_of_lines(tmp_path, end):
    rows = read(tmp_path / "a.jsonl", end.join(['{"text": "a", "label": 1}', "", '{"text": "b", "label": 2}']))
    assert [(row["text"], row["where"][1]) for row in rows] == [("a", 1), ("b", 3)]
