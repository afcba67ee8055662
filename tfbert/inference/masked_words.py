"""Data augmentation by a masked-word model that replaces some words."""

import re

import numpy as np

from tfbert.core.errors import InputError
from tfbert.data.augmentation import CJK
from tfbert.inference.saved_model import load_model
from tfbert.tasks.masked_lm.fill_mask import fill_windows, fills_masks, masked_windows

# A word without surrounding punctuation.
_BARE_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+(?:'[^\W{CJK}]+)?")

_GUESSES = 5


class MaskedWords:
    """An augmentation that replaces words by predictions of a masked-word model.

    Each word is masked with some probability, but at least one; it is replaced by another whole word among the model's
    five best predictions, drawn by their probabilities. Words beyond the model's maximum length are kept.

    Source: Kobayashi 2018 (1805.06201), contextual augmentation. Deviation: without its condition on the label.
    """

    def __init__(self, folder):
        """Loads a model saved by --task=masked_lm.

        Args:
            folder: str.

        Raises:
            InputError: there is no such model.
        """
        self._model = load_model(folder)
        if not fills_masks(self._model):
            raise InputError(f"--augment=masked_words:{folder} needs a model saved by --task=masked_lm.")

    def __call__(self, text, rng, probability):
        """Returns a modified text; args as for `delete_words`."""
        return self.many([text], [rng], probability)[0]

    def many(self, texts, rngs, probability):
        """Returns modified texts, computed in one batch, each with its own generator."""
        hidden = [_hidden(text, rng, probability) for text, rng in zip(texts, rngs)]
        masked = [_replaced(text, words, ["[MASK]"] * len(words)) for text, words in zip(texts, hidden)]
        windows = masked_windows(self._model, masked)
        seen = [number for number, window in enumerate(windows) if self._model.tokenizer.mask_id in window]
        changed = list(texts)
        for number, guesses in zip(seen, fill_windows(self._model, [windows[number] for number in seen], _GUESSES)):
            text, rng = texts[number], rngs[number]
            words = hidden[number][: len(guesses)]
            others = [_drawn(text[slice(*word)], found, rng) for word, found in zip(words, guesses)]
            changed[number] = _replaced(text, words, others)
        return changed


def _hidden(text, rng, probability):
    """Returns the words of a text to replace, (start, end) each: at least one if there is any."""
    words = [word.span() for word in _BARE_WORD.finditer(text)]
    hidden = rng.random(len(words)) < probability
    if words and not hidden.any():
        hidden[rng.integers(len(words))] = True
    return [word for word, hide in zip(words, hidden) if hide]


def _drawn(word, guesses, rng):
    """Returns a predicted word other than this one, drawn by probability; the word itself if there is none."""
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
