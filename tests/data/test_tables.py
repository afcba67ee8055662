"""TSV and CSV: line numbers as an editor counts them, separators, quotes, headers."""

import csv
import gzip
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfbert import InputError
from tfbert.data.sources import read_examples

FIELD = st.text(alphabet='ab",;\t\n\r é中', max_size=6)
END = st.sampled_from(["\n", "\r", "\r\n"])
BLANK = st.lists(END, max_size=3).map("".join)


def rows_of(path, **kwargs):
    return list(read_examples(str(path), **{"label_column": "label"} | kwargs))


def error_of(path, content, **kwargs):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        rows_of(path, **kwargs)
    return str(caught.value).replace(str(path), "FILE")


def lines_before(content, place):
    return len(re.findall("\r\n|\r|\n", content[:place]))


@st.composite
def tables(draw):
    """A CSV file of two columns, as text, and where each of its rows begins, in characters."""
    content, starts = "text,label" + draw(END), []
    for _ in range(draw(st.integers(1, 6))):
        content += draw(BLANK)
        starts.append(len(content))
        fields = ['"' + field.replace('"', '""') + '"' for field in (draw(FIELD), draw(FIELD) + "x")]
        content += ",".join(fields) + draw(END)
    return content, starts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@settings(max_examples=150, deadline=None)
@given(tables(), st.booleans(), st.booleans())
def test_lines_are_those_of_an_editor(folder, table, mark, packed):
    content, starts = table
    path = folder / ("data.csv.gz" if packed else "data.csv")
    data = (b"\xef\xbb\xbf" if mark else b"") + content.encode()
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    found = rows_of(path)
    expected = [row for row in csv.reader(io.StringIO(content, newline="")) if row][1:]
    assert [[row["text"], row["label"]] for row in found] == expected
    assert [row["where"][1] for row in found] == [lines_before(content, start) + 1 for start in starts]


@settings(max_examples=100, deadline=None)
@given(tables(), st.data())
def test_the_line_of_a_row_with_too_few_fields(folder, table, data):
    content, starts = table
    place = data.draw(st.sampled_from([*starts, len(content)]))
    # "\r" and "\n" in a row are one end of a line: the damaged row must not stand between them.
    content = content[:place] + "alone\n" + content[place:]
    path = folder / "bad.csv"
    assert f"FILE, line {lines_before(content, place) + 1}: too few fields, 1" in error_of(path, content)


def test_blank_lines_of_a_table_without_quotes_count(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\r\n\r\na\tx\r\rb\ty\n")
    assert [row["where"][1] for row in rows_of(tmp_path / "a.tsv")] == [3, 5]
    content = b"text\tlabel\r\r\r\n\n\n\xef\xf0\xe8\xe2\xe5\tx\n"
    assert "FILE, line 6: not UTF-8 text (byte 0xef)" in error_of(tmp_path / "a.tsv", content)


def test_an_empty_line_of_one_column_is_an_empty_text(tmp_path):
    for name in ("a.csv", "a.tsv"):
        (tmp_path / name).write_bytes(b"text\none\n\ntwo\n\n")
        found = rows_of(tmp_path / name, label_column=None)
        assert [(row["text"], row["where"][1]) for row in found] == [("one", 2), ("", 3), ("two", 4), ("", 5)]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "b.csv.gz"])
def test_another_separator_is_found_and_told(tmp_path, capsys, separator, name):
    content = f'\ufefftext{separator}label\r\n"one{separator} two, three"{separator}x\r\n'.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert [(row["text"], row["label"]) for row in rows_of(tmp_path / name)] == [(f"one{separator} two, three", "x")]
    rows_of(tmp_path / name)
    assert capsys.readouterr().out.count(f"fields separated by {separator!r}") == 1


def test_excels_first_line_names_the_separator(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"sep=;\r\ntext;label\r\na, b;x\r\n")
    [row] = rows_of(tmp_path / "a.csv")
    assert (row["text"], row["label"], row["where"][1]) == ("a, b", "x", 3)


def test_commas_in_a_file_called_tsv(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b'text,label\n"a, b",x\n')
    [row] = rows_of(tmp_path / "a.tsv")
    assert (row["text"], row["label"]) == ("a, b", "x")


def test_a_separator_in_one_name_is_part_of_it(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a;text,label\none,x\n")
    assert rows_of(tmp_path / "a.csv", text_column="a;text")[0]["text"] == "one"
    assert "The columns are 'body', 'label'" in error_of(tmp_path / "a.csv", "body;label\na;b\n")


@pytest.mark.parametrize(
    "content,message",
    [
        ("text,label\na,x\ntext,label\n", "FILE, line 3: the header is repeated here"),
        ("text,label\na,x\n\ufefftext,label\n", "FILE, line 3: the header is repeated here"),
        ('"text","label"\na,x\n\ufeff"text","label"\n', "FILE, line 3: the header is repeated here; delete"),
        ("text,label\na,x\nlabel,text\nx,a\n", "FILE, line 3: the header is repeated here with its columns in anoth"),
        ("text,label,text\na,x,b\n", "FILE: 2 columns are called 'text'; rename all but one"),
        ('text,label\na,x\n"b,y\nc,z\n', "FILE, line 3: the quotes of this row are wrong"),
        ('text,label\na,x\n"b" c,y\n', "FILE, line 3: the quotes of this row are wrong"),
        ("", "FILE is empty"),
        ("\n\n", "FILE is empty"),
    ],
)
def test_what_is_told(tmp_path, content, message):
    assert message in error_of(tmp_path / "a.csv", content)


def test_blank_lines_before_the_header(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\n\r\ntext,label\n\na,x\n")
    assert [row["where"][1] for row in rows_of(tmp_path / "a.csv")] == [5]


def test_doubled_names_of_columns_that_nobody_asks_for_do_no_harm(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,label,,\na,x,,\n")
    assert rows_of(tmp_path / "a.csv")[0]["text"] == "a"
