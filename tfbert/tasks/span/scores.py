"""Scores of answers by the official definitions: SQuAD's exact match and F1, and those of CMRC 2018 for Chinese."""

import collections
import re
import string

import numpy as np

_CHINESE = re.compile("[\u4e00-\u9fa5]")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"\.{2,}|\.?\d+(?:[.,]\d+)*|\w+(?:['.]\w+)*|[^\w\s]")
# Marks that CMRC's script removes. It lists "……" too, but looks at single characters.
_MARKS = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")


def squad_words(text):
    """Returns the words that SQuAD compares: in lower case, without punctuation and articles; str -> list of str."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def squad_exact(answer, right):
    """Returns whether an answer is the right one: str, str -> float.

    Source: the official `evaluate-v1.1.py` and `evaluate-v2.0.py` (Rajpurkar et al. 2016, 1606.05250).
    """
    return float(squad_words(answer) == squad_words(right))


def squad_f1(answer, right):
    """Returns the F1 of the words that an answer shares with the right one: str, str -> float; source as above.

    If either has no words, it is 1 if both have none.
    """
    one, other = squad_words(answer), squad_words(right)
    if not one or not other:
        return float(one == other)
    same = sum((collections.Counter(one) & collections.Counter(other)).values())
    return 2 * same / (len(one) + len(other))


def cmrc_segments(text):
    """Returns what CMRC compares: each Chinese character and each word between them, without marks; str -> list.

    Deviation: words, numbers and ASCII marks are told apart by a regular expression, where the official script calls
    NLTK.
    """
    segments, word = [], ""

    def close():
        segments.extend(_WORD.findall(word))
        return ""

    for character in text.lower().strip():
        if character in _MARKS:
            continue
        if _CHINESE.match(character):
            word = close()
            segments.append(character)
        else:
            word += character
    close()
    return segments


def cmrc_exact(answer, right):
    """Returns whether an answer is the right one but for marks and white space: str, str -> float.

    Source: the official `cmrc2018_evaluate.py` (Cui et al. 2019, 1810.07366).
    """
    return float(_without_marks(answer) == _without_marks(right))


def cmrc_f1(answer, right):
    """Returns the F1 of the longest common substring of segments: str, str -> float; source as above."""
    one, other = cmrc_segments(answer), cmrc_segments(right)
    common = _longest_common(one, other)
    return 2 * common / (len(one) + len(other)) if common else 0.0


def _without_marks(text):
    return "".join(part for part in text.lower().strip() if part not in _MARKS)


def _longest_common(one, other):
    lengths, most = [0] * (len(other) + 1), 0
    for left in one:
        before = 0
        for place, right in enumerate(other):
            before, lengths[place + 1] = lengths[place + 1], before + 1 if left == right else 0
            most = max(most, lengths[place + 1])
    return most


# Definition -> (exact match, F1) of an answer and one that is right.
DEFINITIONS = {"squad": (squad_exact, squad_f1), "cmrc": (cmrc_exact, cmrc_f1)}


def definition_for(answers):
    """Returns whose definition fits some answers: "cmrc" if most contain Chinese characters, else "squad"."""
    chinese = sum(bool(_CHINESE.search(answer)) for answer in answers)
    return "cmrc" if answers and chinese > len(answers) / 2 else "squad"


def scores_of(answer, right, definition):
    """Returns (exact match, F1) of an answer, the best over the right ones: str, sequence of str, str -> float, float.

    If none is right, "" is.
    """
    exact, f1 = DEFINITIONS[definition]
    right = [each for each in right if definition != "squad" or squad_words(each)] or [""]
    if not answer and right == [""]:
        return 1.0, 1.0
    return max(exact(answer, each) for each in right), max(f1(answer, each) for each in right)


def best_threshold(gaps, with_answer, without):
    """Returns the threshold on how much better "no answer" is, from which "" is answered, with the largest mean score.

    Args:
        gaps: float [N]. The score of no answer minus that of the best answer.
        with_answer: float [N]. The score of the best answer.
        without: float [N]. The score of "".

    Returns:
        (mean score, threshold): float, float. "" is answered where the gap is above the threshold.

    Source: the official `evaluate-v2.0.py`, `find_best_thresh`: thresholds are gaps that occur, or everything is "".
    """
    order = np.argsort(gaps, kind="stable")
    totals = without.sum() + np.concatenate([[0.0], np.cumsum((with_answer - without)[order])])
    ordered = gaps[order]
    # Where equal gaps are on both sides of a cut, no threshold makes it.
    possible = np.append(True, np.append(ordered[1:] != ordered[:-1], True)) if len(gaps) else np.array([True])
    best = int(np.where(possible, totals, -np.inf).argmax())
    threshold = float(ordered[best - 1]) if best else float(ordered[0] - 1 if len(gaps) else 0.0)
    return float(totals[best] / max(len(gaps), 1)), threshold
