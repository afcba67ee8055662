"""Tokenised corpora on disk: the same as without, reused when they may be, whole or not there."""

import os

import numpy as np
import pytest

from tests.conftest import random_texts, tiny_vocabulary
from tfbert import InputError
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.tasks.masked_lm import corpus_cache
from tfbert.tasks.masked_lm.corpus_cache import cached_sentences, corpus_key
from tfbert.tasks.masked_lm.documents import Sentences, tokenized_chunks

TOKENIZER = BertTokenizer(tiny_vocabulary(), True)
TEXTS = [text or "empty" for text in random_texts(5000, longest=12)]
DOCUMENTS = [TEXTS[first : first + 50] for first in range(0, 5000, 50)]


@pytest.fixture
def made(monkeypatch):
    """How often the corpus was tokenised; shards are small."""
    monkeypatch.setattr(corpus_cache, "_SHARD_BYTES", 20_000)
    calls = []

    def chunks():
        calls.append(1)
        return tokenized_chunks(DOCUMENTS, TOKENIZER)

    return calls, chunks


def folder_of(tmp_path):
    return tmp_path / "corpora" / corpus_key(DOCUMENTS, TOKENIZER)


def cached(tmp_path, chunks):
    return cached_sentences(str(tmp_path), corpus_key(DOCUMENTS, TOKENIZER), chunks)


def test_the_second_run_reads_what_the_first_wrote(tmp_path, made):
    calls, chunks = made
    expected = Sentences(tokenized_chunks(DOCUMENTS, TOKENIZER))
    for _ in range(2):
        found = cached(tmp_path, chunks)
        assert found.fingerprint == expected.fingerprint
        for name in ("pieces", "starts", "bounds"):
            np.testing.assert_array_equal(getattr(found, name).view(), getattr(expected, name).view())
    assert len(calls) == 1
    names = os.listdir(folder_of(tmp_path))
    assert len([name for name in names if name.endswith(".tfrecord.gz")]) > 2 and "about.json" in names


def test_what_was_found_is_told_again(tmp_path, capsys):
    notes = []

    def chunks():
        yield from tokenized_chunks(DOCUMENTS[:2], TOKENIZER)
        notes.append("Of 7 held-out texts 1 stands in the training text.")

    cached_sentences(str(tmp_path), "key", chunks, notes)
    assert notes[0] not in capsys.readouterr().out  # who finds it tells it
    cached_sentences(str(tmp_path), "key", chunks, [])
    assert notes[0] in capsys.readouterr().out and len(notes) == 1


def test_a_cache_that_is_no_local_folder(made):
    """TensorFlow's ram:// stands for gs://, which cannot be had here."""
    calls, chunks = made
    first, second = (cached("ram://cache", chunks) for _ in range(2))
    assert first.fingerprint == second.fingerprint and len(calls) == 1


def test_a_cache_that_cannot_be_made(tmp_path, made):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/corpora/.*, a folder in --cache_dir, cannot be created"):
        cached(tmp_path / "file", made[1])


def test_the_key_is_of_text_vocabulary_and_settings():
    key = corpus_key(DOCUMENTS, TOKENIZER)
    assert key == corpus_key(iter(DOCUMENTS), TOKENIZER)
    others = [
        corpus_key([*DOCUMENTS[:-1], [*DOCUMENTS[-1], "x"]], TOKENIZER),
        corpus_key([DOCUMENTS[0] + DOCUMENTS[1], *DOCUMENTS[2:]], TOKENIZER),
        corpus_key(DOCUMENTS, BertTokenizer([*tiny_vocabulary(), "more"], True)),
        corpus_key(DOCUMENTS, BertTokenizer(tiny_vocabulary(), False)),
        corpus_key(DOCUMENTS, TOKENIZER, ["a text", "remove"]),
        corpus_key(DOCUMENTS, TOKENIZER, ["a text", "refuse"]),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_a_run_that_broke_off_leaves_no_corpus(tmp_path, made):
    calls, chunks = made

    def broken():
        for number, chunk in enumerate(chunks()):
            if number == 3:
                raise KeyboardInterrupt
            yield chunk

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, broken)
    assert "about.json" not in os.listdir(folder_of(tmp_path))
    expected = Sentences(tokenized_chunks(DOCUMENTS, TOKENIZER)).fingerprint
    assert cached(tmp_path, chunks).fingerprint == cached(tmp_path, chunks).fingerprint == expected
    assert len(calls) == 2


@pytest.mark.parametrize("damage", ["cut", "missing", "swapped", "about"])
def test_a_damaged_corpus_is_made_anew(tmp_path, made, capsys, damage):
    calls, chunks = made
    expected = cached(tmp_path, chunks).fingerprint
    shards = sorted(folder_of(tmp_path).glob("*.gz"))
    if damage == "cut":
        shards[1].write_bytes(shards[1].read_bytes()[:-100])
    elif damage == "missing":
        shards[1].unlink()
    elif damage == "swapped":
        shards[0].write_bytes(shards[1].read_bytes())
    else:
        (folder_of(tmp_path) / "about.json").write_text("{")
    assert cached(tmp_path, chunks).fingerprint == expected and len(calls) == 2
    assert "is damaged" in capsys.readouterr().out
    assert cached(tmp_path, chunks).fingerprint == expected and len(calls) == 2
