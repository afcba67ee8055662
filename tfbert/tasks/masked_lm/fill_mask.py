"""Predicting masked words: for texts from Python, and as samples for the report."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError, WrongType
from tfbert.data.given_texts import given_texts
from tfbert.data.rows import fill_rows, pad_rows
from tfbert.tasks.masked_lm.model import PretrainingModel

_MASK = "[MASK]"
_BATCH = 32
# Tokens shown on either side of a sample's mask.
_SHOWN = 10


def fill_mask(model: PretrainingModel, texts: Iterable[str], top: int = 5) -> list[list[list[dict]]]:
    """Predicts the token behind each [MASK] of some texts.

    Args:
        model: PretrainingModel, from `load_model` or `build_pretraining_model`.
        texts: list of str, each with at least one [MASK]. Texts longer than the model's sequences are truncated.
        top: int. Number of predicted tokens per mask.

    Returns:
        for each text, for each mask, list of dict, the most probable first: `piece` (str) and `probability`.

    Raises:
        InputError: the model has no masked-word head, a text has no mask within the model's length, or `top` exceeds
            the vocabulary.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> model = tfbert.build_pretraining_model(encoder, tfbert.TASKS["masked_lm"]())
        >>> [[guesses]] = tfbert.fill_mask(model, ["The printer is [MASK]."], top=3)
        >>> len(guesses)
        3
    """
    if not fills_masks(model):
        raise InputError("This model has no masked-word head; train one with --task=masked_lm.")
    if top not in range(1, len(model.tokenizer.vocabulary) + 1):
        raise InputError(
            f"top must be a whole number from 1 to {len(model.tokenizer.vocabulary)}, the tokens of the vocabulary. "
            f"Received: {top!r}."
        )
    texts = given_texts(texts)
    if texts and len(texts[0]) > 1:
        raise WrongType("texts must be single texts, each with a [MASK]. Received: pairs of texts.")
    texts = [text for (text,) in texts]
    windows = masked_windows(model, texts)
    for text, window in zip(texts, windows):
        if model.tokenizer.mask_id not in window:
            raise InputError(
                f"The text {text[:60]!r} has no {_MASK} among its first {model.max_seq_length - 2} tokens; each needs "
                "at least one."
            )
    return fill_windows(model, windows, int(top))


def fills_masks(model):
    """Returns whether a model has a masked-word head."""
    return isinstance(model, PretrainingModel)


def masked_windows(model, texts):
    """Returns the token ids of texts, truncated to the model's length, [MASK] being one token: list of list of int."""
    tokenizer = model.tokenizer
    parts = [text.split(_MASK) for text in texts]
    encoded = [tokenizer.encoded(part) for of_text in parts for part in of_text]
    pieces, windows = iter(tokenizer(encoded).to_list() if encoded else []), []
    for of_text in parts:
        ids = [piece for _ in of_text for piece in (*next(pieces), tokenizer.mask_id)]
        windows.append([tokenizer.cls_id, *ids[:-1][: model.max_seq_length - 2], tokenizer.sep_id])
    return windows


def fill_windows(model, windows, top):
    """Predicts the token behind each mask of some windows, batching those of similar length.

    Args:
        model: PretrainingModel.
        windows: list of list of int, from `masked_windows`; each with at least one mask.
        top: int. Number of predicted tokens per mask.

    Returns:
        What `fill_mask` returns.
    """
    order = sorted(range(len(windows)), key=lambda number: len(windows[number]))
    found = {}
    for first in range(0, len(order), _BATCH):
        numbers = order[first : first + _BATCH]
        found |= zip(numbers, _fill(model, [windows[number] for number in numbers], top))
    return [found[number] for number in range(len(windows))]


def sample_predictions(model, examples, count=5):
    """Masks one word in each of some texts and returns the model's predictions: list of dict.

    Args:
        model: PretrainingModel.
        examples: SegmentExamples.
        count: int. Number of texts, evenly spaced over the examples.

    Returns:
        list of dict: `text` (str, the context of the [MASK]), `word` (str, the masked word), `guesses` (as returned by
        `fill_mask`).
    """
    numbers = np.unique(np.linspace(0, examples.size - 1, count).astype(np.int64))
    samples, windows = [], []
    pieces_of, mask_id = model.tokenizer.vocabulary, model.tokenizer.mask_id
    for window in examples.windows(tf.constant(numbers))[0].to_list():
        end = window.index(model.tokenizer.sep_id)
        pieces = [*(pieces_of[piece] for piece in window[: end + 1]), "[SEP]"]
        whole = [
            place
            for place in range(1, end)
            if pieces[place].isalnum() and not pieces[place + 1].startswith("##") and window[place] != mask_id
        ]
        if not whole:
            continue
        place = min(whole, key=lambda place: abs(place - end / 2))
        windows.append([*window[:place], mask_id, *window[place + 1 : end + 1]])
        pieces[place] = _MASK
        shown = pieces[max(1, place - _SHOWN) : min(end, place + _SHOWN + 1)]
        samples.append({"text": " ".join(shown).replace(" ##", ""), "word": pieces_of[window[place]]})
    guesses = _fill(model, windows, 5) if windows else []
    return [sample | {"guesses": of_masks[0]} for sample, of_masks in zip(samples, guesses)]


def _fill(model, windows, top):
    """Returns the guesses for every mask of some windows, lists of int: list of list of list of dict."""
    masks = [[place for place, piece in enumerate(window) if piece == model.tokenizer.mask_id] for window in windows]
    most = max(map(len, masks))
    ragged = tf.ragged.constant(windows, tf.int32)
    lengths = tf.cast(ragged.row_lengths(), tf.int32)
    placement = pad_rows(lengths, tf.reduce_max(lengths), len(windows))
    features = fill_rows(ragged, lengths, tf.ones_like(lengths), placement, len(windows), len(windows))
    places = tf.constant([places + [0] * (most - len(places)) for places in masks])
    logits, _ = model.logits(features | {"target_at": places + features["window_start"][:, tf.newaxis]})
    shares, vocabulary = tf.nn.softmax(tf.cast(logits, tf.float64)), model.tokenizer.vocabulary
    values, pieces = (part.numpy() for part in tf.math.top_k(shares, min(top, len(vocabulary))))
    return [
        [
            [
                {"piece": vocabulary[piece], "probability": round(float(value), 6)}
                for piece, value in zip(pieces[row, mask], values[row, mask])
            ]
            for mask in range(len(places))
        ]
        for row, places in enumerate(masks)
    ]
