"""Documents from any source, and the segments made of them, checked against the text they come from."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, tiny_vocabulary
from tfbert import InputError
from tfbert.data import number_column as columns
from tfbert.data.sources import read_examples
from tfbert.models.tokenizers.wordpiece import BertTokenizer, read_vocabulary
from tfbert.tasks.masked_lm.documents import Sentences, read_documents, split_sentences, tokenized_chunks
from tfbert.tasks.masked_lm.segments import NEXT, RANDOM, SegmentExamples

LENGTH = 64
TINY = BertTokenizer(tiny_vocabulary(), True)


@pytest.fixture(scope="module")
def gutenberg(shared):
    """(tokenizer, Sentences) of 18 chapters."""
    tokenizer = BertTokenizer(read_vocabulary(shared / "data" / "vocab" / "bert-base-uncased-vocab.txt"), True)
    rows = read_examples(str(shared / "data" / "corpus_gutenberg" / "dev.txt"))
    return tokenizer, Sentences(tokenized_chunks(read_documents(rows), tokenizer))


def documents_of_pieces(sentences):
    """Returns the number of each piece's document: int [pieces]."""
    return np.repeat(np.arange(sentences.bounds.size - 1), np.diff(sentences.starts.view()[sentences.bounds.view()]))


def documents_of(path):
    return list(read_documents(read_examples(str(path))))


def test_documents_of_plain_text(tmp_path):
    text = "One.\nTwo.\n\n \nThree.\n\n"
    (tmp_path / "a.txt").write_text(text)
    assert documents_of(tmp_path / "a.txt") == [["One.", "Two."], ["Three."]]
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("Four.")
    assert documents_of(tmp_path / "*")[2:] == [["Four."]]


def test_documents_of_a_column(tmp_path):
    rows = [{"text": "One. Two!\nThree"}, {"text": ""}, {"text": "很好。“不好！”中文"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert documents_of(tmp_path / "a.jsonl") == [["One.", "Two!", "Three"], ["很好。", "“不好！”", "中文"]]


def test_sentences():
    assert split_sentences('He said "No." Then 3.5 went… Yes?! ok') == [
        'He said "No."',
        "Then 3.5 went…",
        "Yes?!",
        "ok",
    ]
    assert split_sentences("真的吗？！好。") == ["真的吗？！", "好。"]


def test_next_sentence_labels_against_the_documents(gutenberg):
    """The pieces of every window are found in the documents at the very places that its label claims."""
    tokenizer, documents = gutenberg
    segments = SegmentExamples(documents, tokenizer, LENGTH)
    document_of, boundaries = documents_of_pieces(documents), set(documents.starts.view().tolist())
    pieces = documents.pieces.view()
    windows, first_lengths, _ = segments.windows(tf.range(segments.size, dtype=tf.int64))
    assert segments.size > 1000
    for number, window in enumerate(windows.to_list()):
        (a, n), (b, m) = segments.spans[number].tolist()
        assert window == [tokenizer.cls_id, *pieces[a : a + n], tokenizer.sep_id, *pieces[b : b + m], tokenizer.sep_id]
        assert int(first_lengths[number]) == n + 2 and n > 0 and m > 0
        assert len(window) == segments.window_lengths[number] <= LENGTH
        assert len(set(document_of[a : a + n])) == len(set(document_of[b : b + m])) == 1
        whole = len(window) < LENGTH  # nothing was cut
        if segments.labels[number] == NEXT:
            assert document_of[a] == document_of[b] and a + n <= b
            assert not whole or (a + n == b and b in boundaries)
        else:
            assert segments.labels[number] == RANDOM and document_of[a] != document_of[b]
            assert not whole or {a + n, b + m} <= boundaries


@pytest.fixture(scope="module")
def letters():
    """Forty documents of 3,000 sentences of one piece each, with which every window can have just the right length."""
    return Sentences(tokenized_chunks([["a"] * 3000] * 40, TINY))


def test_shares_of_pairs(letters):
    segments = SegmentExamples(letters, TINY, LENGTH)
    limits = segments.spans.sum(axis=2)
    inside = (limits % 3000 != 0).all(axis=1)  # what the end of a document made short says nothing
    count = inside.sum()
    assert count > 2000
    random = (segments.labels[inside] == RANDOM).mean()
    assert abs(random - 0.5) < 4 * 0.5 / np.sqrt(count)
    short = segments.window_lengths[inside] < LENGTH
    expected = 0.1 * 59 / 60  # of the 60 lengths from 2 to 61 one is full
    assert abs(short.mean() - expected) < 4 * np.sqrt(expected / count)
    lengths = segments.window_lengths[inside][short]
    assert lengths.min() < 10 and abs(lengths.mean() - (5 + 63) / 2) < 4 * 59 / np.sqrt(12 * short.sum())
    one, again, other = (SegmentExamples(letters, TINY, LENGTH, seed=seed).fingerprint for seed in (1, 1, 2))
    assert one == again != other


def test_every_sentence_is_in_a_pair(letters):
    """First segments and true second ones are the documents, from the first sentence to the last, each once."""
    segments = SegmentExamples(letters, TINY, LENGTH)
    used = [span[0] for span in segments.spans.tolist()]
    used += [span[1] for span, label in zip(segments.spans.tolist(), segments.labels) if label == NEXT]
    starts, lengths = np.array(sorted(used)).T
    np.testing.assert_array_equal(starts + lengths, [*starts[1:], 40 * 3000])
    assert starts[0] == 0 and not segments.cut_share


def test_both_ends_are_cut_at_random(gutenberg):
    tokenizer, documents = gutenberg
    segments = SegmentExamples(documents, tokenizer, 32)
    starts = set(documents.starts.view().tolist())
    cut = [(a, n) for a, n in segments.spans[:, 0].tolist() if not {a, a + n} <= starts]
    assert len(cut) > 300
    middle = np.mean([a not in starts for a, _ in cut])
    assert middle > 0.8 and np.mean([a + n not in starts for a, n in cut]) > 0.8


def test_filled_segments(gutenberg):
    tokenizer, documents = gutenberg
    segments = SegmentExamples(documents, tokenizer, LENGTH, next_sentence=False)
    starts, lengths = segments.spans[:, 0].T
    np.testing.assert_array_equal(starts + lengths, [*starts[1:], documents.pieces.size])
    document_of = documents_of_pieces(documents)
    np.testing.assert_array_equal(document_of[starts], document_of[starts + lengths - 1])
    short = (segments.window_lengths < LENGTH).mean()
    assert abs(short - 0.1) < 4 * np.sqrt(0.09 / segments.size) + 18 / segments.size
    windows, first_lengths, _ = segments.windows(tf.range(segments.size, dtype=tf.int64))
    np.testing.assert_array_equal(windows.row_lengths(), segments.window_lengths)
    np.testing.assert_array_equal(first_lengths, segments.window_lengths)
    rows = windows.to_list()
    assert all(row[0] == tokenizer.cls_id and row[-1] == tokenizer.sep_id for row in rows)


def test_a_file_in_place_of_memory_changes_nothing(gutenberg, shared, monkeypatch):
    tokenizer, documents = gutenberg
    one = SegmentExamples(documents, tokenizer, LENGTH)
    monkeypatch.setattr(columns, "_MEMORY_BYTES", 1000)
    rows = read_examples(str(shared / "data" / "corpus_gutenberg" / "dev.txt"))
    from_file = Sentences(tokenized_chunks(read_documents(rows), tokenizer))
    other = SegmentExamples(from_file, tokenizer, LENGTH)
    assert one.fingerprint == other.fingerprint and one.lost_pieces == other.lost_pieces
    assert all(column._file for column in (from_file.pieces, from_file.starts, other._windows))
    numbers = tf.constant([5, 900, 17], tf.int64)
    (pieces, *rest), (pieces_2, *rest_2) = one.windows(numbers), other.windows(numbers)
    assert pieces.to_list() == pieces_2.to_list()
    np.testing.assert_array_equal(rest, rest_2)
    np.testing.assert_array_equal(one.labels_of(numbers), other.labels_of(numbers))
    np.testing.assert_array_equal(one.lengths_of(numbers), other.window_lengths[[5, 900, 17]])
    counts = np.bincount(documents.pieces.view(), minlength=len(tokenizer.vocabulary))
    counts[tokenizer.unknown_id] = 0
    np.testing.assert_array_equal(one.piece_counts(), counts)
    np.testing.assert_array_equal(other.piece_counts(), counts)


@pytest.mark.parametrize(
    "documents,message",
    [([], "no text"), ([["\x00"], ["\x00"]], "no text|two documents"), ([["the printer", "is down"]], "two documents")],
)
def test_too_little_text(documents, message):
    with pytest.raises(InputError, match=message):
        SegmentExamples(Sentences(tokenized_chunks(documents, TINY)), TINY, LENGTH)


def test_two_short_documents():
    documents = Sentences(tokenized_chunks([["the printer", "is down"], ["my account"]], TINY))
    segments = SegmentExamples(documents, TINY, LENGTH, short_share=0.0)
    words = {tuple(row) for row in segments.windows(tf.range(segments.size, dtype=tf.int64))[0].to_list()}
    assert all(row[0] == TINY.cls_id and row.count(TINY.sep_id) == 2 for row in words)
    assert segments.labels[-1] == RANDOM


MEASURE = """
import sys
sys.path.insert(0, {root!r})
import tensorflow as tf
from tests.conftest import tiny_vocabulary
from tfbert.data import number_column as columns
from tfbert.tasks.masked_lm.documents import Sentences, tokenized_chunks
from tfbert.tasks.masked_lm.segments import SegmentExamples
from tfbert.models.tokenizers.wordpiece import BertTokenizer
columns._MEMORY_BYTES = 2**18
tokenizer = BertTokenizer(tiny_vocabulary(), True)
documents = (["the printer is down " * 4] * 20 for _ in range({documents}))
examples = SegmentExamples(Sentences(tokenized_chunks(documents, tokenizer)), tokenizer, 64)
for first in range(0, 3200, 32):
    examples.windows(tf.range(first, first + 32, dtype=tf.int64))
kept = next(line for line in open("/proc/self/status") if line.startswith("RssAnon"))
print(examples.size, int(kept.split()[1]) / 1024)
"""


def test_memory_does_not_grow_with_the_corpus():
    """Ten times the text, 3.2 against 32 MB, in 15 MB more memory at most: all that grows is in files."""
    found = []
    for documents in (2000, 20_000):
        script = MEASURE.format(root=str(ROOT), documents=documents)
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        found.append(tuple(map(float, result.stdout.split())))
    (few, before), (many, after) = found
    assert many > 9 * few > 30_000
    assert after < before + 15, found
