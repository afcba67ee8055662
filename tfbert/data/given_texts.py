"""Texts passed from Python: lists, columns of a table, or rows."""

from collections.abc import Iterable, Mapping, Set

from tfbert.core.errors import InputError, WrongType


def given_texts(texts, columns=("text",)):
    """Returns texts or text pairs passed by a caller as a list of (str,) or of (str, str).

    Args:
        texts: iterable of str, UTF-8 bytes, (str, str), or of dicts with the columns; or a DataFrame or a dict of lists
            with the columns. A list of two texts is a pair if the model reads two columns.
        columns: tuple of str. The text columns of the model's training data.

    Raises:
        WrongType: it is something else, such as a single text, lists of tokens, numbers or null; the place is named.
        InputError: texts are mixed with pairs, single texts are given to a model of pairs, or columns are missing.
    """
    found = [_sides(text, number, columns) for number, text in enumerate(_listed(texts, columns))]
    if len({len(sides) for sides in found}) > 1:
        raise WrongType("texts must be all single texts, or all pairs of texts. Received: some of each.")
    if found and len(found[0]) < len(columns):
        raise InputError(
            f"This model was trained on pairs of texts ({' and '.join(columns)}); give (text, second text) for each. "
            f"Received: single texts, the first {found[0][0][:40]!r}."
        )
    return found


def _listed(texts, columns):
    """Returns the texts one by one: list."""
    if isinstance(texts, (str, bytes)):
        raise WrongType(f"texts must be a list of texts. Received: one {type(texts).__name__}, {texts[:40]!r}.")
    if isinstance(texts, Mapping) or (hasattr(texts, "columns") and hasattr(texts, "__getitem__")):
        names = list(texts) if isinstance(texts, Mapping) else list(getattr(texts, "column_names", texts.columns))
        chosen = {name: _column(texts[name]) for name in _columns(names, columns, "texts")}
        if len({len(values) for values in chosen.values()}) > 1:
            lengths = ", ".join(f"{len(values)} of {name!r}" for name, values in chosen.items())
            raise InputError(f"The columns of texts must have the same length. Received: {lengths}.")
        return list(zip(*chosen.values()))
    if isinstance(texts, Set) or not isinstance(texts, Iterable):
        raise WrongType(f"texts must be a list of texts, in order. Received: a {type(texts).__name__}.")
    return _column(texts)


def _column(values):
    if isinstance(values, (str, bytes)):
        raise WrongType(f"texts must be a list of texts. Received: one {type(values).__name__}, {values[:40]!r}.")
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def _columns(names, columns, what):
    """Returns the column names to use: those of the model, or those that `read_examples` yields."""
    for wanted in (tuple(columns), ("text", "text_pair")[: len(columns)]):
        if set(wanted) <= set(names):
            return wanted
    known = ", ".join(map(repr, names))
    raise InputError(f"{what} has the columns {known}, but {', '.join(map(repr, columns))} is needed.")


def _sides(text, number, columns):
    """Returns a text as (str,), a pair as (str, str)."""
    if isinstance(text, Mapping):
        text = tuple(text[name] for name in _columns(list(text), columns, f"texts[{number}]"))
    if isinstance(text, (str, bytes)):
        return (_text(text, number),)
    parts = text.tolist() if hasattr(text, "tolist") else text
    pair = isinstance(parts, tuple) and len(parts) in (1, 2)
    if pair or (isinstance(parts, list) and len(parts) == len(columns) == 2):
        return tuple(_text(part, number) for part in parts)
    words = "; join tokens to one text" if isinstance(parts, (list, tuple)) else ""
    raise WrongType(
        f"texts[{number}] must be a text, or a tuple (text, second text){words}. Received: {_shown(text)}."
    )


def _text(text, number):
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"texts[{number}] is not valid UTF-8. Received: {_shown(text)}.") from None
    if not isinstance(text, str):
        raise WrongType(f"texts[{number}] must be a text. Received: {_shown(text)}.")
    return str(text)


def _shown(value):
    return f"{type(value).__name__} {value!r:.60}"
