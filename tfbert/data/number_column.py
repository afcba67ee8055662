"""Large arrays of numbers: held in memory while small, in a temporary file when large."""

import hashlib
import os
import tempfile

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.hosts import TEMPORARY_FILE

_MEMORY_BYTES = 16 * 2**20


class NumberColumn:
    """Numbers of one type: first appended, then read in any order inside the TensorFlow graph.

    Attributes:
        size: int. Number of elements.
        digest: hashlib object over all elements.
    """

    def __init__(self, dtype):
        """Creates an empty column of a NumPy dtype."""
        self._dtype, self._held, self._held_bytes, self._file = np.dtype(dtype), [], 0, None
        self.size, self.digest = 0, hashlib.sha256()

    @property
    def needs_here(self):
        """What reading them requires of this process: list of str, see `tfbert.data.hosts`."""
        return [TEMPORARY_FILE] if self._file else []

    def extend(self, numbers):
        """Appends the numbers of an array, in its order."""
        numbers = np.ascontiguousarray(numbers, self._dtype).reshape(-1)
        self.digest.update(numbers.data)
        self.size += len(numbers)
        self._held.append(numbers)
        self._held_bytes += numbers.nbytes
        if self._held_bytes > _MEMORY_BYTES:
            self._file = self._file or tempfile.TemporaryFile()
            self._flush()

    def close(self):
        """Finishes appending; from then on the numbers can be read."""
        if self._file:
            self._flush()
            return
        with tf.device("CPU"):
            self._numbers = tf.constant(np.concatenate([np.zeros(0, self._dtype), *self._held]))
        self._held = []

    def view(self):
        """Returns all numbers, memory-mapped if they are in a file: np.ndarray [size], read-only."""
        if self._file and self.size:
            return np.memmap(self._file, self._dtype, "r")
        return self._numbers.numpy()

    def stretches(self, starts, lengths):
        """Returns slices of the numbers: int64 [n], int64 [n] -> RaggedTensor [n, (numbers)]."""
        if self._file:
            numbers = tf.ensure_shape(tf.numpy_function(self._read, [starts, lengths], self._dtype), [None])
        else:
            numbers = tf.gather(self._numbers, tf.ragged.range(starts, starts + lengths).values)
        return tf.RaggedTensor.from_row_lengths(numbers, lengths, validate=False)

    def _flush(self):
        try:
            for part in self._held:
                self._file.write(part.data)
            self._file.flush()
        except OSError as error:
            raise InputError(
                f"The temporary folder {tempfile.gettempdir()} cannot hold the data ({error.strerror}); set "
                "TMPDIR=/path to one with more space."
            ) from None
        self._held, self._held_bytes = [], 0

    def _read(self, starts, lengths):
        size = self._dtype.itemsize
        reads = (
            os.pread(self._file.fileno(), n * size, start * size) for start, n in zip(starts.tolist(), lengths.tolist())
        )
        return np.frombuffer(b"".join(reads), self._dtype)
