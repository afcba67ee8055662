"""Scores of tags, against seqeval's own functions over the whole dataset."""

import warnings

import numpy as np
import pytest
from seqeval import metrics, scheme

from tfbert import TASKS
from tfbert.reports.statistics import bootstrap_intervals
from tfbert.tasks.scores.resampled import repeated_scores
from tfbert.data.examples import objects
from tfbert.tasks.tagging.schemes import PREFIXES, complete
from tfbert.tasks.tagging.scores import by_type, confusions, entities

SCHEMES = {"BIO": scheme.IOB2, "IOB1": scheme.IOB1, "IOBES": scheme.IOBES, "BILOU": scheme.BILOU}


def random_answers(name, sentences=60):
    """Returns a task, its labels, and outputs that are right for most words: random tags, legal or not."""
    labels = complete({"O"} | {f"{prefix}-{kind}" for prefix in PREFIXES[name] for kind in ("X", "Y-z")}, name)
    task, rng = TASKS["tagging"](labels, name), np.random.default_rng(3)
    true = [rng.choice(len(labels), size) for size in rng.integers(0, 9, sentences)]
    outputs = [rng.normal(size=(len(tags), len(labels))).astype(np.float32) for tags in true]
    for tags, logits in zip(true, outputs):
        logits[np.arange(len(tags)), tags] += 2.5
    return task, objects([tags.astype(np.int32) for tags in true]), objects(outputs)


@pytest.mark.parametrize("name", SCHEMES)
def test_scores_are_seqevals(name):
    task, labels, outputs = random_answers(name)
    true, found = task.both(labels, outputs)
    scores = task.metrics(labels, outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name != "BILOU":  # seqeval reads that in strict mode alone
            assert scores["f1"] == pytest.approx(metrics.f1_score(true, found))
            assert scores["precision"] == pytest.approx(metrics.precision_score(true, found))
            assert scores["recall"] == pytest.approx(metrics.recall_score(true, found))
        strict = metrics.f1_score(true, found, mode="strict", scheme=SCHEMES[name])
        each = metrics.classification_report(true, found, mode="strict", scheme=SCHEMES[name], output_dict=True)
    assert scores["f1_strict"] == pytest.approx(strict)
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(true, found))
    assert 0.1 < scores["f1"] < 0.95 and scores["f1"] != scores["f1_strict"]
    lines = by_type(true, found, name)
    assert [line[0] for line in lines] == ["X", "Y-z"]
    assert {kind: strict for kind, *_, strict in lines} == pytest.approx({k: each[k]["f1-score"] for k in ("X", "Y-z")})


def test_conlleval_begins_an_entity_with_a_lone_inside():
    assert entities(["I-PER", "O", "B-LOC", "I-PER"]) == [("PER", 0, 0), ("LOC", 2, 2), ("PER", 3, 3)]
    task = TASKS["tagging"](["O", "B-PER", "I-PER"])
    labels, outputs = objects([np.array([1, 0], np.int32)]), objects([np.eye(3, dtype=np.float32)[[2, 0]] * 9])
    found = task.metrics(labels, outputs)
    assert (found["f1"], found["f1_strict"], found["accuracy"]) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize("name", ["BIO", "IOBES"])
def test_many_weightings_are_those_of_sentences_repeated(name):
    task, labels, outputs = random_answers(name, 30)
    weights = np.random.default_rng(2).multinomial(30, np.full(30, 1 / 30), 8).astype(float)
    found, expected = task.resampled_scores(labels, outputs, weights), repeated_scores(task, labels, outputs, weights)
    assert set(found) == set(expected) == set(task.metric_names)
    for metric in found:
        np.testing.assert_allclose(found[metric], expected[metric])
    low, high = bootstrap_intervals(task, labels, outputs)["f1"]
    assert low < task.metrics(labels, outputs)["f1"] < high


def test_tags_that_mark_no_entities():
    """Parts of speech: accuracy, to which the micro-average of F1 is equal."""
    task = TASKS["tagging"](["DT", "NN", "VB"])
    labels = objects([np.array([0, 1, 2], np.int32), np.array([1], np.int32)])
    outputs = objects([np.eye(3, dtype=np.float32)[[0, 1, 1]], np.eye(3, dtype=np.float32)[[1]]])
    assert task.scheme is None and task.metrics(labels, outputs) == {"f1": 0.75, "accuracy": 0.75}
    ((title, head, rows),) = task.answer_tables(labels, outputs)
    assert title == "Each tag" and rows[1] == ["NN", 2, 3, "0.6667", "1.0000"]
    assert task.mistakes(labels, outputs, 5) == [] and task.remarks(labels, outputs, {}) == []
    assert "entities" not in task.predictions(outputs, [{"words": ["a", "cat", "sat"]}, {"words": ["cat"]}])[0]


def test_no_words_have_no_scores():
    task = TASKS["tagging"](["O", "B-X", "I-X"])
    nothing = objects([np.zeros(0, np.int32)]), objects([np.zeros((0, 3), np.float32)])
    assert task.metrics(*nothing) == {"f1": 0.0, "precision": 0.0, "recall": 0.0, "f1_strict": 0.0}
    assert task.predictions(nothing[1], [{"words": []}]) == [{"tokens": [], "tags": [], "entities": []}]


def test_confusions_are_of_the_same_words():
    held = [["B-X", "I-X", "O", "B-Y"], ["B-X"]]
    answered = [["B-Y", "I-Y", "O", "B-Y"], ["O"]]
    kinds, table = confusions(held, answered)
    assert kinds == ["X", "Y"] and table.tolist() == [[0, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_mistakes_show_their_words():
    task = TASKS["tagging"](["O", "B-X", "I-X", "B-Y", "I-Y"])
    labels = objects([np.array([1, 2, 0, 3], np.int32), np.array([0, 1], np.int32)])
    outputs = objects([np.eye(5, dtype=np.float32)[[3, 4, 0, 3]] * 4, np.eye(5, dtype=np.float32)[[0, 0]] * 9])
    found = task.mistakes(labels, outputs, 10)
    assert [each[:3] for each in found] == [(1, ("X", 1, 1), None), (0, ("X", 0, 1), ("Y", 0, 1))]
    assert found[0][3] > found[1][3] > 0.9
    row = {"words": "New York in May".split()}
    assert task.shown_mistake(row, found[1]) == ("X", "Y", f"{found[1][3]:.4f}", "[New York] in May")
    long = {"words": [str(number) for number in range(40)]}
    text = task.shown_mistake(long, (0, None, ("X", 20, 21), 0.5))[3]
    assert text.startswith("… 8 9") and "19 [20 21] 22" in text and text.endswith("33 …")
    assert task.mistakes(labels, outputs, 1) == found[:1]


def test_types_that_are_never_answered_are_told():
    task = TASKS["tagging"](["O", "B-X", "I-X"])
    labels, outputs = objects([np.ones(6, np.int32)]), objects([np.eye(3, dtype=np.float32)[[0] * 6]])
    assert task.remarks(labels, outputs, {}) == [("It never answers 'X', which 6 dev entities have", "")]
