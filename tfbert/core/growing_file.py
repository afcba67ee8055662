"""A file that is written in chunks and renamed when it is complete; an interrupted program can resume it."""

import contextlib
import hashlib
import json
import os
import sys

import tensorflow as tf

from tfbert.core.errors import CannotWrite, InputError
from tfbert.core.files import read_bounded, write_whole

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class GrowingFile:
    """Writes PATH.partial, and renames it to PATH when it is complete.

    PATH.partial.json records how much of it is valid, and the input and settings that it was made from. On object
    stores, which write a file when it is closed, the chunks of a killed program are lost.

    Attributes:
        partial: str. The name of the file until it is complete.
        rows: int. Number of rows written.
    """

    def __init__(self, path, about, resume=False, overwrite=False, writes=True):
        """Starts the file, or resumes it.

        Args:
            path: str. Local, or with a scheme that `tf.io.gfile` knows.
            about: dict of plain values. What the content depends on; a partial file with others is not resumed.
            resume: bool. Whether to resume a partial file; if there is none, a new one is started.
            overwrite: bool. Whether a partial file may be discarded.
            writes: bool. False on all workers but the chief: they only keep track of the rows.

        Raises:
            InputError: there is a partial file, and neither `resume` nor `overwrite` is set; it was started with other
                settings; or another process is writing it.
        """
        self._path, self._about, self._writes, self._file = path, about, writes, None
        self.partial, self._note = f"{path}.partial", f"{path}.partial.json"
        self._passed, self._digest, kept = 0, hashlib.sha256(), self._kept()
        if kept and not resume and not overwrite:
            raise InputError(
                f"{self.partial} holds {kept['rows']:,} rows of an interrupted run; continue after them with --resume, "
                "or start again with --overwrite."
            )
        kept = kept if resume else None
        if kept and (changed := [name for name in about if kept["about"].get(name) != about[name]]):
            raise InputError(
                f"{self.partial} was started with another {' and '.join(changed)}; continue with the same, or start "
                "again with --overwrite."
            )
        self.rows, self._bytes, self._kept_digest = (
            (kept["rows"], kept["bytes"], kept["digest"]) if kept else (0, 0, None)
        )
        self._noted = self.rows
        if writes:
            with self._as_cannot_write():
                self._open()

    def has(self, rows, content):
        """Returns whether the next rows have been written already.

        Args:
            rows: int. Their number.
            content: bytes. The input they are made from.

        Raises:
            InputError: the rows in the file were made from other input.
        """
        if self._passed == self.rows:
            return False
        self._passed += rows
        self._digest.update(content)
        others = self._passed == self.rows and self._digest.hexdigest() != self._kept_digest
        if others or self._passed > self.rows:
            raise self._other_input()
        return True

    def append(self, chunk, rows, content):
        """Writes the next rows: a chunk of bytes, the number of rows, and the input they are made from (bytes)."""
        self._digest.update(content)
        self._passed = self.rows = self.rows + rows
        self._bytes += len(chunk)
        if self._writes:
            with self._as_cannot_write():
                self._file.write(chunk)
                if not self._is_remote():
                    self._file.flush()
                    self._write_note()

    def finish(self):
        """Renames the complete file to its final name."""
        if self._passed < self.rows:
            raise self._other_input()
        if self._writes:
            with self._as_cannot_write():
                self._file.close()
                self._file = None
                tf.io.gfile.rename(self.partial, self._path, overwrite=True)
                if tf.io.gfile.exists(self._note):
                    tf.io.gfile.remove(self._note)

    def close(self):
        """Closes the file; complete chunks are kept for resuming, and an empty file is removed."""
        if not self._file:
            return
        with contextlib.suppress(OSError, tf.errors.OpError, CannotWrite):
            self._file.close()
            if not self._bytes:
                tf.io.gfile.remove(self.partial)
            elif self._noted < self.rows:
                self._write_note()
        self._file = None

    def _is_remote(self):
        return "://" in self._path

    def _kept(self):
        """Returns the content of PATH.partial.json: dict, None if it is missing or damaged."""
        if not (tf.io.gfile.exists(self._note) and tf.io.gfile.exists(self.partial)):
            return None
        with contextlib.suppress(ValueError):
            kept = json.loads(read_bounded(self._note))
            kinds = {"rows": int, "bytes": int, "digest": str, "about": dict}
            if all(type(kept.get(name)) is kind for name, kind in kinds.items()):
                return kept
        return None

    def _open(self):
        if self._is_remote():
            start = self._start()
            self._file = tf.io.gfile.GFile(self.partial, "wb")
            self._file.write(start)
            return
        self._file = open(self.partial, "ab")
        if fcntl:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                self._file = None
                raise InputError(f"{self.partial} is being written by another process; wait until it ends.") from None
        self._file.truncate(self._bytes)
        self._file.seek(0, os.SEEK_END)

    def _start(self):
        if not self._bytes:
            return b""
        with tf.io.gfile.GFile(self.partial, "rb") as file:
            return file.read(self._bytes)

    def _write_note(self):
        note = {"rows": self.rows, "bytes": self._bytes, "digest": self._digest.hexdigest(), "about": self._about}
        write_whole(self._note, json.dumps(note).encode())
        self._noted = self.rows

    def _other_input(self):
        return InputError(
            f"{self.partial} was started with other rows; continue with the same --test_file, or start again with "
            "--overwrite."
        )

    @contextlib.contextmanager
    def _as_cannot_write(self):
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            reason = getattr(error, "message", error)
            raise CannotWrite(f"{self.partial} cannot be written ({reason}).") from None


class StandardOutput:
    """Standard output with the interface of GrowingFile; it cannot be resumed."""

    partial = "-"

    def __init__(self):
        """Starts without any rows."""
        self.rows = 0

    def has(self, rows, content):
        """Returns False: no rows have been written before."""
        return False

    def append(self, chunk, rows, content):
        """Writes the next rows."""
        sys.__stdout__.buffer.write(chunk)
        sys.__stdout__.buffer.flush()
        self.rows += rows

    def finish(self):
        """Does nothing; so does `close`."""

    close = finish
