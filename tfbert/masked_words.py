"""Changed copies of texts in which a masked-word model has replaced some words."""

import re

import numpy as np

from tfbert.data.augmentation import CJK
from tfbert.errors import InputError
from tfbert.fill_mask import fill_mask
from tfbert.models.pretraining_model import PretrainingModel
from tfbert.models.saved_model import load_model

# A word without the marks around it.
_BARE_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+(?:'[^\W{CJK}]+)?")


def masked_words(folder):
    """Returns an augmentation that replaces words by what a masked-word model says could stand there.

    Each word is hidden with some probability, one at least; in its place comes another whole word of the model's five
    best guesses, drawn by their probabilities. Words beyond the model's longest sequence stay.

    Args:
        folder: str. A model that --task=masked_lm has saved.

    Raises:
        InputError: there is no such model.

    Source: Kobayashi 2018 (1805.06201), contextual augmentation. Deviation: without its condition on the label.
    """
    model = load_model(folder)
    if not isinstance(model, PretrainingModel):
        raise InputError(f"--augment=masked_words:{folder} needs a model that --task=masked_lm has saved.")

    def augment(text, rng, probability):
        words = [word.span() for word in _BARE_WORD.finditer(text)]
        hidden = rng.random(len(words)) < probability
        if words and not hidden.any():
            hidden[rng.integers(len(words))] = True
        words = [word for word, hide in zip(words, hidden) if hide]
        masked = _replaced(text, words, ["[MASK]"] * len(words))
        try:
            guesses = fill_mask(model, [masked])[0]
        except InputError:  # no word, or none where the model can see it
            return text
        words = words[: len(guesses)]
        return _replaced(text, words, [_drawn(text[slice(*w)], found, rng) for w, found in zip(words, guesses)])

    return augment


def _drawn(word, guesses, rng):
    """Returns one of the guesses that is another word, by their probabilities; the word where there is none."""
    others = [guess for guess in guesses if guess["piece"].isalnum() and guess["piece"] != word.lower()]
    odds = np.array([guess["probability"] for guess in others])
    return others[rng.choice(len(others), p=odds / odds.sum())]["piece"] if odds.sum() else word


def _replaced(text, words, by):
    """Returns a text with some of its words, (start, end), replaced."""
    parts, start = [], 0
    for (begin, end), other in zip(words, by):
        parts += [text[start:begin], other]
        start = end
    return "".join([*parts, text[start:]])
