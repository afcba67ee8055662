"""Words: of a row that lists them, or of a text that is split as BERT's tokenizer splits it."""

import unicodedata

from tfbert.core.errors import InputError
from tfbert.data.values import decoded, describe, text_of


def words_of(value, name, where):
    """Returns the words of a cell: list of str if it lists them, None if it is a text.

    Args:
        value: list of str, numbers or UTF-8 bytes; or a text.
        name: str. The column.
        where: (file, line).

    Raises:
        InputError: it is neither.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return [text_of(word, name, where) for word in value]
    text_of(value, name, where)
    return None


def tags_of(value, name, where):
    """Returns the tags of a cell, one per word: list; a text holds them separated by white space."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None:
        raise InputError(f"{describe(where)}: column {name!r} is null; every row needs a tag for each word.")
    value = decoded(list(value) if isinstance(value, tuple) else value, name, where)
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list):
        raise InputError(
            f"{describe(where)}: column {name!r} holds a {type(value).__name__}, {value!r:.60}, but a list of tags is "
            "needed, one for each word; --label_column names the column."
        )
    return value


def with_words(example, name):
    """Returns a row of words as `read_examples` yields it, with `words`, `text` and, where there are tags, `label`.

    The text of listed words is these words joined by blanks. A text with tags has the words between its white space; a
    text without is left for the tokenizer to split.

    Args:
        example: dict with `text`, as the file has it, `where`, and perhaps `label`, list.
        name: str. The column of the words.

    Raises:
        InputError: the numbers of words and tags differ.
    """
    value, where = example["text"], example["where"]
    words = words_of(value, name, where)
    if words is None:
        text = text_of(value, name, where)
        words = text.split() if "label" in example else None
    else:
        text = " ".join(words)
    row = example | {"text": text} | ({} if words is None else {"words": words})
    if "label" in row and len(row["label"]) != len(words):
        raise InputError(
            f"{describe(where)}: {len(words)} words, but {len(row['label'])} tags; each word needs one tag."
        )
    return row


def words_in(row):
    """Returns the words of a row, and where they are in its text: list of str, list of (start, end) or None.

    Args:
        row: dict with `words`; or with `text` alone, which is split.
    """
    if "words" in row:
        return row["words"], None
    spans = word_spans(row["text"])
    return [row["text"][start:end] for start, end in spans], spans


def word_spans(text):
    """Returns where the words of a text are, as BERT's tokenizer splits it: list of (start, end), in characters.

    Words are separated by white space; each punctuation mark and each Chinese character is a word.

    Source: google-research/bert `tokenization.py`, `BasicTokenizer`.

    Example:
        >>> word_spans("Hi, John!")
        [(0, 2), (2, 3), (4, 8), (8, 9)]
    """
    spans, start = [], None
    for place, character in enumerate(text):
        alone = _is_punctuation(character) or _is_chinese(ord(character))
        if start is not None and (alone or _is_white(character)):
            spans.append((start, place))
            start = None
        if alone:
            spans.append((place, place + 1))
        elif start is None and not _is_white(character):
            start = place
    return spans if start is None else [*spans, (start, len(text))]


def _is_white(character):
    return character in "\t\n\r" or unicodedata.category(character) in ("Zs", "Zl", "Zp")


def _is_punctuation(character):
    """Returns whether BERT counts a character as punctuation: all ASCII marks, and Unicode's categories P*."""
    ascii_mark = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return ascii_mark or unicodedata.category(character).startswith("P")


def _is_chinese(code):
    return any(first <= code <= last for first, last in _CHINESE)


_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
