"""A file that grows piece by piece and has its name once it is whole; an interrupted program's can be gone on with."""

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
    """PATH.partial while it grows, with PATH.partial.json, which says what of it counts and what it was made of.

    On object stores, which write a file when it is closed, the pieces of a program that was killed are lost.

    Attributes:
        partial: str. Where the pieces are until all are there.
        rows: int. How many rows the pieces have.
    """

    def __init__(self, path, about, resume=False, overwrite=False, writes=True):
        """Begins, or goes on.

        Args:
            path: str. Local, or with a scheme that `tf.io.gfile` knows.
            about: dict of plain values. What decides the content; what is there is gone on with only if it is the same.
            resume: bool. Whether to go on with what is there; where nothing is, it begins.
            overwrite: bool. Whether what is there may be thrown away.
            writes: bool. Off on all machines but one, which only follow what is there.

        Raises:
            InputError: there is something, and neither is said; it is of other settings; or another process has it.
        """
        self._path, self._about, self._writes, self._file = path, about, writes, None
        self.partial, self._note = f"{path}.partial", f"{path}.partial.json"
        self._passed, self._digest, kept = 0, hashlib.sha256(), self._kept()
        if kept and not resume and not overwrite:
            raise InputError(
                f"{self.partial} holds {kept['rows']:,} rows of a run that was interrupted; --resume goes on after "
                "them, --overwrite begins anew."
            )
        kept = kept if resume else None
        if kept and (changed := [name for name in about if kept["about"].get(name) != about[name]]):
            raise InputError(
                f"{self.partial} was begun with another {' and '.join(changed)}; go on with the same, or begin anew "
                "with --overwrite."
            )
        self.rows, self._bytes, self._kept_digest = (
            (kept["rows"], kept["bytes"], kept["digest"]) if kept else (0, 0, None)
        )
        self._noted = self.rows
        if writes:
            with self._as_cannot_write():
                self._open()

    def has(self, rows, content):
        """Says whether the next rows are there already.

        Args:
            rows: int. How many they are.
            content: bytes. What they are made of.

        Raises:
            InputError: what is there was made of something else.
        """
        if self._passed == self.rows:
            return False
        self._passed += rows
        self._digest.update(content)
        others = self._passed == self.rows and self._digest.hexdigest() != self._kept_digest
        if others or self._passed > self.rows:
            raise self._other_input()
        return True

    def append(self, piece, rows, content):
        """Writes the next rows: bytes, how many they are, and what they are made of, bytes."""
        self._digest.update(content)
        self._passed = self.rows = self.rows + rows
        self._bytes += len(piece)
        if self._writes:
            with self._as_cannot_write():
                self._file.write(piece)
                if not self._is_remote():
                    self._file.flush()
                    self._write_note()

    def finish(self):
        """Gives the file its name, now that all rows are there."""
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
        """Lets go of the file: what is there stays, if it is whole pieces; nothing is left where there are none."""
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
        """Returns what the note says: dict, None where there is none or it is damaged."""
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
            f"{self.partial} was begun with other rows; give the same --test_file to go on, or begin anew with "
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
    """Standard output in the place of a GrowingFile: what is written is gone."""

    partial = "-"

    def __init__(self):
        """Begins."""
        self.rows = 0

    def has(self, rows, content):
        """Says that the next rows are not there."""
        return False

    def append(self, piece, rows, content):
        """Writes the next rows."""
        sys.__stdout__.buffer.write(piece)
        sys.__stdout__.buffer.flush()
        self.rows += rows

    def finish(self):
        """Does nothing, as `close` does."""

    close = finish
