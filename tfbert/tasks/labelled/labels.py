"""Class labels: strings or integers, in a well-defined order."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Set

from tfbert.core.errors import InputError
from tfbert.data.values import describe

_NUMBER = re.compile(r"\+?((?:(?<!\+)-)?\d+(?:\.\d*[1-9])?)\.?0*", re.ASCII)
_LONGEST_NUMBER = 40
_INVISIBLE = "\ufeff\u200b"


class LabelSet:
    """The labels of a task, by number; they keep their type from the training data.

    Labels are compared in normalised form (`reading`), so the integer 1 of a JSONL file, "1" of a TSV file and "1.0" of
    pandas are the same label.

    Attributes:
        labels: list of str or int.
    """

    def __init__(self, labels):
        """Takes the labels: iterable of str, int and the like, including NumPy scalars.

        Raises:
            InputError: they have no order, two of them are equal when normalised, or one is not a label.
        """
        if isinstance(labels, (str, bytes, Set, Mapping)) or not isinstance(labels, Iterable):
            raise InputError(f"labels must be a list of labels, by number. Received: {labels!r:.200}.")
        self.labels, self._index = [_plain(label) for label in labels], {}
        if wrong := [label for label in self.labels if not isinstance(label, (str, int)) or label == ""]:
            raise InputError(f"A label is a text or a whole number. Received: {wrong[0]!r}.")
        for number, label in enumerate(self.labels):
            first = self._index.setdefault(reading(label), number)
            if first != number:
                raise InputError(
                    f"The labels {self.labels[first]!r} and {label!r} are the same label; name each class once. "
                    f"Received: {self.labels[:30]!r}."
                )

    def index(self, label, where):
        """Returns the number of a label; raises InputError, naming the row and the known labels, if it is unknown."""
        try:
            return self._index[reading(plain_label(label, where))]
        except KeyError:
            raise InputError(
                f"{describe(where)}: the label {label!r} is not among those of the training data: {self.known()}."
            ) from None

    def find(self, label):
        """Returns the number of a label named by a setting, or None if it is unknown: str or int -> int."""
        return self._index.get(reading(_plain(label)))

    def known(self):
        """Returns the first thirty labels for a message."""
        return ", ".join(map(repr, self.labels[:30])) + (", …" if len(self.labels) > 30 else "")


def plain_label(label, where):
    """Returns a class label as str or int.

    Whole floats, which tables with missing values have, become int; true and false become words; surrounding
    whitespace is stripped.
    """
    plain = _plain(label)
    if isinstance(plain, str):
        plain = _bare(plain) if _is_text(plain) else ""
    if not isinstance(plain, (str, int)) or plain == "":
        raise InputError(
            f"{describe(where)}: the label {label!r} is not a class; a class is a text or a whole number "
            "(numbers with fractions: --task=regression; lists: --task=multilabel)."
        )
    return plain


@functools.lru_cache(2**12)
def reading(label):
    """Returns the normalised form of a label, equal for labels of the same class: str or int -> str.

    Different spellings of a number are equal ("1", "1.0", "+1"; not "01", which may be a code), as are texts with
    surrounding whitespace, "True" and "true", and composed and decomposed letters (Unicode NFC).
    """
    text = _bare(str(label))
    if text.lower() in ("true", "false"):
        return text.lower()
    number = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    return (number[1] if number[1] != "-0" else "0") if number else text


def sorted_labels(labels):
    """Returns the distinct labels in order: by value if all are whole numbers, otherwise by their characters.

    Of several spellings of a class ("1.0" and "1"), the shortest is used, and an integer rather than a text. The order
    depends only on the set of labels.

    Args:
        labels: iterable of str or int, as `plain_label` returns them.
    """
    names = {}
    for label in set(labels):
        names.setdefault(reading(label), []).append(label)
    distinct = [min(same, key=lambda label: (len(str(label)), isinstance(label, str), str(label)))
                for same in names.values()]  # fmt: skip
    try:
        return sorted(distinct, key=lambda label: (int(label), str(label)))
    except ValueError:
        return sorted(distinct, key=str)


def answers(task, guesses, probabilities):
    """Returns the predictions for output: list of {"label", "probabilities"}.

    Args:
        task: Classification or Multilabel.
        guesses: [N] or [N, labels], as the task's `guesses` returns them.
        probabilities: float [N, labels].
    """
    return [
        {
            "label": task.decode_label(guess),
            "probabilities": {str(label): round(float(value), 6) for label, value in zip(task.labels, row)},
        }
        for guess, row in zip(guesses, probabilities)
    ]


def _plain(label):
    """Returns a label in its JSON type, if it is a valid label."""
    if type(label) is str:
        return label
    label = label.item() if hasattr(label, "dtype") and label.ndim == 0 else label
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, bytes):
        return label.decode("utf-8", "replace")
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return str(label) if isinstance(label, str) else label


def _is_text(text):
    """Returns whether a text can be encoded; JSON may contain lone surrogates."""
    return text.isascii() or text == text.encode("utf-8", "ignore").decode("utf-8")


@functools.lru_cache(2**12)
def _bare(text):
    """Returns a text without surrounding invisible characters, in composed form."""
    return unicodedata.normalize("NFC", text.strip().strip(_INVISIBLE).strip())
