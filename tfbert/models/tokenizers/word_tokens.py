"""The tokens of many words, or of short texts, at once."""

import functools

import numpy as np
import tensorflow as tf


def tokens_of_words(tokenizer, words):
    """Returns the tokens of words one after another, and how many each has: int32 [tokens], int64 [words].

    Args:
        tokenizer: BertTokenizer.
        words: list of str.
    """
    if not words:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    function, _ = word_function(tokenizer)
    found = function(tf.constant([tokenizer.encoded(word) for word in words]))
    return tuple(part.numpy() for part in found)


@functools.lru_cache(maxsize=8)  # traced once for train, dev and test
def word_function(tokenizer):
    """Returns a function (string [n], words) -> (all their tokens, how many each has), and its signature."""
    signature = tf.TensorSpec([None], tf.string)

    def tokens(words):
        found = tokenizer(words)
        return found.flat_values, found.row_lengths()

    return tf.function(tokens, input_signature=[signature], autograph=False), signature
