"""From logits to answers: against trying every span, and Google's rule of most context."""

import itertools

import numpy as np
import pytest

from tfbert.tasks.span.answers import best_spans, most_context, no_answer_score
from tfbert.tasks.span.examples import Answered, Question, find_answer, window_starts


def test_windows_start_as_googles_do():
    """Against `convert_examples_to_features`, step by step."""
    for size, room, stride in itertools.product((0, 1, 7, 30, 31, 100), (5, 7), (1, 3, 5, 9)):
        expected, start = [], 0
        while True:
            length = min(size - start, room)
            expected.append(start)
            if start + length == size:
                break
            start += min(length, stride)
        assert window_starts(size, room, stride).tolist() == expected


def test_most_context_is_googles():
    for size, room, stride in itertools.product((1, 7, 30, 31, 100), (5, 8), (1, 3, 5)):
        starts = window_starts(size, room, stride)
        for token, chosen in enumerate(most_context(size, starts, room)):
            best, score = None, None
            for number, start in enumerate(starts):
                end = min(start + room, size) - 1
                if start <= token <= end:
                    own = min(token - start, end - token) + 0.01 * (end - start + 1)
                    if score is None or own > score:
                        best, score = number, own
            assert chosen == best


def answered(size=23, room=9, stride=4, seed=0):
    rng, starts = np.random.default_rng(seed), window_starts(size, room, stride)
    offsets = np.stack([np.arange(size) * 3, np.arange(size) * 3 + 2], axis=1).astype(np.int32)
    places = np.zeros((len(starts), 2), np.int32)
    question = Question("q", "ab " * size, (), offsets, starts, 4, room, places)
    return Answered(question, rng.normal(size=(len(starts), 2, room + 5)).astype(np.float32))


@pytest.mark.parametrize("seed", range(4))
def test_the_best_answers_are_the_best_of_all_spans(seed):
    each, longest = answered(seed=seed), 4
    question, scores = each.question, {}
    owner = most_context(len(question.offsets), question.starts, question.room)
    for number, start in enumerate(question.starts):
        for first in range(start, min(start + question.room, len(question.offsets))):
            for last in range(first, min(first + longest, start + question.room, len(question.offsets))):
                if owner[first] == number:
                    logits = each.logits[number]
                    score = logits[0, 4 + first - start] + logits[1, 4 + last - start]
                    place = (first * 3, last * 3 + 2)
                    scores[place] = max(score, scores.get(place, -np.inf))
    expected = sorted(scores, key=lambda place: -scores[place])
    found = best_spans(each, longest)
    assert [(span.start, span.end) for span in found] == expected[:20]
    assert [span.score for span in found] == pytest.approx([scores[place] for place in expected[:20]])
    assert no_answer_score(each) == pytest.approx(min(each.logits[:, :, 0].sum(axis=1)))


def test_few_candidates_are_kept_of_each_window():
    """The two best first and last tokens of each window, as n_best_size chooses them."""
    found = best_spans(answered(size=9), 9, n_best=1)
    logits = answered(size=9).logits[0, :, 4:13]
    begin, end = logits.argmax(axis=1)
    expected = [(begin * 3, end * 3 + 2)] if begin <= end else []
    assert [(span.start, span.end) for span in found] == expected


def test_an_empty_context_has_no_answer():
    each = answered(size=0)
    assert best_spans(each, 5) == []


def test_answers_are_found_where_they_should_be():
    context = "a cat, a cat, a cat"
    assert find_answer(context, "cat", 9) == 9
    assert find_answer(context, "cat", 12) == 9 or find_answer(context, "cat", 12) == 16
    assert find_answer(context, "cat", None) == 2
    assert find_answer(context, "dog", 2) is None and find_answer(context, "", 2) == 2
