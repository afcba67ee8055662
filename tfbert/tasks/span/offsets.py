"""Where the tokens of a text are in it: true character offsets, through lower-casing and the removal of accents."""

import unicodedata

import numpy as np


def token_offsets(text, spans, tokens, counts, tokenizer):
    """Returns the place of each token of a text, in characters: int32 [tokens, 2], first and one after the last.

    The tokens of a word share its characters by their lengths in its normalised form. Where that is not possible, as
    for [UNK], each has the place of the whole word.

    Args:
        text: str.
        spans: list of (start, end). Its words.
        tokens: int [tokens]. Those of all words.
        counts: int [words]. How many each word has.
        tokenizer: BertTokenizer.
    """
    found, first = np.zeros((len(tokens), 2), np.int32), 0
    for (start, end), count in zip(spans, counts):
        if count == 1:
            found[first] = start, end
        elif count:
            found[first : first + count] = _within(text[start:end], tokens[first : first + count], tokenizer)
            found[first : first + count] += start
        first += count
    return found


def _within(word, tokens, tokenizer):
    sizes = [len(tokenizer.vocabulary[token].removeprefix("##")) for token in tokens]
    owners = [place for place, character in enumerate(word) for _ in _normal(character, tokenizer)]
    if sum(sizes) != len(owners):
        return [(0, len(word))] * len(tokens)
    ends = np.cumsum(sizes)
    # Marks that vanish belong to the letter before them.
    last = [(owners[end] if end < len(owners) else len(word)) for end in ends]
    return [(owners[end - size], max(limit, owners[end - 1] + 1)) for size, end, limit in zip(sizes, ends, last)]


def _normal(character, tokenizer):
    """Returns a character as the vocabulary has it: str, perhaps empty."""
    if unicodedata.category(character).startswith("C") and character not in "\t\n\r":
        return ""
    character = character.lower() if tokenizer.lowercase else character
    if tokenizer.lowercase if tokenizer.strip_accents is None else tokenizer.strip_accents:
        decomposed = unicodedata.normalize("NFD", character)
        return "".join(part for part in decomposed if unicodedata.category(part) != "Mn")
    return character
