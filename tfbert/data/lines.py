"""A file's bytes as text: unpacked, decoded, in bounded lines that are counted as an editor counts them."""

import contextlib
import gzip
import io
import zlib

import tensorflow as tf

from tfbert.core.errors import InputError

# What stands in memory at once, in characters or bytes: a line, a field, an object, a record. One that is longer is a
# fault, such as a quote that is never closed.
LONGEST = 2**26
# Beyond the first 256 MiB, no file unpacks to so many times its size: text does to 3 to 30 times, gzip's limit is 1032.
_UNPACKED, _RATIO = 2**28, 200
_BLOCK = 2**18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def is_packed(path):
    """Returns whether a file is gzip, by its ending."""
    return path.lower().endswith(".gz")


@contextlib.contextmanager
def as_input_errors(path, kind):
    """Makes an InputError of whatever a library's reader raises within a `with` block; damaged files raise any."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise InputError(f"{path} cannot be read as {kind}: {reason[0]}") from None


@contextlib.contextmanager
def open_bytes(path):
    """Opens a file for reading bytes, unpacked if it ends in .gz, for a `with` block.

    Raises:
        InputError: what is read in the block cannot be read, is damaged, or unpacks to far more than a text would.
    """
    try:
        with contextlib.ExitStack() as opened:
            remote = "://" in path
            file = io.BufferedReader(_Remote(path), _BLOCK) if remote else open(path, "rb", buffering=_BLOCK)
            opened.enter_context(file)
            if is_packed(path):
                packed = opened.enter_context(gzip.GzipFile(fileobj=file))
                most = max(_UNPACKED, _RATIO * tf.io.gfile.stat(path).length)
                file = opened.enter_context(io.BufferedReader(_Unpacked(packed, most, path), _BLOCK))
            yield file
    except (OSError, EOFError, zlib.error, tf.errors.OpError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'message', error)}.") from None


@contextlib.contextmanager
def open_text(path, newline=""):
    """Opens a file for reading text, for a `with` block; lines end with LF, CR or CRLF.

    Args:
        path: str. What `open_bytes` opens.
        newline: "" or None. None: each end of a line becomes a line feed.

    Raises:
        InputError: as of `open_bytes`, or what is read in the block is not UTF-8; its line is named.
    """
    try:
        with open_bytes(path) as file:
            if file.peek(3)[:3] == _BYTE_ORDER_MARK:
                file.read(3)
            with io.TextIOWrapper(file, "utf-8", newline=newline) as text:
                yield text
    except UnicodeDecodeError:
        raise _not_utf8(path) from None


def lines_of(path, text):
    """Yields the lines of a file that `open_text` has opened, each with its end.

    Raises:
        InputError: a line is longer than `LONGEST`.
    """
    number, readline = 0, text.readline
    while line := readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise InputError(f"{path}, line {number}: longer than {LONGEST:,} characters, which is no row.")
        yield line


def numbered_lines(path):
    """Yields (line number, text with its end) of a file, from 1."""
    with open_text(path) as text:
        yield from enumerate(lines_of(path, text), 1)


def _not_utf8(path):
    """Returns the InputError that names the first line which is not UTF-8."""
    with open_bytes(path) as file, io.TextIOWrapper(file, "latin-1", newline="") as text:
        for number, line in enumerate(lines_of(path, text), 1):
            content = line.encode("latin-1")
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                return InputError(
                    f"{path}, line {number}: not UTF-8 text (byte {content[error.start]:#04x}); convert the file, for "
                    "instance with `iconv -f ENCODING -t UTF-8`."
                )
    return InputError(f"{path} is not UTF-8 text.")


class _Remote(io.RawIOBase):
    """A file wherever `tf.io.gfile` reaches, as Python's own readers take it."""

    def __init__(self, path):
        self._file = tf.io.gfile.GFile(path, "rb")
        self._size = self._file.size()

    def readable(self):
        return True

    def seekable(self):
        return True

    def readinto(self, buffer):
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def seek(self, offset, whence=io.SEEK_SET):
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(start + offset)
        return start + offset

    def tell(self):
        return self._file.tell()

    def close(self):
        if not self.closed:
            self._file.close()
        super().close()


class _Unpacked(io.RawIOBase):
    """The bytes of a gzip file, up to a bound."""

    def __init__(self, file, most, path):
        self._file, self._left, self._path, self._most = file, most, path, most

    def readable(self):
        return True

    def readinto(self, buffer):
        block = self._file.read1(len(buffer))
        buffer[: len(block)] = block
        self._left -= len(block)
        if self._left < 0:
            raise InputError(
                f"{self._path} unpacks to more than {self._most:,} bytes, {_RATIO} times its size, which text does "
                "not; if it is right, unpack it first."
            )
        return len(block)
