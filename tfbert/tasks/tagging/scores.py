"""Scores of tags by entity, as conlleval and as the scheme's strict reading count them; by seqeval."""

import functools

import numpy as np

from tfbert.tasks.scores.metrics import defined, f1_of, share_of
from tfbert.tasks.tagging.schemes import standard

# Columns of the counts of a sentence.
RIGHT, ANSWERED, HELD, STRICT_RIGHT, STRICT_ANSWERED, STRICT_HELD, WORDS_RIGHT, WORDS = range(8)


def entities(tags):
    """Returns the entities of a sentence as conlleval finds them: list of str -> list of (type, first, last).

    An I that follows no entity of its type begins one.

    Source: seqeval's `get_entities`, which follows `conlleval.pl` of CoNLL-2000.

    Example:
        >>> entities(["B-PER", "I-PER", "O", "I-LOC"])
        [('PER', 0, 1), ('LOC', 3, 3)]
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return get_entities(list(map(standard, tags)))


def strict_entities(tags, scheme):
    """Returns the entities whose tags obey the scheme: list of str, str -> list of (type, first, last)."""
    from seqeval.scheme import Entities

    found = Entities([list(map(standard, tags))], _seqevals(scheme)).entities[0]
    return [(entity.tag, entity.start, entity.end - 1) for entity in found]


@functools.cache
def _seqevals(scheme):
    from seqeval import scheme as schemes

    return {"BIO": schemes.IOB2, "IOB1": schemes.IOB1}.get(scheme, schemes.IOBES)


def counts(held, answered, scheme):
    """Returns what the scores of a dataset are computed from, for each sentence: float64 [N, 8].

    Args:
        held, answered: list of N lists of str. The tags of the words of each sentence.
        scheme: str or None. With None there are no entities, only words.
    """
    rows = np.zeros((len(held), 8))
    for row, true, found in zip(rows, held, answered):
        row[WORDS_RIGHT], row[WORDS] = sum(map(str.__eq__, true, found)), len(true)
        if scheme is not None:
            row[RIGHT : HELD + 1] = _compared(entities(true), entities(found))
            row[STRICT_RIGHT : STRICT_HELD + 1] = _compared(
                strict_entities(true, scheme), strict_entities(found, scheme)
            )
    return rows


def _compared(true, found):
    true, found = set(true), set(found)
    return len(true & found), len(found), len(true)


def scores_of(totals, scheme):
    """Returns the scores of summed counts: float64 [..., 8], str or None -> dict of float64 [...].

    Precision, recall and F1 are conlleval's, micro-averaged over entities; `f1_strict` counts only entities whose tags
    obey the scheme; accuracy is that of words. Of tags that mark no entities, F1 is the micro-average over tags, which
    equals accuracy.
    """
    found = {"accuracy": np.divide(totals[..., WORDS_RIGHT], totals[..., WORDS])}
    if scheme is None:
        return {"f1": found["accuracy"]} | found
    right, answered, held = (totals[..., column] for column in (RIGHT, ANSWERED, HELD))
    strict = (totals[..., column] for column in (STRICT_RIGHT, STRICT_ANSWERED, STRICT_HELD))
    return {
        "f1": f1_of(right, answered - right, held - right),
        "precision": share_of(right, answered),
        "recall": share_of(right, held),
        "f1_strict": _f1(*strict),
    } | found


def _f1(right, answered, held):
    return f1_of(right, answered - right, held - right)


def by_type(held, answered, scheme):
    """Returns a line for each type: list of (type, entities, answered, precision, recall, F1, strict F1).

    Args:
        held, answered: list of N lists of str.
        scheme: str.
    """
    totals, strictly = {}, functools.partial(strict_entities, scheme=scheme)
    for true, found in zip(held, answered):
        plain, strict = ([read(tags) for tags in (true, found)] for read in (entities, strictly))
        for first, (one, other) in ((0, plain), (3, strict)):
            for kind in {entity[0] for entity in (*one, *other)}:
                own = ([entity for entity in side if entity[0] == kind] for side in (one, other))
                totals.setdefault(kind, np.zeros(6))[first : first + 3] += _compared(*own)
    lines = []
    for kind, (right, found, true, *strict) in sorted(totals.items()):
        numbers = (share_of(right, found), share_of(right, true), _f1(right, found, true), _f1(*strict))
        lines.append((kind, int(true), int(found), *map(float, numbers)))
    return lines


def confusions(held, answered):
    """Returns how often an entity of one type was answered as another one, with the same words.

    Args:
        held, answered: list of N lists of str.

    Returns:
        (types, int [types + 1, types + 1]): rows are true types, columns those of answers; the last of each is for no
        entity with these words.
    """
    pairs = {}
    for true, found in zip(held, answered):
        true, found = ({(first, last): kind for kind, first, last in entities(tags)} for tags in (true, found))
        for words in true.keys() | found.keys():
            pair = true.get(words), found.get(words)
            pairs[pair] = pairs.get(pair, 0) + 1
    kinds = sorted({kind for pair in pairs for kind in pair if kind is not None})
    place = {kind: number for number, kind in enumerate(kinds)} | {None: len(kinds)}
    table = np.zeros((len(kinds) + 1, len(kinds) + 1), int)
    for (true, found), count in pairs.items():
        table[place[true], place[found]] = count
    return kinds, table


def finite_scores(totals, scheme):
    """Returns the scores that are defined, as Python's floats: float64 [8], str or None -> dict."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return defined(scores_of(totals, scheme))
