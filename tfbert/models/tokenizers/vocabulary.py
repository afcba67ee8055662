"""Learning a WordPiece vocabulary from text."""

import contextlib

import tensorflow as tf
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

from tfbert.core.errors import InputError
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES

_TEXTS_AT_ONCE = 1000


def learn_vocabulary(texts, vocab_size, lowercase=True):
    """Returns the tokens of a vocabulary, special ones first: list of str.

    Args:
        texts: iterable of str, read once, some at a time.
        vocab_size: int. Approximate number of tokens.
        lowercase: bool. Lower-case and strip accents first.

    Raises:
        InputError: reading the texts raised it, or they have no words.

    Source: tensorflow-text's `bert_vocab_from_dataset`, the top-down WordPiece algorithm.
    """
    refused = []

    def read():
        try:
            yield from texts
        except InputError as error:  # tf.data would wrap it in an error of its own with a traceback
            refused.append(error)

    found = tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec([], tf.string))
    pieces = None
    with contextlib.suppress(StopIteration):  # there is no word
        pieces = bert_vocab_from_dataset.bert_vocab_from_dataset(
            found.batch(_TEXTS_AT_ONCE), vocab_size, list(SPECIAL_PIECES), {"lower_case": lowercase}, {}
        )
    if refused:
        raise refused[0]
    if not pieces:
        raise InputError("A vocabulary is learned from words, but these texts have none.")
    return pieces
