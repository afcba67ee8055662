"""A file that grows: whole under its name, kept when interrupted, gone on with only by the same."""

import json
import os

import pytest

from tfbert import InputError
from tfbert.core.growing_file import GrowingFile

PIECES = [(b"one\ntwo\n", 2, b"1 2"), (b"three\n", 1, b"3"), (b"four\nfive\n", 2, b"4 5")]
WHOLE = b"".join(piece for piece, _, _ in PIECES)


def write(path, pieces=PIECES, finish=True, **how):
    file = GrowingFile(str(path), {"size": 3}, **how)
    asked = []
    try:
        for piece, rows, content in pieces:
            if not file.has(rows, content):
                asked.append(piece)
                file.append(piece, rows, content)
        if finish:
            file.finish()
    finally:
        file.close()
    return asked


@pytest.mark.parametrize("done", [1, 2, 3])
def test_it_goes_on_where_it_stopped(tmp_path, done):
    path = tmp_path / "a.txt"
    write(path, PIECES[:done], finish=False)
    rows = json.loads((tmp_path / "a.txt.partial.json").read_text())["rows"]
    assert not path.exists() and rows == [2, 3, 5][done - 1]
    with pytest.raises(InputError, match=f"a.txt.partial holds {rows} rows of an interrupted run; continue"):
        write(path)
    with open(tmp_path / "a.txt.partial", "ab") as file:
        file.write(b"half of a li")  # as a killed program leaves it
    assert write(path, resume=True) == [piece for piece, _, _ in PIECES[done:]]
    assert path.read_bytes() == WHOLE and os.listdir(tmp_path) == ["a.txt"]


def test_interrupted_while_it_passes_what_is_there(tmp_path):
    write(tmp_path / "a", PIECES[:2], finish=False)
    write(tmp_path / "a", PIECES[:1], finish=False, resume=True)
    assert write(tmp_path / "a", resume=True) == [PIECES[2][0]]
    assert (tmp_path / "a").read_bytes() == WHOLE


def test_resume_without_a_partial_file_starts_one(tmp_path):
    write(tmp_path / "a", resume=True)
    assert (tmp_path / "a").read_bytes() == WHOLE


def test_overwrite_starts_again(tmp_path):
    (tmp_path / "a").write_text("old")
    write(tmp_path / "a", [(b"x", 1, b"x")], finish=False)
    assert (tmp_path / "a").read_text() == "old"
    assert len(write(tmp_path / "a", overwrite=True)) == 3
    assert (tmp_path / "a").read_bytes() == WHOLE and os.listdir(tmp_path) == ["a"]


def test_no_rows_leave_no_partial_file(tmp_path):
    write(tmp_path / "a", [], finish=False)
    assert not os.listdir(tmp_path)
    write(tmp_path / "a", [])
    assert (tmp_path / "a").read_bytes() == b""


def test_a_partial_file_of_other_input_is_not_resumed(tmp_path):
    path = tmp_path / "a"
    write(path, PIECES[:2], finish=False)
    for other in ([(b"", 2, b"1 x"), *PIECES[1:]], PIECES[:1], [(b"", 9, b"1 2 3")]):
        with pytest.raises(InputError, match="a.partial was started with other rows"):
            write(path, other, resume=True)
    with pytest.raises(InputError, match="was started with another size; continue with the same"):
        GrowingFile(str(path), {"size": 4}, resume=True)
    file = GrowingFile(str(path), {"size": 3}, resume=True)
    with pytest.raises(InputError, match="a.partial is being written by another process"):
        GrowingFile(str(path), {"size": 3}, resume=True)
    file.close()
    assert write(path, resume=True) == [PIECES[2][0]]


def test_a_damaged_note_counts_as_none(tmp_path):
    write(tmp_path / "a", PIECES[:1], finish=False)
    (tmp_path / "a.partial.json").write_text('{"rows": "2"}')
    assert len(write(tmp_path / "a", resume=True)) == 3
