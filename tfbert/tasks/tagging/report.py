"""What a report says of tags: each type, confusions of types, the entities that the model is most wrong about."""

import numpy as np

from tfbert.data.words import words_in
from tfbert.tasks.scores.metrics import softmax
from tfbert.tasks.tagging.scores import by_type, confusions, entities

# A type that so many entities have, and no answer, is worth a word; so many types at most.
_FEW, _REMARKS = 5, 3
# With more types a table is too large to read. Words shown on each side of a mistake.
_MOST_CONFUSED, _BESIDE = 30, 12


def answer_tables(task, labels, outputs):
    """Returns the tables of a report: list of (title, head, rows).

    Args:
        task: Tagging.
        labels: object [N] of int [words].
        outputs: object [N] of float [words, labels].
    """
    held, answered = task.both(labels, outputs)
    if task.scheme is None:
        return [_tags(held, answered, task.labels)]
    lines = [
        [kind, true, found, *(f"{number:.4f}" for number in numbers)]
        for kind, true, found, *numbers in by_type(held, answered, task.scheme)
    ]
    head = ["type", "entities", "answers", "precision", "recall", "F1", "F1 strict"]
    tables = [("Each type", head, lines)]
    kinds, table = confusions(held, answered)
    if len(kinds) <= _MOST_CONFUSED:
        rows = [[kind, *counts] for kind, counts in zip([*kinds, "(none)"], table.tolist())]
        rows[-1][-1] = ""  # words that are neither an entity nor answered as one
        tables.append(("Confusions of types, of the same words", ["true type ↓, predicted →", *kinds, "(none)"], rows))
    return tables


def _tags(held, answered, tags):
    """Returns the table of tags that mark no entities."""
    lines = []
    pairs = [pair for true, found in zip(held, answered) for pair in zip(true, found)]
    for tag in tags:
        true, found = sum(pair[0] == tag for pair in pairs), sum(pair[1] == tag for pair in pairs)
        right = sum(pair == (tag, tag) for pair in pairs)
        lines.append([str(tag), true, found, f"{right / max(found, 1):.4f}", f"{right / max(true, 1):.4f}"])
    return "Each tag", ["tag", "words", "answers", "precision", "recall"], lines


def remarks(task, labels, outputs):
    """Returns which types of entities are never answered: list of (sentence, ""); arguments as above."""
    if task.scheme is None:
        return []
    lines = by_type(*task.both(labels, outputs), task.scheme)
    missed = sorted((-true, kind) for kind, true, found, *_ in lines if not found and true >= _FEW)
    return [(f"It never answers {kind!r}, which {-count} dev entities have", "") for count, kind in missed[:_REMARKS]]


def mistakes(task, labels, outputs, most):
    """Returns the entities that a model is most wrong about, the most confident mistake first.

    An answer that is no entity is as wrong as it is probable; an entity that was not answered, as O was there.

    Args:
        task: Tagging.
        labels, outputs: as for `answer_tables`.
        most: int.

    Returns:
        list of (number of the sentence, entity or None, answer or None, probability of the answer), the entities as
        (type, first word, last word); of one with the same words both.
    """
    if task.scheme is None:
        return []
    found = []
    for number, (true, answer, logits) in enumerate(zip(*task.both(labels, outputs), outputs)):
        held, answered = ({each[1:]: each for each in entities(tags)} for tags in (true, answer))
        if held == answered:
            continue
        numbers = task.encode_label(answer, ("answers", number))
        sure = softmax(logits)[np.arange(len(answer)), numbers]
        for words in held.keys() | answered.keys():
            one, other = held.get(words), answered.get(words)
            if one != other:
                found.append((number, one, other, float(np.mean(sure[words[0] : words[1] + 1]))))
    return sorted(found, key=lambda each: (-each[3], each[0], str(each[1:3])))[:most]


def shown_mistake(row, mistake):
    """Returns a mistake for a reader: (entity, answer, probability, the words around it with the entity in brackets).

    Args:
        row: dict, the sentence as `read_examples` yields it.
        mistake: tuple, of `mistakes`.
    """
    _, held, answered, probability = mistake
    words, (first, last) = words_in(row)[0], (held or answered)[1:]
    before, after = words[max(first - _BESIDE, 0) : first], words[last + 1 : last + 1 + _BESIDE]
    marked = [f"[{' '.join(words[first : last + 1])}]"]
    text = " ".join(["…"] * (first > _BESIDE) + before + marked + after + ["…"] * (len(words) > last + 1 + _BESIDE))
    return (held[0] if held else "none", answered[0] if answered else "none", f"{probability:.4f}", text)
