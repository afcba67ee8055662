"""From the logits of windows to the answers of a question: the n best spans, and whether there is an answer."""

import dataclasses

import numpy as np

# Candidates of first and of last tokens in a window, and answers of a question: run_squad.py's n_best_size.
N_BEST = 20


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A possible answer.

    Attributes:
        score: float. The sum of its two logits.
        start, end: int. Its characters in the context; both 0: no answer.
    """

    score: float
    start: int
    end: int


def best_spans(answered, longest, n_best=N_BEST):
    """Returns the best answers over all windows of a question, the best first: list of Candidate, perhaps empty.

    An answer begins at a token in the window where that has most context, is in one window, not longer than `longest`
    tokens, and is listed once.

    Args:
        answered: Answered.
        longest: int. Tokens of an answer, at most.
        n_best: int.

    Source: google-research/bert `run_squad.py`, `write_predictions`. Deviation: answers are slices of the context.
    """
    question, found = answered.question, {}
    owner = most_context(len(question.offsets), question.starts, question.room)
    for number, (start, logits) in enumerate(zip(question.starts, answered.logits)):
        size = min(question.room, len(question.offsets) - start)
        own = logits[:, question.first : question.first + size]
        begins = _largest(np.where(owner[start : start + size] == number, own[0], -np.inf), n_best)
        ends = _largest(own[1], n_best)
        for begin in begins:
            for end in ends:
                if begin <= end < begin + longest and np.isfinite(own[0, begin]):
                    place = (int(question.offsets[start + begin, 0]), int(question.offsets[start + end, 1]))
                    found[place] = max(found.get(place, -np.inf), float(own[0, begin]) + float(own[1, end]))
    spans = [Candidate(score, *place) for place, score in found.items()]
    return sorted(spans, key=lambda span: (-span.score, span.start, span.end))[:n_best]


def no_answer_score(answered):
    """Returns the least sum of the two logits at [CLS] over the windows of a question: float."""
    return float((answered.logits[:, 0, 0] + answered.logits[:, 1, 0]).min())


def most_context(size, starts, room):
    """Returns the window in which each token has most context: int [size].

    That is where the smaller of the numbers of tokens to its left and to its right, plus a hundredth of the window's
    length, is largest; the first of several.

    Args:
        size: int. Tokens of the context.
        starts: int [windows].
        room: int. Tokens of a window, at most.

    Source: google-research/bert `run_squad.py`, `_check_is_max_context`.
    """
    place, lengths = np.arange(size)[:, np.newaxis], np.minimum(room, size - starts)
    left, right = place - starts, starts + lengths - 1 - place
    inside = (left >= 0) & (right >= 0)
    return np.where(inside, np.minimum(left, right) + 0.01 * lengths, -np.inf).argmax(axis=1)


def _largest(values, count):
    """Returns the places of the largest finite values, the largest first: float [n], int -> list of int."""
    places = np.argsort(-values, kind="stable")[:count]
    return [int(place) for place in places if np.isfinite(values[place])]
