"""Masking: which tokens of a window are to be predicted, and what replaces them."""

import dataclasses
import logging

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.extras import install_command
from tfbert.data.augmentation import HAN
from tfbert.data.hosts import JIEBA
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES

# Fractions of the chosen tokens: replaced by [MASK], left unchanged; the rest becomes a random token.
_HIDDEN, _KEPT = 0.8, 0.1
# Fraction of its tokens, in a Chinese vocabulary.
_CHINESE_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Masking:
    """How tokens are chosen for prediction.

    Attributes:
        share: float. Fraction of the tokens of a window, special ones included, to predict.
        most: int. Maximum number of predictions per window.
        whole_words: bool. Whether all tokens of a word are chosen together: a token that begins with "##" belongs to
            the one before it, and a Chinese character to the word found by jieba.
        longest_ngram: int. Maximum number of neighbouring words chosen together.
        dynamic: bool. Whether each epoch has new masks, or the same.
    """

    share: float = 0.15
    most: int = 20
    whole_words: bool = False
    longest_ngram: int = 1
    dynamic: bool = True


class WordMasker:
    """Masks windows, as TensorFlow operations: a pure function of the seed, the epoch and the example.

    Words are chosen in random order until the number of predictions is reached; a word that does not fit is skipped. Of
    the chosen tokens, 80 % become [MASK], 10 % stay, 10 % become a random token. N-grams of n words have probability
    proportional to 1 / n, never span two segments, and are shortened if too few predictions are left.

    Source: Devlin et al. 2018 (1810.04805), appendix A.1; google-research/bert `create_pretraining_data.py`,
    `create_masked_lm_predictions`; Liu et al. 2019 (1907.11692), section 4.1, for dynamic masking; Lan et al.
    2019 (1909.11942), section 3.1 and google-research/albert, for n-grams; Cui et al. 2019 (1906.08101), section 2.2,
    for whole Chinese words. Deviations: a random token is never a special one; Chinese words are found by jieba instead
    of LTP, and within a window, so a word cut by the window's edge counts as what is left of it.
    """

    def __init__(self, tokenizer, length, masking=Masking(), seed=0):
        """Prepares the tables of a vocabulary.

        Args:
            tokenizer: BertTokenizer.
            length: int. Maximum number of tokens of a window.
            masking: Masking.
            seed: int.

        Raises:
            InputError: whole words are requested with a Chinese vocabulary, but jieba is not installed.
        """
        self.masking, self._length, self._seed = masking, length, seed
        self._mask_id = tokenizer.mask_id
        vocabulary = tokenizer.vocabulary
        self._special = np.isin(vocabulary, SPECIAL_PIECES)
        self._continues = np.char.startswith(vocabulary, "##") & masking.whole_words
        self._chinese = _ChineseWords(vocabulary) if masking.whole_words else None
        self._replacements = np.flatnonzero(~self._special).astype(np.int32)
        odds = 1 / np.arange(1, masking.longest_ngram + 1)
        self._ngram_limits = (np.cumsum(odds) / odds.sum())[:-1].astype(np.float32)

    @property
    def needs_here(self):
        """What masking requires of this process: list of str, see `tfbert.data.hosts`."""
        return [JIEBA] if self._chinese else []

    def wanted(self, lengths):
        """Returns the number of predictions for windows of given lengths: int [n] -> int32 [n]."""
        count = tf.cast(tf.round(tf.cast(lengths, tf.float64) * self.masking.share), tf.int32)
        return tf.clip_by_value(count, 1, self.masking.most)

    def __call__(self, windows, indices, epoch):
        """Masks windows.

        Args:
            windows: RaggedTensor int32 [n, (tokens)], special tokens included.
            indices: int64 [n]. The number of each example.
            epoch: int64 scalar.

        Returns:
            (windows, positions, ids, used): the masked windows; int32 [n, most], the positions of the tokens to
            predict, in order, padded with 0; int32 [n, most], the original tokens; bool [n, most], False for padding.
        """
        pieces = windows.to_tensor(default_value=0, shape=[None, self._length])
        inside = tf.sequence_mask(windows.row_lengths(), self._length)
        order, ngram, kind, which = tf.unstack(self._draws(indices, epoch), axis=1)
        free = inside & ~tf.gather(self._special, pieces)
        chosen = self._choose(pieces, free, order, ngram, self.wanted(windows.row_lengths()))
        place = tf.range(self._length)
        positions = tf.sort(tf.where(chosen, place, self._length), axis=1)[:, : self.masking.most]
        positions = tf.pad(
            positions, [[0, 0], [0, max(0, self.masking.most - self._length)]], constant_values=self._length
        )
        used = positions < self._length
        positions = tf.where(used, positions, 0)
        ids = tf.where(used, tf.gather(pieces, positions, batch_dims=1), 0)
        count = len(self._replacements)
        random = tf.gather(self._replacements, tf.minimum(tf.cast(which * count, tf.int32), count - 1))
        new = tf.where(kind < _HIDDEN, self._mask_id, tf.where(kind < _HIDDEN + _KEPT, pieces, random))
        masked = windows.with_flat_values(tf.boolean_mask(tf.where(chosen, new, pieces), inside))
        return masked, positions, ids, used

    def add(self, features, labels, predictions, lengths):
        """Returns a batch with its predictions: (features, weight of a prediction of each window in the loss).

        Args:
            features: dict, the batch's.
            labels: int32 [W]. Whether the second segment of each window follows the first; 0 for padding.
            predictions: (positions, ids, used), as returned by masking the windows.
            lengths: int [m]. Of all windows of the batch, over all devices.
        """
        features = features | prediction_features(features["window_start"], labels, *predictions)
        return features, tf.fill(tf.shape(labels), self.prediction_weight(lengths))

    def prediction_weight(self, lengths):
        """Returns the weight of a prediction in its example's loss, so that a batch's loss is their mean.

        It is the number of examples divided by the number of intended predictions, which depends only on the lengths;
        if whole words leave slots unused, the mean is lower accordingly.

        Args:
            lengths: int [n]. Of all windows of the batch, over all devices.

        Returns:
            float32 scalar.
        """
        wanted = tf.reduce_sum(self.wanted(lengths))
        return tf.cast(tf.size(lengths), tf.float32) / tf.cast(tf.maximum(wanted, 1), tf.float32)

    def _draws(self, indices, epoch):
        """Returns four random numbers for each position of each window: float32 [n, 4, length] in [0, 1)."""
        if not self.masking.dynamic:
            epoch = tf.zeros_like(epoch)
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self._seed, 0], tf.int64), epoch)
        # Like `stateless_fold_in`, but for all examples at once.
        first = tf.random.stateless_uniform([], seed, minval=None, maxval=None, dtype=tf.int64)
        seeds = tf.stack([tf.fill(tf.shape(indices), first), tf.cast(indices, tf.int64)], axis=1)
        return tf.map_fn(
            lambda seed: tf.random.stateless_uniform([4, self._length], seed, alg="philox"),
            seeds,
            fn_output_signature=tf.TensorSpec([4, self._length], tf.float32),
        )

    def _choose(self, pieces, free, order, ngram, wanted):
        """Chooses words in random order: -> bool [n, length], the tokens to predict.

        Args:
            pieces: int32 [n, length].
            free: bool [n, length]. Tokens that are not special.
            order, ngram: float32 [n, length]. Random numbers; a word uses those at its first token.
            wanted: int32 [n]. Maximum number of predictions.
        """
        after_special = tf.pad(~free, [[0, 0], [1, 0]], constant_values=True)[:, :-1]
        continues = tf.gather(self._continues, pieces)
        if self._chinese:
            continues |= tf.ensure_shape(tf.numpy_function(self._chinese.continues, [pieces], tf.bool), pieces.shape)
        starts = free & (after_special | ~continues)
        word, segment = (tf.cumsum(tf.cast(flags, tf.int32), axis=1) for flags in (starts, ~free))
        longest = 1 + tf.searchsorted(tf.constant(self._ngram_limits), tf.reshape(ngram, [-1]), side="right")
        longest = tf.reshape(longest, tf.shape(ngram))
        words = tf.reduce_sum(tf.cast(starts, tf.int32), axis=1)
        sequence = tf.argsort(tf.where(starts, order, 2.0), axis=1, stable=True)

        def unfinished(rank, chosen, count):
            return tf.reduce_any((count < wanted) & (rank < words))

        def next_word(rank, chosen, count):
            at = sequence[:, rank][:, tf.newaxis]
            first, own, most = (tf.gather(x, at, batch_dims=1) for x in (word, segment, longest))
            same = free & (segment == own) & (word >= first)
            span = tf.zeros_like(free)
            for n in range(1, self.masking.longest_ngram + 1):
                longer = same & (word < first + n)
                fits = (n <= most[:, 0]) & (count + _count(longer) <= wanted)
                span = tf.where(fits[:, tf.newaxis], longer, span)
            taken = tf.reduce_any(span & chosen, axis=1) | (rank >= words)
            span &= ~taken[:, tf.newaxis]
            return rank + 1, chosen | span, count + _count(span)

        return tf.while_loop(unfinished, next_word, (0, tf.zeros_like(free), tf.zeros_like(wanted)))[1]


class _ChineseWords:
    """Finds Chinese words in sequences of tokens, each of which is one character."""

    def __init__(self, vocabulary):
        self._characters = np.array([piece if HAN.fullmatch(piece) else "" for piece in vocabulary])
        self._is_chinese = self._characters != ""
        try:
            import jieba
        except ImportError:
            if self._is_chinese.mean() > _CHINESE_SHARE:
                raise InputError(
                    f"--whole_word_masking needs jieba for a Chinese vocabulary: {install_command('chinese')}."
                ) from None
            self._cut = list  # a few Chinese characters in a text of another language
        else:
            jieba.setLogLevel(logging.WARNING)
            self._cut = jieba.lcut

    def continues(self, pieces):
        """Returns which tokens continue a Chinese word: int32 [n, length] -> bool [n, length]."""
        found = np.zeros(pieces.shape, bool)
        chinese = self._is_chinese[pieces]
        for row in np.flatnonzero(chinese.any(axis=1)):
            edges = np.flatnonzero(np.diff(chinese[row], prepend=False, append=False))
            for begin, end in zip(edges[::2], edges[1::2]):
                for word in self._cut("".join(self._characters[pieces[row, begin:end]])):
                    found[row, begin + 1 : begin + len(word)] = True
                    begin += len(word)
        return found


def prediction_features(window_start, next_sentence, positions, ids, used):
    """Returns the features of a batch that describe its predictions, with one slot per window.

    Args:
        window_start: int32 [W]. As in `tfbert.data.rows`; a window is an example.
        next_sentence: int32 [W]. Labels of the windows.
        positions, ids, used: [n, most], n at most W. What WordMasker returned.

    Returns:
        dict: `target_at` int32 [W, most], flat indices (row * S + column); `targets` int32 [W, most], the original
        tokens; `target_used` float32 [W, most], 1, or 0 for padding; `next_sentence` int32 [W].
    """
    slots, most = window_start.shape[0], positions.shape[1]
    spare = tf.shape(window_start)[0] - tf.shape(positions)[0]

    def filled(values):
        return tf.ensure_shape(tf.pad(values, [[0, spare], [0, 0]]), [slots, most])

    return {
        "target_at": filled(positions) + window_start[:, tf.newaxis],
        "targets": filled(ids),
        "target_used": filled(tf.cast(used, tf.float32)),
        "next_sentence": next_sentence,
    }


def _count(flags):
    return tf.reduce_sum(tf.cast(flags, tf.int32), axis=1)
