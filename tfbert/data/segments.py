"""Segments of raw text for further pre-training: next-sentence pairs, or stretches that fill a window."""

import array
import hashlib

import numpy as np
import tensorflow as tf

from tfbert.data.windows import make_windows
from tfbert.errors import InputError

NEXT, RANDOM = 0, 1


class SegmentExamples:
    """Windows made of documents, any of which can be had by number inside the TensorFlow graph.

    Attributes:
        size: int. Number of windows.
        labels: np.int32 [size]. Whether the second segment follows the first (0) or is from another document (1).
        window_lengths: np.int32 [size]. Pieces of each window, special ones included.
        window_counts, most_windows: 1 each, as an example has one window.
        lost: np.int32 [size]. Pieces that each pair lost to the longest window.
        cut_share: float. Share of the windows that lost pieces.
        fingerprint: str. A hash of all windows and labels, in order.
        spans: np.int64 [size, 2, 2]. Of both segments: their first piece among those of all documents, their length.
        documents: TokenizedExamples, from `keep_sentences`.
        next_sentence: bool. Whether there are second segments.
    """

    most_windows = 1

    def __init__(self, documents, tokenizer, max_seq_length, next_sentence=True, short_share=0.1, seed=0):
        """Says where each window begins and ends; see `next_sentence_pairs` and `filled_segments`.

        Args:
            documents: TokenizedExamples, from `keep_sentences`.
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window, special pieces included.
            next_sentence: bool. Pairs, or single stretches.
            short_share: float. Share of the windows that are to be shorter.
            seed: int.

        Raises:
            InputError: pairs are wanted of a single document.
        """
        self.documents, self.next_sentence = documents, next_sentence
        self._max_seq_length, self._tokenizer = max_seq_length, tokenizer
        make = next_sentence_pairs if next_sentence else filled_segments
        lengths = documents.window_lengths.astype(np.int64)
        self.spans, self.labels, self.lost = make(lengths, documents.labels, max_seq_length, short_share, seed)
        if not len(self.spans):
            raise InputError("There is no text to train on: no document has a word.")
        self.size, self.cut_share = len(self.spans), float((self.lost > 0).mean())
        self.window_counts = np.ones(self.size, np.int32)
        self.window_lengths = (self.spans[:, :, 1].sum(axis=1) + (3 if next_sentence else 2)).astype(np.int32)
        digest = hashlib.sha256(documents.fingerprint.encode())
        for part in (self.spans, self.labels):
            digest.update(np.ascontiguousarray(part).data)
        self.fingerprint = digest.hexdigest()
        with tf.device("CPU"):
            self._spans, self._labels = tf.constant(self.spans), tf.constant(self.labels)
            self._lengths = tf.constant(self.window_lengths)

    def windows(self, indices):
        """Returns the windows of some examples, one each: what `TokenizedExamples.windows` returns."""
        spans = tf.gather(self._spans, indices)
        first = self.documents.pieces_at(spans[:, 0, 0], spans[:, 0, 1])
        second = self.documents.pieces_at(spans[:, 1, 0], spans[:, 1, 1]) if self.next_sentence else None
        ids = self._tokenizer.cls_id, self._tokenizer.sep_id
        made = make_windows(first, second, self._max_seq_length, *ids)
        return made.pieces, made.first_lengths, made.counts

    def labels_of(self, indices):
        """Returns the labels of some examples: int64 [n] -> int32 [n]."""
        return tf.gather(self._labels, indices)

    def lengths_of(self, indices):
        """Returns how many pieces the windows of some examples have: int64 [n] -> int32 [n]."""
        return tf.gather(self._lengths, indices)

    def piece_counts(self):
        """Returns how often each piece that can be masked occurs in the documents: np.int64 [vocabulary]."""
        size = len(self._tokenizer.vocabulary)
        counts = np.zeros(size, np.int64)
        for first in range(0, self.documents.size, 4096):
            sentences = tf.range(first, min(first + 4096, self.documents.size), dtype=tf.int64)
            pieces = self.documents.windows(sentences)[0].flat_values.numpy()
            counts += np.bincount(pieces, minlength=size)
        counts[self._tokenizer.unknown_id] = 0
        return counts


def next_sentence_pairs(lengths, documents, max_seq_length, short_share, seed):
    """Pairs stretches of sentences, half with what follows and half with a stretch of another document.

    Sentences of a document are taken until they fill a window; a random number of them is the first segment. The second
    one is the rest, or, with probability 1/2 and where there is no rest, sentences of another document from a random
    one on; the rest then begins the next window. What is too long loses pieces of its longer segment, from either end
    at random.

    Source: google-research/bert `create_pretraining_data.py`, `create_instances_from_document`. Deviations: the length
    to be filled is drawn for each window, not once for a document, so that of long documents, too, a tenth of the
    windows is short; the other document is always another one (theirs may be the same after ten draws).

    Args:
        lengths: int64 [sentences]. Pieces of each sentence.
        documents: int [sentences]. The document of each, ascending.
        max_seq_length: int. The longest window, three special pieces included.
        short_share: float. Share of the windows whose length to be filled is drawn uniformly from 2 on.
        seed: int.

    Returns:
        (spans, labels, lost), as the attributes of SegmentExamples.

    Raises:
        InputError: there is but one document.
    """
    starts, bounds = _sentences(lengths, documents)
    if len(bounds) < 3:
        raise InputError(
            f"Next-sentence pairs need two documents at least. Received: {len(bounds) - 1}. Blank lines separate the "
            "documents of a .txt; --nonext_sentence trains on masked words alone."
        )
    rng, room, found = np.random.default_rng(seed), max_seq_length - 3, array.array("q")
    for document in range(len(bounds) - 1):
        sentence, limit = bounds[document], bounds[document + 1]
        while sentence < limit:
            target = _target(rng, room, short_share)
            end = _filled(starts, sentence, limit, target)
            middle = int(rng.integers(sentence + 1, end)) if end - sentence > 1 else end
            first = starts[sentence], starts[middle]
            if middle == end or rng.random() < 0.5:
                other = int(rng.integers(len(bounds) - 2))
                other += other >= document
                begin = int(rng.integers(bounds[other], bounds[other + 1]))
                least = max(1, target - (first[1] - first[0]))
                second = starts[begin], starts[_filled(starts, begin, bounds[other + 1], least)]
                label, end = RANDOM, middle
            else:
                second, label = (starts[middle], starts[end]), NEXT
            found.extend((*first, *second, label))
            sentence = end
    found = np.array(found).reshape(-1, 5)
    spans = np.stack([found[:, 0:4:2], found[:, 1:4:2] - found[:, 0:4:2]], axis=2)
    spans, lost = _truncate_pairs(spans, room, rng)
    return spans, found[:, 4].astype(np.int32), lost


def filled_segments(lengths, documents, max_seq_length, short_share, seed):
    """Cuts each document into stretches that fill a window, sentences being cut where it is full; nothing is lost.

    Source: Liu et al. 2019 (1907.11692), section 4.2, DOC-SENTENCES. Deviation: the batch size is not enlarged for the
    windows at the end of documents; packed rows take their place.

    Args and result: those of `next_sentence_pairs`, with two special pieces and empty second segments.
    """
    starts, bounds = _sentences(lengths, documents)
    rng, room, found = np.random.default_rng(seed), max_seq_length - 2, array.array("q")
    for document in range(len(bounds) - 1):
        piece, limit = starts[bounds[document]], starts[bounds[document + 1]]
        while piece < limit:
            length = min(_target(rng, room, short_share), limit - piece)
            found.extend((piece, length))
            piece += length
    found = np.array(found).reshape(-1, 2)
    spans = np.zeros((len(found), 2, 2), np.int64)
    spans[:, 0] = found
    return spans, np.zeros(len(found), np.int32), np.zeros(len(found), np.int32)


def _sentences(lengths, documents):
    """Returns the first piece of each sentence that has any, and the first sentence of each document; both with an end.

    Python's own arrays: their items are read one by one faster than NumPy's, and take a fifth of a list's memory.
    """
    starts = np.concatenate([[0], np.cumsum(lengths)])
    used = lengths > 0
    firsts = np.flatnonzero(np.diff(documents[used], prepend=-1))
    starts, firsts = np.append(starts[:-1][used], starts[-1]), np.append(firsts, used.sum())
    return tuple(array.array("q", numbers.astype(np.int64).tobytes()) for numbers in (starts, firsts))


def _target(rng, room, short_share):
    return int(rng.integers(2, room + 1)) if rng.random() < short_share else room


def _filled(starts, sentence, limit, target):
    """Returns where the sentences end that hold `target` pieces, `limit` at most: the number of the one after them."""
    end = sentence + 1
    while end < limit and starts[end] - starts[sentence] < target:
        end += 1
    return end


def _truncate_pairs(spans, room, rng):
    """Takes pieces from the longer segment, the second at a tie, until both fit; each from a random end."""
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
