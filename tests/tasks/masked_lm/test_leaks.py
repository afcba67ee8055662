"""Held-out texts in a corpus: found whatever their spelling, taken out, and nothing else with them."""

import json

import pytest

from tfbert import InputError
from tfbert.tasks.masked_lm.documents import split_sentences
from tfbert.tasks.masked_lm.leaks import HeldOutTexts, words_of

LONG = "The quick brown fox jumps over the lazy dog, and then it sleeps."
CORPUS = [
    ["It was a dark night.", "the QUICK brown fox jumps over the lazy dog", "— and then, it sleeps!", "The end."],
    ["Nothing to see here.", "Good film."],
    ["这部电影真的很好看。", "完。"],
]


def checked(texts, corpus=CORPUS):
    held_out = HeldOutTexts(texts)
    return held_out, list(held_out.taken_out(corpus))


def test_words():
    assert words_of("Don’t  ＳＨＯＵＴ, café!") == ["don", "t", "shout", "café"]
    assert words_of("很好abc中1") == ["很", "好", "abc", "中", "1"]


def test_a_text_over_several_sentences_is_found_and_taken_out():
    held_out, kept = checked(["Something else entirely, which is not there at all.", LONG])
    assert held_out.exact == {1} and held_out.removed == 2 and held_out.near() == []
    assert kept == [["It was a dark night.", "The end."], *CORPUS[1:]]
    with pytest.raises(InputError, match="1 of 2 held-out texts .* 'The quick brown fox"):
        held_out.refuse()


def test_short_texts_are_whole_sentences_or_documents():
    held_out, kept = checked(["GOOD FILM", "dark night", "nothing to see here good film", "完"])
    assert held_out.exact == {0, 2, 3}
    assert kept == [CORPUS[0], CORPUS[2][:1]]


def test_chinese():
    held_out, kept = checked(["这部电影 真的很好看"])
    assert held_out.exact == {0} and kept[-1] == ["完。"]


def test_near_duplicates_are_told_and_stay():
    text = "a b c d e f g h i j k l m n o p q r s t u v w x y z".split()
    held_out, kept = checked([" ".join(text)], [[" ".join(text[:24] + ["other", "words"])]])
    assert held_out.near() == [0] and not held_out.exact and len(kept) == 1  # 17 of 19 8-grams
    held_out.refuse()
    assert "1 more occur nearly verbatim, such as 'a b c" in held_out.describe()
    held_out, _ = checked([" ".join(text)], [[" ".join(text[:19])]])
    assert held_out.near() == []  # 12 of 19


def test_real_reviews(shared):
    """Test reviews put into a corpus of other reviews, in other spelling, are found, and none besides."""
    lines = (shared / "data" / "imdb" / "test.jsonl").read_text("utf-8").splitlines()[:60]
    texts = [json.loads(line)["text"] for line in lines]
    lines = (shared / "data" / "corpus_imdb_unsup" / "train.txt").read_text("utf-8").split("\n\n")[:300]
    corpus = [document.split("\n") for document in lines]
    before, _ = checked(texts, corpus)
    hidden = {3: texts[3].upper(), 40: texts[40].replace(",", " -")}
    after, kept = checked(texts, corpus + [["A start."] + split_sentences(text) for text in hidden.values()])
    assert after.exact == before.exact | set(hidden)
    assert kept[-1] == kept[-2] == ["A start."]


def test_nothing_found():
    held_out, kept = checked([LONG + " Not quite the same.", ""])
    assert kept == CORPUS and not held_out.exact
    held_out.refuse()
