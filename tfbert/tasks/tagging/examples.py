"""Tagged sentences, tokenised once: windows, and the words that are answered in each."""

import collections
import copy
import hashlib
import math

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.examples import (
    TokenizedExamples,
    checked_examples,
    map_texts,
    next_chunk,
    objects,
    padded,
    part_numbers,
    starts_of,
)
from tfbert.data.words import words_in
from tfbert.models.tokenizers.word_tokens import word_function


class TaggedExamples(TokenizedExamples):
    """Windows of sentences as examples; each word is answered in one window, at its first token.

    A sentence that is too long for one window has several, which overlap by half; a word belongs to the window where it
    has most context (`windows_with_context`). In a batch, labels and weights are those of words, [T].

    A word without tokens, such as a lone variation selector, is not answered; its outputs are those of a model that is
    certain of the first label.

    Attributes, besides those of TokenizedExamples, whose examples are the windows:
        labels: object [rows] of np.int32 [words]. The tags of each sentence; None without tags.
        numbers: np.int64 [rows]. The place of each among the rows that were tokenised, from 0.
        lengths: np.int64 [rows]. Tokens of each sentence, [CLS] and [SEP] included.
    """

    def __init__(self, rows, tokenizer, max_seq_length, encode_tags=None):
        """Tokenises sentences as they are read.

        Args:
            rows: iterable of dict with `words`, or `text` to be split, and `label` where tags are needed.
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window.
            encode_tags: callable (list of tags, where) -> np.int32 [words]; None: no tags.
        """
        rows = checked_examples(rows, encode_tags is not None)
        columns, sizes, tags = collections.defaultdict(list), collections.deque(), []

        def texts():
            while chunk := next_chunk(rows, lambda row: len(row["text"])):
                words = [words_in(row)[0] for row in chunk]
                if encode_tags:
                    tags.extend(encode_tags(row["label"], row["where"]) for row in chunk)
                sizes.append([len(each) for each in words])
                yield np.array([tokenizer.encoded(word) for each in words for word in each], object)

        def windows():
            for tokens, lengths in map_texts(texts, *word_function(tokenizer)):
                yield _windows_of(tokens, lengths, sizes.popleft(), tokenizer, max_seq_length, columns)
            if not columns:
                raise InputError("There are no examples; at least one is needed.")

        super().__init__(windows(), lambda: None)
        kept = {name: np.concatenate(parts) for name, parts in columns.items()}
        self._answered, self._row_words, self._row_windows = kept["answered"], kept["words"], kept["windows"]
        self._keep_words(starts_of(kept["window_words"]), kept["window_words"])
        self.lengths, self.numbers = kept["lengths"], np.arange(len(self._row_words))
        flat = np.concatenate(tags) if tags else np.zeros(len(self._answered), np.int32)
        digest = hashlib.sha256(self.fingerprint.encode() + kept["places"].tobytes() + flat.tobytes())
        self.fingerprint, self.labels = digest.hexdigest(), objects(tags) if encode_tags else None
        with tf.device("CPU"):
            self._places = tf.constant(kept["places"], tf.int32)
            self._tags = tf.constant(flat[self._answered], tf.int32)

    @property
    def rows(self):
        """The number of sentences: int."""
        return len(self.numbers)

    def _keep_words(self, starts, counts):
        """Stores where the words of each window begin among all that are answered, and how many they are."""
        self._word_starts, self._word_counts = starts, counts
        with tf.device("CPU"):
            self._words = tf.constant(starts, tf.int64), tf.constant(starts + counts, tf.int64)

    def subset(self, indices):
        """Returns some of the rows, by number: int [n] -> TaggedExamples, which shares the tokens."""
        indices = np.asarray(indices)
        windows = part_numbers(self._row_windows, indices)
        whole = copy.copy(self)
        whole.labels, whole.numbers = None, np.arange(self.size)
        chosen = TokenizedExamples.subset(whole, windows)
        chosen._keep_words(self._word_starts[windows], self._word_counts[windows])
        chosen._answered = self._answered[part_numbers(self._row_words, indices)]
        for name in ("_row_words", "_row_windows", "numbers", "lengths"):
            setattr(chosen, name, getattr(self, name)[indices])
        chosen.labels = None if self.labels is None else self.labels[indices]
        return chosen

    def labelled(self, features, indices, slots, static=False):
        """Completes a batch: adds `target_at` int32 [T], where words are answered; labels and weights are [T], too."""
        words = tf.ragged.range(*(tf.gather(limits, indices) for limits in self._words))
        window = tf.gather(features["window_start"], tf.cast(words.value_rowids(), tf.int32))
        count = tf.size(words.values)
        most = None
        if static:
            most = min(slots * int(self._word_counts.max()), math.prod(features["token_ids"].shape))
            most = max(most, 1)
        else:  # at least one slot, as a batch may have no words
            count = tf.maximum(count, 1)

        def filled(values):
            return padded(values, most) if static else tf.pad(values, [[0, count - tf.size(values)]])

        features = features | {"target_at": filled(window + tf.gather(self._places, words.values))}
        return features, filled(tf.gather(self._tags, words.values)), filled(tf.ones([tf.size(words.values)]))

    def by_row(self, values):
        """Returns values of each window added up by row: [size] -> [rows]."""
        return np.add.reduceat(values, starts_of(self._row_windows))

    def of_rows(self, outputs):
        """Returns the outputs of words by sentence: float32 [T, labels] -> object [rows] of float32 [words, labels]."""
        every = np.full((len(self._answered), outputs.shape[1]), -np.inf, np.float32)
        every[:, 0] = 0.0
        every[self._answered] = outputs
        return objects(np.split(every, np.cumsum(self._row_words)[:-1]))


def windows_with_context(size, places, room):
    """Returns where the windows of a sentence start, and which of them answers each word.

    That is the window in which the smaller of the numbers of tokens to the left and to the right of the word is
    largest; the first of several.

    Args:
        size: int. Tokens of the sentence.
        places: int [words]. The first token of each word.
        room: int. Tokens of a window.

    Returns:
        (int [windows], int [words]).

    Source: google-research/bert `run_squad.py`, `_check_is_max_context`. Deviations: no bonus for longer windows, as
    all have the same length: the last one ends with the sentence instead of beginning a stride after the one before.

    Example:
        >>> starts, owners = windows_with_context(10, np.arange(10), 6)
        >>> starts.tolist(), owners.tolist()
        ([0, 3, 4], [0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
    """
    starts = np.array([*range(0, max(size - room, 0), max(room // 2, 1)), max(size - room, 0)])
    left = places[:, np.newaxis] - starts
    return starts, np.minimum(left, room - 1 - left).argmax(axis=1)


def _windows_of(tokens, lengths, words, tokenizer, max_seq_length, columns):
    """Returns the windows of a chunk as TokenizedExamples stores them.

    Args:
        tokens: int32 [total]. Those of all words.
        lengths: int64 [n]. Tokens of each word.
        words: list of int. Words of each sentence.
        tokenizer: BertTokenizer.
        max_seq_length: int.
        columns: dict of lists, to which is appended what is known of the words.
    """
    room, first, begin, windows = max_seq_length - 2, 0, 0, []
    starts = starts_of(lengths)
    for count in words:
        own = slice(first, first + count)
        size = int(lengths[own].sum())
        places = (starts[own] - begin)[lengths[own] > 0]
        window_starts, owners = windows_with_context(size, places, room)
        for number, start in enumerate(window_starts):
            inside = tokens[begin + start : begin + min(start + room, size)]
            windows.append([[tokenizer.cls_id], inside, [tokenizer.sep_id]])
            columns["places"].append(places[owners == number] - start + 1)
        columns["window_words"].append(np.bincount(owners, minlength=len(window_starts)))
        columns["windows"].append([len(window_starts)])
        columns["lengths"].append([size + 2])
        first, begin = first + count, begin + size
    columns["answered"].append(lengths > 0)
    columns["words"].append(words)
    sizes = np.array([len(window[1]) + 2 for window in windows], np.int32)
    flat = np.concatenate([part for window in windows for part in window]).astype(np.int32)
    return flat, sizes, sizes, np.ones_like(sizes), np.zeros_like(sizes), sizes
