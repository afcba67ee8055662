"""How tags mark entities: BIO, IOB1, IOBES and their kin, told apart by the tags themselves."""

import re

import numpy as np

OUTSIDE = "O"
_TAG = re.compile(r"([BIESLUM])(?:[-_](.+))?")
# Scheme -> its prefixes: of the first word of an entity, of those between, of the last one, of a single one.
PREFIXES = {"BIO": "BI", "IOB1": "BI", "IOBES": "BIES", "BILOU": "BILU", "BMES": "BMES"}
# BILOU's and BMES' prefixes by those of IOBES.
_AS_IOBES = {"L": "E", "U": "S", "M": "I"}
# What a tag's prefix may follow within an entity, and what ends with it.
_CONTINUES, _BEGINS, _OPEN = "IE", "BS", "BI"


def split_tag(tag):
    """Returns the prefix and the type of a tag, as IOBES names prefixes: ("B", "PER"); ("O", "") for O, else None.

    Example:
        >>> split_tag("U-PER"), split_tag("O"), split_tag("NN")
        (('S', 'PER'), ('O', ''), None)
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = _TAG.fullmatch(str(tag))
    return found and (_AS_IOBES.get(found[1], found[1]), found[2] or "")


def standard(tag):
    """Returns a tag as seqeval reads it: str -> str, such as "S-PER" for "U_PER"."""
    prefix, kind = split_tag(tag)
    return f"{prefix}-{kind}" if kind else prefix


class SchemeFinder:
    """Finds the scheme of tags from the sentences that it is shown.

    Attributes:
        tags: set of str or int. All tags seen.
    """

    def __init__(self):
        self.tags, self._begun_by_inside, self._begun_by_b = set(), False, False

    def add(self, tags):
        """Takes the tags of a sentence: list."""
        self.tags.update(tags)
        before = (OUTSIDE, "")
        for tag in tags:
            found = split_tag(tag)
            if found is None:
                return
            if found[1] != before[1] or before[0] == OUTSIDE:
                self._begun_by_inside |= found[0] == "I"
                self._begun_by_b |= found[0] == "B"
            before = found

    @property
    def scheme(self):
        """The name of the scheme, a key of PREFIXES; None if the tags mark no entities, such as parts of speech."""
        if not all(map(split_tag, self.tags)) or self.tags <= {OUTSIDE}:
            return None
        prefixes = {str(tag)[0] for tag in self.tags} - {OUTSIDE}
        for scheme, telling in (("BILOU", "LU"), ("BMES", "M"), ("IOBES", "ES")):
            if prefixes & set(telling):
                return scheme
        return "IOB1" if self._begun_by_inside and not self._begun_by_b else "BIO"


def complete(tags, scheme):
    """Returns the tags in order: O, then every prefix of every type, so that dev data may hold what train lacks.

    Args:
        tags: set of str.
        scheme: str or None. With None they are only sorted.
    """
    if scheme is None:
        return sorted(tags, key=lambda tag: (tag != OUTSIDE, str(tag)))
    shapes = sorted({(str(tag)[1:]) for tag in tags if tag != OUTSIDE})
    outside = [OUTSIDE] if OUTSIDE in tags or scheme != "BMES" else []
    return outside + [prefix + rest for rest in shapes for prefix in PREFIXES[scheme]]


def allowed(labels, scheme):
    """Returns what a scheme allows: bool [L] first tags of a sentence, bool [L, L] tag after tag, bool [L] last tags.

    Args:
        labels: list of str. L tags.
        scheme: str or None; with None everything is allowed.
    """
    count = len(labels)
    if scheme is None:
        return np.ones(count, bool), np.ones((count, count), bool), np.ones(count, bool)
    parts = [split_tag(label) for label in labels]
    outside = (OUTSIDE, "")
    first = np.array([_follows(outside, after, scheme) for after in parts])
    between = np.array([[_follows(before, after, scheme) for after in parts] for before in parts])
    last = np.array([_follows(before, outside, scheme) for before in parts])
    return first, between, last


def _follows(before, after, scheme):
    """Returns whether a tag may follow another one, or the beginning of the sentence, which is as O."""
    same = before[0] != OUTSIDE and before[1] == after[1]
    if scheme == "IOB1":  # B only divides two entities of one type
        return after[0] != "B" or same
    if scheme == "BIO":
        return after[0] != "I" or same
    opened = before[0] in _OPEN and before[0] != OUTSIDE
    return (opened and same) if after[0] in _CONTINUES else not opened


def best_path(scores, first, between, last):
    """Returns the path with the largest sum of scores among the allowed ones (Viterbi 1967): float [n, L] -> int [n].

    Args:
        scores: float [n, L]. Log-probabilities of the tags of each word.
        first, between, last: as `allowed` returns them.
    """
    if not len(scores):
        return np.zeros(0, np.int64)
    steps = np.where(between, 0.0, -np.inf)
    total, came_from = np.where(first, scores[0], -np.inf), []
    for score in scores[1:]:
        paths = total[:, np.newaxis] + steps
        came_from.append(paths.argmax(axis=0))
        total = paths.max(axis=0) + score
    path = [int(np.where(last, total, -np.inf).argmax())]
    for places in reversed(came_from):
        path.append(int(places[path[-1]]))
    return np.array(path[::-1])
