"""Texts passed from Python: lists, columns of a table, or rows."""

from collections.abc import Iterable, Mapping, Set

from tfbert.core.errors import InputError, WrongType
from tfbert.data.answers import answers_of
from tfbert.data.words import tags_of, with_words

_SIDES = ("text", "text_pair")


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


def text_rows(texts, columns=("text",)):
    """Returns the same as rows: list of dict with `text`, and `text_pair` for pairs; arguments as above."""
    return [dict(zip(_SIDES, sides)) for sides in given_texts(texts, columns)]


def given_sentences(sentences, columns=("tokens",)):
    """Returns sentences passed by a caller as rows: list of dict with `text` and, where words are listed, `words`.

    Args:
        sentences: iterable of lists of words, of str, or of dicts with the column; or a table with the column.
        columns: (str,). The column of words in the model's training data.

    Raises:
        WrongType: it is something else, such as a single text.
        InputError: the column is missing.
    """
    found, listed = [], _listed(sentences, columns)
    listed = [row[0] for row in listed] if _is_table(sentences) else listed
    for number, sentence in enumerate(listed):
        if isinstance(sentence, Mapping):
            (name,) = _columns(list(sentence), columns, ("text",), f"texts[{number}]")
            sentence = sentence[name]
        if not isinstance(sentence, (str, bytes, list, tuple)) and not hasattr(sentence, "tolist"):
            raise WrongType(f"texts[{number}] must be a list of words, or a text. Received: {_shown(sentence)}.")
        found.append(with_words({"text": sentence, "where": ("texts", number)}, columns[0]))
    return found


def given_examples(rows, text_column="text", text_pair_column=None, label_column="label", reads="texts"):
    """Yields labelled rows that a caller gives, as dicts with `text`, `text_pair` (of pairs), `label`.

    Args:
        rows: DataFrame or dict of lists that has the columns; or iterable of dicts that have them, or that have the
            keys `text`, `text_pair` and `label`; or of (text, label) or (text, second text, label).
        text_column, text_pair_column, label_column: str or None. Names of the columns.
        reads: str. What the columns hold, as for `read_examples`.

    Raises:
        InputError: the columns are not there, or are of different lengths.
    """
    found = _given_examples(rows, text_column, text_pair_column, label_column)
    if reads == "texts":
        yield from found
        return
    label_of = {"words": tags_of, "questions": answers_of}[reads]
    for number, row in enumerate(found, 1):
        where = row.get("where", ("examples", number))
        row |= {"where": where, "label": label_of(row.get("label"), label_column, where)}
        yield with_words(row, text_column) if reads == "words" else row


def _given_examples(rows, text_column, text_pair_column, label_column):
    names = [name for name in (text_column, text_pair_column, label_column) if name]
    roles = [("text", "text_pair", "label"), ("text", "label")][len(names) < 3]
    if _is_table(rows):
        for values in _rows_of(rows, names, roles, "examples"):
            yield dict(zip(roles, values))
        return
    if not isinstance(rows, Iterable):
        raise WrongType(f"Examples must be a table, or a list of rows. Received: a {type(rows).__name__}.")
    for row in rows:
        if isinstance(row, Mapping):
            yield dict(row) | {role: row[name] for role, name in zip(roles, names) if name in row}
        elif isinstance(row, (tuple, list)) and len(row) in (2, 3):
            yield {"text": row[0], "label": row[-1]} | ({"text_pair": row[1]} if len(row) == 3 else {})
        else:
            raise WrongType(
                "Examples must be dicts with text, label etc., or (text, label). Received: a "
                f"{type(row).__name__}, {str(row)[:40]!r}."
            )


def _is_table(rows):
    """Returns whether something has columns by name: a DataFrame, or a dict of lists."""
    return isinstance(rows, Mapping) or (hasattr(rows, "columns") and hasattr(rows, "__getitem__"))


def _rows_of(table, columns, usual, what):
    """Returns the rows of some columns: list of tuples; the arguments are those of `_columns`."""
    names = list(table) if isinstance(table, Mapping) else list(getattr(table, "column_names", table.columns))
    chosen = {name: _column(table[name]) for name in _columns(names, columns, usual, what)}
    if len({len(values) for values in chosen.values()}) > 1:
        lengths = ", ".join(f"{len(values)} of {name!r}" for name, values in chosen.items())
        raise InputError(f"The columns of {what} must have the same length. Received: {lengths}.")
    return list(zip(*chosen.values()))


def _listed(texts, columns):
    """Returns the texts one by one: list."""
    if isinstance(texts, (str, bytes)):
        raise WrongType(f"texts must be a list of texts. Received: one {type(texts).__name__}, {texts[:40]!r}.")
    if _is_table(texts):
        return _rows_of(texts, columns, _SIDES[: len(columns)], "texts")
    if isinstance(texts, Set) or not isinstance(texts, Iterable):
        raise WrongType(f"texts must be a list of texts, in order. Received: a {type(texts).__name__}.")
    return _column(texts)


def _column(values):
    if isinstance(values, (str, bytes)):
        raise WrongType(f"texts must be a list of texts. Received: one {type(values).__name__}, {values[:40]!r}.")
    return values.to_pylist() if hasattr(values, "to_pylist") else list(values)


def _columns(names, columns, usual, what):
    """Returns the column names to use: the requested ones, or those that `read_examples` yields.

    Args:
        names: list of str. The existing columns.
        columns: sequence of str. The requested columns.
        usual: sequence of str. Those of `read_examples`.
        what: str. What has the columns, for the message.
    """
    for wanted in (tuple(columns), tuple(usual)):
        if set(wanted) <= set(names):
            return wanted
    known = ", ".join(map(repr, names))
    raise InputError(f"{what} has the columns {known}, but {', '.join(map(repr, columns))} is needed.")


def _sides(text, number, columns):
    """Returns a text as (str,), a pair as (str, str)."""
    if isinstance(text, Mapping):
        text = tuple(text[name] for name in _columns(list(text), columns, _SIDES[: len(columns)], f"texts[{number}]"))
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
