"""tools/fetch_data.py: what it makes of downloads, from file:// addresses; its real sources are not asked here."""

import dataclasses
import hashlib
import importlib
import io
import tarfile

import pytest

from tests.conftest import ROOT


@pytest.fixture
def fetch_data(monkeypatch):
    """Imports the tool as Python does that runs it."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module("fetch_data")


def local(source, folder, *contents):
    """Returns a DataSet whose downloads are files of a folder."""
    paths = [folder / f"download-{number}" for number in range(len(contents))]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    return dataclasses.replace(source, urls=tuple(path.as_uri() for path in paths))


def with_digests(source, files):
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return dataclasses.replace(source, sha256=digests)


TREC = {
    "train.jsonl": '{"id": "trec-train-0", "text": "Who is Grace ?", "label": 3, "label_name": "HUM", '
    '"fine_label": "HUM:ind"}\n',
    "test.jsonl": '{"id": "trec-test-0", "text": "How far is it from Denver to Aspén ?", "label": 5, "label_name": '
    '"NUM", "fine_label": "NUM:dist"}\n',
}


def test_lines_become_rows_and_a_second_call_fetches_nothing(fetch_data, tmp_path, capsys):
    contents = [b"HUM:ind Who is Grace ?\n", "NUM:dist How far is it from Denver to Aspén ?\n".encode("latin-1")]
    source = with_digests(local(fetch_data.SETS["trec"], tmp_path, *contents), TREC)
    fetch_data.fetch("trec", source, tmp_path / "data")
    assert {name: (tmp_path / "data" / "trec" / name).read_text("utf-8") for name in TREC} == TREC
    fetch_data.fetch("trec", dataclasses.replace(source, urls=("file:///nowhere",)), tmp_path / "data")
    assert "exists already." in capsys.readouterr().out


def test_an_archive_becomes_splits(fetch_data, tmp_path):
    """Sentences of one comment stay together; what is neither hateful nor not is left out."""
    about, texts = "file_id,user_id,subforum_id,num_contexts,label\n", {}
    for comment in range(40):
        for sentence in (1, 2):
            about += f"{comment}_{sentence},1,1,0,{'hate' if comment % 5 == 0 else 'noHate'}\n"
            texts[f"{comment}_{sentence}"] = f"Sentence {sentence} of {comment} .\n"
    about += "99_1,1,1,0,idk/skip\n"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        files = {"annotations_metadata.csv": about} | {f"all_files/{name}.txt": text for name, text in texts.items()}
        for name, text in files.items():
            member = tarfile.TarInfo(f"hate-speech-dataset-b80/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    source = local(fetch_data.SETS["hate_stormfront"], tmp_path, archive.getvalue())
    splits = dict(source.make(fetch_data.download(source.urls[0])))
    assert [*splits] == ["train.jsonl", "dev.jsonl", "test.jsonl"] and sum(map(len, splits.values())) == 80
    where = {row["id"]: name for name, rows in splits.items() for row in rows}
    assert all(where[f"stormfront-{comment}_1"] == where[f"stormfront-{comment}_2"] for comment in range(40))
    assert {row["label_name"] for rows in splits.values() for row in rows} == {"hate", "noHate"}


def test_novels_become_sentences_and_chapters(fetch_data, tmp_path):
    chapter = "\r\n".join(["He said so. “Never!” she said.", *["one two three"] * 70])
    book = f"*** START OF THIS BOOK ***\r\nCHAPTER I.\r\n{chapter}\r\nCHAPTER II.\r\n{chapter}\r\n*** END OF THIS BOOK"
    files = dict(fetch_data.SETS["corpus_gutenberg"].make(book.encode()))
    expected = ["He said so.", "“Never!”", "she said.", " ".join(["one two three"] * 70)]
    for name, number in (("dev.txt", "I"), ("train.txt", "II")):
        assert files[name] == [[f"CHAPTER {number}.", *expected]]


def test_what_has_changed_or_cannot_be_reached_is_told_and_nothing_is_written(fetch_data, tmp_path):
    source = local(fetch_data.SETS["trec"], tmp_path, b"HUM:ind Who ?\n", b"NUM:dist How far ?\n")
    with pytest.raises(SystemExit, match="trec/train.jsonl has the SHA-256 .*: its source has changed"):
        fetch_data.fetch("trec", source, tmp_path / "data")
    source = dataclasses.replace(source, urls=((tmp_path / "none").as_uri(),) * 2)
    with pytest.raises(SystemExit, match="none cannot be reached: "):
        fetch_data.fetch("trec", source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_digests_are_those_of_what_was_measured(fetch_data, shared):
    for name, source in fetch_data.SETS.items():
        for file, digest in source.sha256.items():
            assert hashlib.sha256((shared / "data" / name / file).read_bytes()).hexdigest() == digest, (name, file)


def test_every_name_is_listed_with_its_sources(fetch_data, capsys):
    assert fetch_data.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and url in listed for name, source in fetch_data.SETS.items() for url in source.urls)
    with pytest.raises(SystemExit):
        fetch_data.main(["imbd"])
    assert "Unknown data set 'imbd'; known: cola," in capsys.readouterr().err
