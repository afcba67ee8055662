"""Masked words: which tokens of a window are hidden, and what stands in their place."""

import dataclasses
import logging

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.extras import install_command
from tfbert.data.augmentation import HAN
from tfbert.data.hosts import JIEBA
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES

# Of the chosen tokens: hidden behind [MASK], left as they are; the rest becomes a random token.
_HIDDEN, _KEPT = 0.8, 0.1
# Of its tokens, in a Chinese vocabulary.
_CHINESE_SHARE = 0.1


@dataclasses.dataclass(frozen=True)
class Masking:
    """How tokens are chosen for prediction.

    Attributes:
        share: float. The share of a window's tokens, special ones counted, that are to be predicted.
        most: int. The most predictions of a window.
        whole_words: bool. All tokens of a word together: a token that begins with "##" belongs to the one before it,
            and a Chinese character to the word that jieba finds.
        longest_ngram: int. Up to so many neighbouring words are chosen together.
        dynamic: bool. New choices every epoch, or the same.
    """

    share: float = 0.15
    most: int = 20
    whole_words: bool = False
    longest_ngram: int = 1
    dynamic: bool = True


class WordMasker:
    """Masks windows, as TensorFlow operations: a pure function of the seed, the epoch and the example.

    Words are taken in random order while the number of predictions allows; one that does not fit is passed over. Of the
    tokens so chosen 80 % become [MASK], 10 % stay, 10 % become a random token. N-grams of n words have probability
    proportional to 1 / n, never cover two segments, and are shortened where no more predictions are left.

    Source: Devlin et al. 2018 (1810.04805), appendix A.1; google-research/bert `create_pretraining_data.py`,
    `create_masked_lm_predictions`; Liu et al. 2019 (1907.11692), section 4.1, for new choices every epoch; Lan et al.
    2019 (1909.11942), section 3.1 and google-research/albert, for n-grams; Cui et al. 2019 (1906.08101), section 2.2,
    for whole Chinese words. Deviations: a random token is never a special one; Chinese words are found by jieba, where
    Cui et al. take LTP, and among the tokens of a window: one that its border cuts counts as what is left of it.
    """

    def __init__(self, tokenizer, length, masking=Masking(), seed=0):
        """Prepares the tables of a vocabulary.

        Args:
            tokenizer: BertTokenizer.
            length: int. Maximum number of tokens of a window.
            masking: Masking.
            seed: int.

        Raises:
            InputError: whole words are wanted of a Chinese vocabulary, and jieba is not installed.
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
        """What masking needs of this process: list of str, of `tfbert.data.hosts`."""
        return [JIEBA] if self._chinese else []

    def wanted(self, lengths):
        """Returns how many predictions windows of some lengths should have: int [n] -> int32 [n]."""
        count = tf.cast(tf.round(tf.cast(lengths, tf.float64) * self.masking.share), tf.int32)
        return tf.clip_by_value(count, 1, self.masking.most)

    def __call__(self, windows, indices, epoch):
        """Masks windows.

        Args:
            windows: RaggedTensor int32 [n, (tokens)], special tokens included.
            indices: int64 [n]. The number of each example.
            epoch: int64 scalar.

        Returns:
            (windows, positions, ids, used): the windows with their masks; int32 [n, most], the positions of the tokens
            to predict, in order, 0 where there are fewer; int32 [n, most], what stood there; bool [n, most], which are
            not filling.
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
        """Returns a batch with its predictions: (features, what each of its windows' predictions counts in the loss).

        Args:
            features: dict, the batch's.
            labels: int32 [n]. Whether the second segment of each window follows the first.
            predictions: (positions, ids, used), as masking the windows has returned them.
            lengths: int [m]. Of all windows of the batch, over all devices.
        """
        features = features | prediction_features(features["window_start"], labels, *predictions)
        return features, tf.fill(tf.shape(labels), self.prediction_weight(lengths))

    def prediction_weight(self, lengths):
        """Returns what a prediction counts in its example's loss, so that a batch's mean is that over all predictions.

        It is the number of examples over that of the predictions wanted, which depends on nothing but the lengths:
        where whole words leave a place open, the mean is lower by so much.

        Args:
            lengths: int [n]. Of all windows of the batch, over all devices.

        Returns:
            float32 scalar.
        """
        wanted = tf.reduce_sum(self.wanted(lengths))
        return tf.cast(tf.size(lengths), tf.float32) / tf.cast(tf.maximum(wanted, 1), tf.float32)

    def _draws(self, indices, epoch):
        """Returns four random numbers for each place of each window: float32 [n, 4, length] in [0, 1)."""
        if not self.masking.dynamic:
            epoch = tf.zeros_like(epoch)
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self._seed, 0], tf.int64), epoch)
        # As `stateless_fold_in` does, but for all examples at once.
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
            order, ngram: float32 [n, length]. Random numbers, of which a word takes those at its first token.
            wanted: int32 [n]. How many predictions there may be.
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
    """The Chinese words among tokens, each of which is a character."""

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
            self._cut = list  # some characters in a text of another language
        else:
            jieba.setLogLevel(logging.WARNING)
            self._cut = jieba.lcut

    def continues(self, pieces):
        """Returns which tokens go on with a Chinese word: int32 [n, length] -> bool [n, length]."""
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
    """Returns what a batch's features say of its predictions, in slots as many as windows.

    Args:
        window_start: int32 [W]. As in `tfbert.data.rows`; a window is an example.
        next_sentence: int32 [n], n at most W. Labels of the windows.
        positions, ids, used: [n, most]. What WordMasker returned.

    Returns:
        dict: `target_at` int32 [W, most], flat indices (row * S + column); `targets` int32 [W, most], what stood
        there; `target_used` float32 [W, most], 1 or 0 for filling; `next_sentence` int32 [W].
    """
    slots, most = window_start.shape[0], positions.shape[1]
    spare = tf.shape(window_start)[0] - tf.shape(positions)[0]

    def filled(values):
        return tf.ensure_shape(tf.pad(values, [[0, spare], [0, 0]]), [slots, most])

    return {
        "target_at": filled(positions) + window_start[:, tf.newaxis],
        "targets": filled(ids),
        "target_used": filled(tf.cast(used, tf.float32)),
        "next_sentence": tf.ensure_shape(tf.pad(next_sentence, [[0, spare]]), [slots]),
    }


def _count(flags):
    return tf.reduce_sum(tf.cast(flags, tf.int32), axis=1)
