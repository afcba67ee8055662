"""Schemes of tags: told apart by the tags, completed, obeyed by the best path."""

import itertools

import numpy as np
import pytest

from tfbert.tasks.tagging.schemes import PREFIXES, SchemeFinder, allowed, best_path, complete, split_tag

SENTENCES = {
    "BIO": ["B-PER I-PER O B-LOC B-LOC I-LOC"],
    "IOB1": ["I-PER I-PER O I-LOC B-LOC I-LOC", "O I-PER"],
    "IOBES": ["B-PER E-PER O S-LOC B-LOC I-LOC E-LOC"],
    "BILOU": ["B-PER L-PER O U-LOC B-LOC I-LOC L-LOC"],
    "BMES": ["B-PER E-PER O S-LOC B-LOC M-LOC E-LOC"],
    None: ["NN VB DT", "PRP O VB"],
}


def scheme_of(sentences):
    finder = SchemeFinder()
    for sentence in sentences:
        finder.add(sentence.split())
    return finder.scheme


@pytest.mark.parametrize("scheme", SENTENCES)
def test_told_apart(scheme):
    assert scheme_of(SENTENCES[scheme]) == scheme


def test_told_apart_at_the_edges():
    assert scheme_of(["B-PER O O", "O B-LOC"]) == "BIO"  # no entity of two words
    assert scheme_of(["I-PER I-PER O", "O I-LOC"]) == "IOB1"  # no two entities beside each other: IO
    assert scheme_of(["B-PER I-PER O I-LOC"]) == "BIO"  # one I that begins an entity is a slip
    assert scheme_of(["B M E S S B E"]) == "BMES"  # Chinese words, without types
    assert scheme_of(["B_LOC I_LOC O"]) == "BIO"
    assert scheme_of(["O O O"]) is None
    assert scheme_of(["1 2 0"]) is None
    assert split_tag("B-creative-work") == ("B", "creative-work")


def test_every_type_gets_every_prefix():
    assert complete({"O", "B-PER", "I-LOC"}, "BIO") == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert complete({"O", "S-X"}, "IOBES") == ["O", "B-X", "I-X", "E-X", "S-X"]
    assert complete({"S", "B", "E"}, "BMES") == ["B", "M", "E", "S"]  # every word is in one: there is no O
    assert complete({"VB", "NN", "O"}, None) == ["O", "NN", "VB"]


def obeys(tags, scheme):
    """Returns whether a sequence obeys its scheme, as seqeval's strict reading finds every tag in an entity or O."""
    from tfbert.tasks.tagging.scores import strict_entities

    inside = {word for _, first, last in strict_entities(tags, scheme) for word in range(first, last + 1)}
    return all((number in inside) == (tag != "O") for number, tag in enumerate(tags))


@pytest.mark.parametrize("scheme", ["BIO", "IOBES", "BILOU", "BMES"])
def test_what_is_allowed_is_what_seqeval_reads_in_full(scheme):
    """All sequences of three tags of two types, against an independent reading."""
    labels = complete({"O"} | {f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in "XY"}, scheme)
    first, between, last = allowed(labels, scheme)
    numbers = {label: number for number, label in enumerate(labels)}
    for tags in itertools.product(labels, repeat=3):
        path = [numbers[tag] for tag in tags]
        legal = first[path[0]] and between[path[0], path[1]] and between[path[1], path[2]] and last[path[2]]
        assert legal == obeys(tags, scheme), tags


def test_iob1_has_b_only_between_entities_of_a_type():
    labels = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    first, between, last = allowed(labels, "IOB1")
    assert first.tolist() == [True, False, True, False, True] and last.all()
    assert between[2].tolist() == [True, True, True, False, True]  # after I-X


@pytest.mark.parametrize("scheme", ["BIO", "IOBES", "IOB1", None])
def test_the_best_path_is_the_best_of_all(scheme):
    """Against trying every sequence."""
    labels = complete({"O"} | {f"{prefix}-{kind}" for prefix in PREFIXES[scheme or "BIO"] for kind in "XY"}, scheme)
    rules = first, between, last = allowed(labels, scheme)
    rng = np.random.default_rng(0)
    for words in (1, 2, 4):
        scores = rng.normal(size=(words, len(labels)))

        def legal(path):
            steps = all(between[pair] for pair in itertools.pairwise(path))
            return first[path[0]] and last[path[-1]] and steps

        paths = filter(legal, itertools.product(range(len(labels)), repeat=words))
        expected = max(paths, key=lambda path: sum(scores[number, tag] for number, tag in enumerate(path)))
        assert best_path(scores, *rules).tolist() == list(expected)
    assert best_path(np.zeros((0, len(labels))), *rules).tolist() == []


def test_a_certain_word_is_obeyed():
    """A word without tokens is certainly O, with log-probabilities of -inf elsewhere."""
    rules = allowed(["O", "B-X", "I-X"], "BIO")
    scores = np.array([[-5.0, -0.1, -3.0], [0.0, -np.inf, -np.inf], [-2.0, -2.5, -0.1]])
    assert best_path(scores, *rules).tolist() == [1, 0, 0]
