"""Examples, tokenised once and stored."""

import copy
import functools
import hashlib
import itertools

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError, WrongType
from tfbert.data.hosts import here
from tfbert.data.number_column import NumberColumn
from tfbert.data.parallel_map import parallel_map
from tfbert.data.values import describe, text_of
from tfbert.data.windows import LongText, make_windows

_CHUNK, _CHUNK_CHARACTERS = 1024, 2**20


class Examples:
    """What makes a batch of windows a batch of examples: labels, weights, and the way back to rows of the data.

    A subclass has `size`, the number of examples, and `labels_of`.
    """

    @property
    def rows(self):
        """The number of rows of the data: int."""
        return self.size

    def labelled(self, features, indices, slots, static=False):
        """Completes a batch: (features, labels, weights), one label and weight per example unless a subclass says else.

        Args:
            features: dict, as `batch_features` returns it.
            indices: int64 [n]. The examples of the batch.
            slots: int or None. A static number of examples; None: n.
            static: bool. Whether all shapes must be static.
        """
        return features, padded(self.labels_of(indices), slots), padded(tf.ones([tf.size(indices)]), slots)

    def of_rows(self, outputs):
        """Returns a model's outputs for all examples by row of the data: [size, outputs] -> the same, one per row."""
        return outputs


class TokenizedExamples(Examples):
    """Windows and labels of a dataset, with random access by number inside the TensorFlow graph.

    Attributes:
        size: int. Number of examples.
        numbers: np.int64 [size]. The place of each among the rows that were tokenised, from 0.
        labels: np.ndarray [size, ...], or None.
        window_lengths: np.int32 [windows]. Tokens of each window.
        window_counts: np.int32 [size]. Windows of each example.
        most_windows: int. Maximum number of windows per example.
        lost: np.int32 [size]. Tokens of each example that are not in any window.
        lost_pieces: int. Their sum.
        text_lengths: np.int32 [size]. Tokens of each example if it were not truncated, special tokens included.
        cut_share: float. Fraction of the examples that lost tokens.
        fingerprint: str. A hash of all windows and labels, in order.
    """

    def __init__(self, windows, labels, most_windows=1):
        """Stores windows as they arrive.

        Args:
            windows: iterable of (tokens int32 [total], lengths int32 [w], first_lengths int32 [w], counts int32 [n],
                lost int32 [n], text_lengths int32 [n]) for n examples with w windows; those of an example are adjacent.
            labels: callable returning np.ndarray [size, ...] or None; called when `windows` is exhausted.
            most_windows: int.
        """
        self.most_windows = most_windows
        columns, self._pieces = [], NumberColumn(np.int32)
        for pieces, *chunk_columns in windows:
            columns.append(chunk_columns)
            self._pieces.extend(pieces)
        self._pieces.close()
        lengths, *others = (np.concatenate(column) for column in zip(*columns))
        self._keep(starts_of(lengths), lengths, *others, labels(), self._pieces.digest.copy())
        self.numbers = np.arange(self.size)

    @property
    def needs_here(self):
        """What reading windows requires of this process: list of str, see `tfbert.data.hosts`."""
        return self._pieces.needs_here

    def subset(self, indices):
        """Returns some of the examples, by number: int [n] -> TokenizedExamples, which shares the tokens."""
        chosen = copy.copy(self)
        chosen.numbers = self.numbers[indices]
        labels = None if self.labels is None else self.labels[indices]
        counts, windows = self.window_counts[indices], part_numbers(self.window_counts, indices)
        of_windows = (self._starts.numpy()[windows], self.window_lengths[windows], self._first_lengths.numpy()[windows])
        digest = hashlib.sha256(self.fingerprint.encode() + np.asarray(indices, np.int64).tobytes())
        chosen._keep(*of_windows, counts, self.lost[indices], self.text_lengths[indices], labels, digest)
        return chosen

    def _keep(self, starts, lengths, first_lengths, counts, lost, text_lengths, labels, digest):
        """Stores everything about the examples except their tokens."""
        self.window_lengths, self.window_counts, self.labels = lengths, counts, labels
        self.lost, self.text_lengths = lost, text_lengths
        self.size, self.cut_share, self.lost_pieces = len(counts), (lost > 0).mean(), int(lost.sum())
        for part in (lengths, counts, *([] if labels is None else [labels])):
            digest.update(np.ascontiguousarray(part).data)
        self.fingerprint = digest.hexdigest()
        with tf.device("CPU"):
            self._starts, self._lengths = tf.constant(starts, tf.int64), tf.constant(lengths, tf.int64)
            if self.most_windows > 1:
                self._first_windows, self._counts = tf.constant(starts_of(counts)), tf.constant(counts, tf.int64)
            self._first_lengths = tf.constant(first_lengths)
            self._labels = None if labels is None else tf.constant(labels)

    def windows(self, indices):
        """Returns the windows of some examples; those of an example are adjacent.

        Args:
            indices: int64 [n].

        Returns:
            (tokens, first_lengths, counts): RaggedTensor int32 [w, (tokens)]; int32 [w], tokens in segment 0; int32
            [n], windows of each example.
        """
        windows, counts = indices, tf.ones_like(indices)
        if self.most_windows > 1:
            first, counts = tf.gather(self._first_windows, indices), tf.gather(self._counts, indices)
            windows = tf.ragged.range(first, first + counts).values
        pieces = self._pieces.stretches(tf.gather(self._starts, windows), tf.gather(self._lengths, windows))
        return pieces, tf.gather(self._first_lengths, windows), tf.cast(counts, tf.int32)

    def labels_of(self, indices):
        """Returns the labels of some examples: int64 [n] -> [n, ...]; zeros if there are none."""
        return tf.zeros_like(indices) if self._labels is None else tf.gather(self._labels, indices)


def padded(values, slots):
    """Returns values with zeros appended up to a static number of slots: [n, ...], int -> [slots, ...]; None: as is."""
    spare = 0 if slots is None else slots - tf.shape(values)[0]
    filled = tf.pad(values, [[0, spare]] + [[0, 0]] * (values.shape.rank - 1))
    return tf.ensure_shape(filled, [slots, *values.shape[1:]])


def tokenize_examples(examples, tokenizer, max_seq_length, encode_label=None, long_text=LongText()):
    """Tokenises examples as they are read, on several cores, and stores their windows.

    Args:
        examples: iterable of dict, as `sources.read_examples` yields them; all single texts, or all pairs.
        tokenizer: BertTokenizer.
        max_seq_length: int. The longest window.
        encode_label: callable (label, where) -> number or np.ndarray; None: no labels.
        long_text: LongText. How long texts are handled.

    Returns:
        TokenizedExamples.
    """
    labels = []
    examples = checked_examples(examples, encode_label is not None)
    example = next(examples, None)
    if example is None:
        raise InputError("There are no examples; at least one is needed.")
    sides = ("text", "text_pair") if "text_pair" in example else ("text",)
    examples = itertools.chain([example], examples)

    def texts():
        while chunk := next_chunk(examples, lambda row: sum(len(row[side]) for side in sides)):
            if encode_label:
                labels.append(np.stack([encode_label(row["label"], row["where"]) for row in chunk]))
            yield tuple([tokenizer.encoded(row[side]) for row in chunk] for side in sides)

    make_windows_of = _window_function(tokenizer, len(sides), max_seq_length, long_text)
    windows = map_texts(texts, make_windows_of, make_windows_of.input_signature)
    return TokenizedExamples(windows, lambda: np.concatenate(labels) if labels else None, long_text.windows)


def checked_examples(examples, labelled=False):
    """Yields examples with their texts as str, adding a place for messages if they have none.

    Args:
        examples: iterable of dict, from `read_examples` or a caller's own.
        labelled: bool. Whether each must have a label.

    Raises:
        InputError: one is not a dict, has no text or label, or is a pair although the first is not, or vice versa.
    """
    sides = None
    for number, example in enumerate(examples, 1):
        if not isinstance(example, dict):
            raise WrongType(
                f"Examples must be dicts with text, label etc. Received: a {type(example).__name__}, "
                f"{str(example)[:40]!r}."
            )
        where = example.get("where", ("examples", number))
        sides = sides or (("text", "text_pair") if "text_pair" in example else ("text",))
        needed = (*sides, "label") if labelled else sides
        if any(name not in example for name in needed) or ("text_pair" in example and "text_pair" not in sides):
            raise InputError(
                f"{describe(where)}: the example has {', '.join(map(str, example))}, but every example needs "
                f"{' and '.join(needed)}."
            )
        yield example | {"where": where} | {side: text_of(example[side], side, where) for side in sides}


def paired(examples, columns):
    """Yields examples, which must all be pairs if a model was trained on pairs: iterable of dict.

    Args:
        examples: iterable of dict.
        columns: tuple of str. The text columns of the model's training data.
    """
    for number, example in enumerate(examples, 1):
        if len(columns) == 2 and "text_pair" not in example:
            raise InputError(
                f"This model was trained on pairs of texts, but example {number} has no text_pair; on the command line "
                "name its column with --text_pair_column."
            )
        yield example


def map_texts(texts, function, signature):
    """Applies a TensorFlow function to texts while they are read, on several cores; yields the results in order.

    Args:
        texts: callable () -> iterator of what `signature` describes.
        function: callable on the tensors of one element.
        signature: tf.TensorSpec, or tuple of them.

    Raises:
        InputError: reading the texts raised it.
    """
    refused = []

    def read():
        try:
            yield from texts()
        except InputError as error:  # tf.data would wrap it in an error of its own with a traceback
            refused.append(error)

    with here():
        found = tf.data.Dataset.from_generator(read, output_signature=signature)
        mapped = parallel_map(found, function).as_numpy_iterator()
    yield from mapped
    if refused:
        raise refused[0]


def windows_of(first, second, tokenizer, max_seq_length, long_text):
    """Returns the windows of texts, as TensorFlow operations: Windows.

    Args:
        first: string [batch].
        second: string [batch], or None for single texts.
        tokenizer: BertTokenizer.
        max_seq_length: int. The longest window.
        long_text: LongText.
    """
    pieces = (tokenizer(first), None if second is None else tokenizer(second))
    return make_windows(*pieces, max_seq_length, tokenizer.cls_id, tokenizer.sep_id, long_text)


@functools.lru_cache(maxsize=8)  # traced once for train, dev and test
def _window_function(tokenizer, sides, max_seq_length, long_text):
    """Returns a function (string [n], for pairs twice) -> what TokenizedExamples stores of them."""

    def to_windows(first, second=None):
        made = windows_of(first, second, tokenizer, max_seq_length, long_text)
        lengths = tf.cast(made.pieces.row_lengths(), tf.int32)
        return made.pieces.flat_values, lengths, made.first_lengths, made.counts, made.lost, made.text_lengths

    return tf.function(to_windows, input_signature=(tf.TensorSpec([None], tf.string),) * sides, autograph=False)


def next_chunk(texts, characters_of, most=_CHUNK):
    """Returns the next chunk of texts; fewer if they are long, so that long documents need little memory.

    Args:
        texts: iterator.
        characters_of: callable (text) -> int.
        most: int. How many texts at most.
    """
    chunk, characters = [], 0
    for text in texts:
        chunk.append(text)
        characters += characters_of(text)
        if len(chunk) == most or characters > _CHUNK_CHARACTERS:
            break
    return chunk


def objects(values):
    """Returns a list of anything as an array of objects: list [n] -> object [n]."""
    found = np.empty(len(values), object)
    for number, value in enumerate(values):
        found[number] = value
    return found


def part_numbers(counts, indices):
    """Returns the numbers of the parts of some wholes: int [N] parts of each, int [n] -> int64 [sum of theirs]."""
    starts = starts_of(counts)
    return np.concatenate([np.arange(starts[index], starts[index] + counts[index]) for index in indices]).astype(int)


def starts_of(lengths):
    """Returns the start of each of several concatenated sequences, from their lengths: int [n] -> int64 [n]."""
    return np.cumsum(lengths, dtype=np.int64) - lengths
