"""Examples tokenised once: in memory while they are few, in a temporary file when they are many."""

import copy
import hashlib
import itertools
import os
import tempfile

import numpy as np
import tensorflow as tf

from tfbert.data.windows import LongText, make_windows
from tfbert.errors import InputError

_CHUNK = 1024
_MEMORY_BYTES = 64 * 2**20


class TokenizedExamples:
    """Windows and labels of a data set, any of which can be had by number inside the TensorFlow graph.

    Attributes:
        size: int. Number of examples.
        labels: np.ndarray [size, ...], or None.
        window_lengths: np.int32 [windows]. Pieces of each window.
        cut_share: float. Share of the examples that lost pieces to the longest window.
        fingerprint: str. A hash of all windows and labels, in order.
    """

    def __init__(self, windows, labels):
        """Stores windows as they come.

        Args:
            windows: iterable of (pieces int32 [total], lengths int32 [n], first_lengths int32 [n], cut bool [n]), one
                window an example.
            labels: callable returning np.ndarray [size, ...] or None; called when `windows` is exhausted.
        """
        chunks, lengths, first_lengths, cut = [], [], [], []
        self._file, held, digest = None, 0, hashlib.sha256()
        for pieces, chunk_lengths, chunk_first_lengths, chunk_cut in windows:
            cut.append(chunk_cut)
            lengths.append(chunk_lengths)
            first_lengths.append(chunk_first_lengths)
            chunks.append(pieces)
            digest.update(np.ascontiguousarray(pieces).data)
            held += pieces.nbytes
            if held > _MEMORY_BYTES:
                self._file = self._file or tempfile.TemporaryFile()
                self._file.write(np.concatenate(chunks).tobytes())
                chunks, held = [], 0
        if self._file:
            self._file.write(np.concatenate(chunks or [np.zeros(0, np.int32)]).tobytes())
            self._file.flush()
        with tf.device("CPU"):
            self._pieces = None if self._file else tf.constant(np.concatenate(chunks))
        lengths = np.concatenate(lengths)
        starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)])
        self._keep(starts, lengths, np.concatenate(first_lengths), np.concatenate(cut), labels(), digest)

    def subset(self, indices):
        """Returns some of the examples, by number: int [n] -> TokenizedExamples, which shares the pieces."""
        chosen = copy.copy(self)
        labels = None if self.labels is None else self.labels[indices]
        columns = (self._starts, self._lengths, self._first_lengths)
        starts, lengths, first_lengths = (column.numpy()[indices] for column in columns)
        digest = hashlib.sha256(self.fingerprint.encode() + np.asarray(indices, np.int64).tobytes())
        chosen._keep(starts, lengths.astype(np.int32), first_lengths, self._cut[indices], labels, digest)
        return chosen

    def _keep(self, starts, lengths, first_lengths, cut, labels, digest):
        """Keeps what there is of each example but its pieces."""
        self.window_lengths, self.labels, self._cut = lengths, labels, cut
        self.size, self.cut_share = len(lengths), cut.mean()
        for part in (lengths, *([] if labels is None else [labels])):
            digest.update(np.ascontiguousarray(part).data)
        self.fingerprint = digest.hexdigest()
        with tf.device("CPU"):
            self._starts, self._lengths = tf.constant(starts, tf.int64), tf.constant(lengths.astype(np.int64))
            self._first_lengths = tf.constant(first_lengths)
            self._labels = None if labels is None else tf.constant(labels)

    def windows(self, indices):
        """Returns the windows of some examples: int64 [n] -> (RaggedTensor int32 [n, (pieces)], int32 [n])."""
        starts, lengths = tf.gather(self._starts, indices), tf.gather(self._lengths, indices)
        if self._file:
            pieces = tf.ensure_shape(tf.numpy_function(self._read, [starts, lengths], tf.int32), [None])
        else:
            pieces = tf.gather(self._pieces, tf.ragged.range(starts, starts + lengths).values)
        return tf.RaggedTensor.from_row_lengths(pieces, lengths, validate=False), tf.gather(
            self._first_lengths, indices
        )

    def labels_of(self, indices):
        """Returns the labels of some examples: int64 [n] -> [n, ...]; zeros where there are none."""
        return tf.zeros_like(indices) if self._labels is None else tf.gather(self._labels, indices)

    def _read(self, starts, lengths):
        size = np.dtype(np.int32).itemsize
        reads = (
            os.pread(self._file.fileno(), n * size, start * size) for start, n in zip(starts.tolist(), lengths.tolist())
        )
        return np.frombuffer(b"".join(reads), np.int32)


def tokenize_examples(examples, tokenizer, max_seq_length, encode_label=None, long_text=LongText()):
    """Tokenises examples as they are read, on several cores, and stores their windows.

    Args:
        examples: iterable of dict, as `sources.read_examples` yields them; all single texts, or all pairs.
        tokenizer: BertTokenizer.
        max_seq_length: int. The longest window.
        encode_label: callable (label, where) -> number or np.ndarray; None: no labels.
        long_text: LongText. What is kept of a text that is too long.

    Returns:
        TokenizedExamples.
    """
    labels, refused = [], []
    examples = iter(examples)
    example = next(examples)
    sides = ("text", "text_pair") if "text_pair" in example else ("text",)
    examples = itertools.chain([example], examples)

    def texts():
        try:
            while chunk := list(itertools.islice(examples, _CHUNK)):
                if encode_label:
                    labels.append(np.stack([encode_label(row["label"], row["where"]) for row in chunk]))
                yield tuple([_utf8(row[side]) for row in chunk] for side in sides)
        except InputError as error:  # tf.data would wrap it in an error of its own, with its traceback
            refused.append(error)

    @tf.autograph.experimental.do_not_convert
    def to_windows(first, second=None):
        pieces = (tokenizer(first), None if second is None else tokenizer(second))
        windows, first_lengths, cut = make_windows(
            *pieces, max_seq_length, tokenizer.cls_id, tokenizer.sep_id, long_text
        )
        return windows.flat_values, tf.cast(windows.row_lengths(), tf.int32), first_lengths, cut

    def windows():
        yield from chunks.as_numpy_iterator()
        if refused:
            raise refused[0]

    signature = (tf.TensorSpec([None], tf.string),) * len(sides)
    chunks = tf.data.Dataset.from_generator(texts, output_signature=signature)
    chunks = chunks.map(to_windows, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(2)
    return TokenizedExamples(windows(), lambda: np.concatenate(labels) if labels else None)


def _utf8(text):
    """Returns UTF-8 bytes; lone surrogates, which JSON can hold, are dropped as BERT drops them."""
    return text.encode("utf-8", "ignore")
