"""Class labels: strings or integers, with an order of their own."""

from tfbert.data.sources import describe
from tfbert.core.errors import InputError


class LabelSet:
    """The labels of a task, by number; they keep the type they had in the training data.

    A label is found by what it reads as, so that the integer 1 of a JSONL file and the text "1" of a TSV file are one.
    """

    def __init__(self, labels):
        self.labels = list(labels)
        self._index = {str(label): number for number, label in enumerate(self.labels)}

    def index(self, label, where):
        """Returns a label's number; InputError names the row and the known labels otherwise."""
        try:
            return self._index[str(plain_label(label, where))]
        except KeyError:
            known = ", ".join(repr(name) for name in self.labels[:30]) + (", …" if len(self.labels) > 30 else "")
            raise InputError(
                f"{describe(where)}: the label {label!r} is not among those of the training data: {known}."
            ) from None


def plain_label(label, where):
    """Returns a class label as str or int; whole floats, as tables with gaps have them, become int."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():
        return int(label)
    if not isinstance(label, (str, int)) or label == "":
        raise InputError(
            f"{describe(where)}: the label {label!r} is no class; a class is a text or a whole number "
            "(numbers with fractions: --task=regression; lists: --task=multilabel)."
        )
    return label


def sorted_labels(labels):
    """Returns distinct labels in order: by value if every one reads as a whole number, else by name."""
    distinct = set(labels)
    try:
        return sorted(distinct, key=int)
    except ValueError:
        return sorted(distinct, key=str)


def answers(task, guesses, probabilities):
    """Returns what to tell a reader of each example: list of {"label", "probabilities"}.

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
