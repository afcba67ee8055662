"""Segments of raw text for pre-training: next-sentence pairs, or single segments that fill a window."""

import hashlib
import itertools

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.examples import Examples
from tfbert.data.number_column import NumberColumn
from tfbert.data.windows import make_windows

NEXT, RANDOM = 0, 1
_CHUNK = 2**14
# What is stored of a window: first token and length of both segments; the label; the number of lost tokens.
_LABEL, _LOST, _FIELDS = 4, 5, 6


class SegmentExamples(Examples):
    """Windows made from documents, with random access by number inside the TensorFlow graph.

    Attributes:
        size: int. Number of windows.
        most_windows: 1, as an example is one window.
        lost_pieces: int. Number of tokens lost by truncating pairs.
        cut_share: float. Fraction of the windows that lost tokens.
        fingerprint: str. A hash of all windows and labels, in order.
        next_sentence: bool. Whether there are second segments.
    """

    most_windows = 1

    def __init__(self, sentences, tokenizer, max_seq_length, next_sentence=True, short_share=0.1, seed=0):
        """Computes where each window begins and ends; see `next_sentence_pairs` and `filled_segments`.

        Args:
            sentences: Sentences.
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window, special tokens included.
            next_sentence: bool. Pairs, or single segments.
            short_share: float. Fraction of the windows that are shorter.
            seed: int.

        Raises:
            InputError: pairs are requested of a single document.
        """
        self.next_sentence = next_sentence
        self._pieces, self._max_seq_length, self._tokenizer = sentences.pieces, max_seq_length, tokenizer
        self._special = 3 if next_sentence else 2
        make = next_sentence_pairs if next_sentence else filled_segments
        # Python reads single numbers faster from a memoryview than from NumPy.
        starts, bounds = (memoryview(column.view()) for column in (sentences.starts, sentences.bounds))
        self._windows, self.lost_pieces, cut = NumberColumn(np.int64), 0, 0
        for windows in make(starts, bounds, max_seq_length - self._special, short_share, seed):
            self._windows.extend(windows)
            self.lost_pieces += int(windows[:, _LOST].sum())
            cut += np.count_nonzero(windows[:, _LOST])
        self._windows.close()
        self.size = self._windows.size // _FIELDS
        if not self.size:
            raise InputError("There is no text to train on: no document has a word.")
        self.cut_share = cut / self.size
        digest = hashlib.sha256(sentences.fingerprint.encode() + self._windows.digest.digest())
        self.fingerprint = digest.hexdigest()

    @property
    def needs_here(self):
        """What reading windows requires of this process: list of str, see `tfbert.data.hosts`."""
        return self._pieces.needs_here or self._windows.needs_here

    @property
    def spans(self):
        """First token (in all documents) and length of both segments, np.int64 [size, 2, 2]."""
        return self._windows.view().reshape(-1, _FIELDS)[:, :_LABEL].reshape(-1, 2, 2)

    @property
    def labels(self):
        """Whether the second segment follows the first (0) or is from another document (1), np.int32 [size]."""
        return self._windows.view()[_LABEL::_FIELDS].astype(np.int32)

    @property
    def window_lengths(self):
        """Number of tokens of each window, special ones included, np.int32 [size]."""
        return (self.spans[:, :, 1].sum(axis=1) + self._special).astype(np.int32)

    def windows(self, indices):
        """Returns the windows of some examples, one each: what `TokenizedExamples.windows` returns."""
        fields = self._fields(indices)
        first = self._pieces.stretches(fields[:, 0], fields[:, 1])
        second = self._pieces.stretches(fields[:, 2], fields[:, 3]) if self.next_sentence else None
        ids = self._tokenizer.cls_id, self._tokenizer.sep_id
        made = make_windows(first, second, self._max_seq_length, *ids)
        return made.pieces, made.first_lengths, made.counts

    def labels_of(self, indices):
        """Returns the labels of some examples: int64 [n] -> int32 [n]."""
        return tf.cast(self._fields(indices)[:, _LABEL], tf.int32)

    def lengths_of(self, indices):
        """Returns the number of tokens of the windows of some examples: int64 [n] -> int32 [n]."""
        fields = self._fields(indices)
        return tf.cast(fields[:, 1] + fields[:, 3] + self._special, tf.int32)

    def piece_counts(self):
        """Returns how often each maskable token occurs in the documents: np.int64 [vocabulary]."""
        size, pieces = len(self._tokenizer.vocabulary), self._pieces.view()
        counts = np.zeros(size, np.int64)
        for first in range(0, len(pieces), 2**20):
            counts += np.bincount(pieces[first : first + 2**20], minlength=size)
        counts[self._tokenizer.unknown_id] = 0
        return counts

    def _fields(self, indices):
        fields = self._windows.stretches(indices * _FIELDS, tf.fill(tf.shape(indices), tf.constant(_FIELDS, tf.int64)))
        return tf.reshape(fields.flat_values, [-1, _FIELDS])


def next_sentence_pairs(starts, bounds, room, short_share, seed):
    """Yields segment pairs, half with the text that follows and half with text of another document.

    Sentences of a document are taken until they fill a window; a random number of them is the first segment. The second
    segment is the rest; or, with probability 1/2 or if there is no rest, sentences of another document from a random
    start, in which case the rest begins the next window. Pairs that are too long lose tokens of the longer segment, at
    random from either end.

    Source: google-research/bert `create_pretraining_data.py`, `create_instances_from_document`. Deviations: the target
    length is drawn for each window instead of once per document, so that a tenth of the windows of long documents is
    short, too; the other document is always a different one (theirs may be the same after ten draws).

    Args:
        starts, bounds: sequence of int. Those of Sentences.
        room: int. Maximum number of tokens of a window, without special ones.
        short_share: float. Fraction of the windows whose target length is drawn uniformly from 2 on.
        seed: int.

    Yields:
        np.int64 [n, 6], for some windows: first token and length of the first and of the second segment, the label, the
        number of lost tokens.

    Raises:
        InputError: there is only one document.
    """
    if len(bounds) < 3:
        raise InputError(
            f"Next-sentence pairs need at least two documents. Received: {len(bounds) - 1}. Blank lines separate the "
            "documents of a .txt; --nonext_sentence trains on masked words only."
        )
    rng, cuts = np.random.default_rng(seed).spawn(2)
    for pairs in _chunks(_pairs(starts, bounds, room, short_share, rng)):
        spans, lost = _truncate_pairs(pairs[:, :4].reshape(-1, 2, 2), room, cuts)
        yield np.column_stack([spans.reshape(-1, 4), pairs[:, 4], lost])


def _pairs(starts, bounds, room, short_share, rng):
    """Yields pairs before truncation: (first token, length, first token of the second segment, length, label)."""
    for document in range(len(bounds) - 1):
        sentence, limit = bounds[document], bounds[document + 1]
        while sentence < limit:
            target = _target(rng, room, short_share)
            end = _filled(starts, sentence, limit, target)
            middle = int(rng.integers(sentence + 1, end)) if end - sentence > 1 else end
            first, length = starts[sentence], starts[middle] - starts[sentence]
            if middle == end or rng.random() < 0.5:
                other = int(rng.integers(len(bounds) - 2))
                other += other >= document
                begin = int(rng.integers(bounds[other], bounds[other + 1]))
                stop = _filled(starts, begin, bounds[other + 1], max(1, target - length))
                label, sentence = RANDOM, middle
            else:
                begin, stop, label, sentence = middle, end, NEXT, end
            yield first, length, starts[begin], starts[stop] - starts[begin], label


def filled_segments(starts, bounds, room, short_share, seed):
    """Splits each document into segments that fill a window, also within sentences; no token is lost.

    Source: Liu et al. 2019 (1907.11692), section 4.2, DOC-SENTENCES. Deviation: the batch size is not increased for the
    short windows at the end of documents; rows are packed instead.

    Args and result: those of `next_sentence_pairs`, with empty second segments.
    """
    rng = np.random.default_rng(seed)
    for stretches in _chunks(_stretches(starts, bounds, room, short_share, rng)):
        yield np.pad(stretches, [(0, 0), (0, _FIELDS - 2)])


def _stretches(starts, bounds, room, short_share, rng):
    """Yields (first token, length)."""
    for document in range(len(bounds) - 1):
        piece, limit = starts[bounds[document]], starts[bounds[document + 1]]
        while piece < limit:
            length = min(_target(rng, room, short_share), limit - piece)
            yield piece, length
            piece += length


def _chunks(rows):
    """Yields an iterator's rows of int in arrays: np.int64 [n, ...]."""
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield np.array(chunk, np.int64)


def _target(rng, room, short_share):
    return int(rng.integers(2, room + 1)) if rng.random() < short_share else room


def _filled(starts, sentence, limit, target):
    """Returns the sentence after those that hold `target` tokens, at most `limit`: int."""
    end = sentence + 1
    while end < limit and starts[end] - starts[sentence] < target:
        end += 1
    return end


def _truncate_pairs(spans, room, rng):
    """Removes tokens of the longer segment, the second at a tie, until both fit; each from a random end."""
    first, second = spans[:, 0, 1], spans[:, 1, 1]
    kept = np.stack(
        [
            np.minimum(first, np.maximum(room - second, (room + 1) // 2)),
            np.minimum(second, np.maximum(room - first, room // 2)),
        ],
        axis=1,
    )
    removed = spans[:, :, 1] - kept
    starts = spans[:, :, 0] + rng.binomial(removed, 0.5)
    return np.stack([starts, kept], axis=2), removed.sum(axis=1).astype(np.int32)
