"""Reads files as text: decompressed, decoded, and split into lines of bounded length, numbered as in an editor."""

import codecs
import contextlib
import functools
import gzip
import io
import re
import zlib

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.encodings import byte_order_mark, guess_encoding

# The longest line, field, object or record that is held in memory, in characters or bytes. A longer one is a fault,
# such as a quote that is never closed.
LONGEST = 2**26
# Beyond 256 MiB, a file may unpack to at most 200 times its size: text reaches 3 to 30 times, gzip at most 1032.
_UNPACKED, _RATIO = 2**28, 200
_BLOCK = 2**18
# Bytes that cannot be decoded, as Python's "surrogateescape" represents them.
_ESCAPED = re.compile("[\udc80-\udcff]")
# Bytes to search for the first that is not ASCII; the encoding is guessed from its block.
_LOOKED_AT = 2**24
# First bytes of files that are not text, whatever their name: Excel and OpenDocument, and Excel before 2007.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def is_packed(path):
    """Returns whether a file is gzipped, judging by its name."""
    return path.lower().endswith(".gz")


@contextlib.contextmanager
def as_input_errors(path, kind):
    """Turns whatever a library raises in a `with` block into an InputError; damaged files can raise any exception."""
    try:
        yield
    except (InputError, GeneratorExit):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise InputError(f"{path} cannot be read as {kind}: {reason[0]}") from None


@contextlib.contextmanager
def open_bytes(path):
    """Opens a file in binary mode for a `with` block, decompressing it if its name ends in .gz.

    Raises:
        InputError: the file cannot be read, is damaged, or unpacks to far more than text would; also within the block.
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
def open_text(path, newline="", encoding=None):
    """Opens a file for reading text, for a `with` block; lines end with LF, CR or CRLF.

    Args:
        path: str. What `open_bytes` opens.
        newline: "" or None. None: every line ending becomes a line feed.
        encoding: str or None. None: by the byte order mark, or else by `guess_encoding`.

    Raises:
        InputError: as for `open_bytes`; or the text is not in that encoding (the message names the line), or its
            encoding is unclear.
    """
    chosen = encoding or _encoding_of(path)
    try:
        with open_bytes(path) as file:
            marked, length = byte_order_mark(file.peek(4)[:4])
            if length and (not encoding or same_encoding(marked, encoding)):
                chosen = marked
                file.read(length)
            with io.TextIOWrapper(file, chosen, newline=newline) as text:
                yield text
    except UnicodeError:
        raise _not_in(path, chosen) from None


def same_encoding(one, other):
    """Returns whether two names mean one encoding, such as "UTF8" and "utf-8-sig", or "utf-16" and "utf-16-le"."""
    one, other = (codecs.lookup(name).name.removesuffix("-sig") for name in (one, other))
    return one == other or one.startswith(f"{other}-")


def tell_format(path, encoding, separator=None):
    """Prints once how a file is read, if that was detected and is not the default.

    Args:
        path: str.
        encoding: str or None. None: not printed.
        separator: str or None. What separates fields; None: not printed.
    """
    found = [f"encoding {encoding}"] * (encoding not in (None, "utf-8"))
    found += [f"fields separated by {separator!r}"] * bool(separator)
    flags = ["--encoding"] * (encoding not in (None, "utf-8")) + ["--delimiter"] * bool(separator)
    if found:
        override = "override" if len(flags) > 1 else "overrides"
        _print_once(f"{path}: {', '.join(found)} (detected; {' and '.join(flags)} {override} this).")


@functools.cache
def _print_once(line):
    print(line, flush=True)


def spreadsheet(path):
    """Returns the InputError for a file that is a spreadsheet."""
    return InputError(
        f"{path} is a spreadsheet, which tfbert does not read; export it as CSV and give that: in Excel with File > "
        "Save As > CSV UTF-8, in LibreOffice with File > Save As > Text CSV, character set UTF-8."
    )


def _encoding_of(path):
    """Returns the encoding of a file, judging by its first block that is not ASCII; InputError if it is unclear."""
    with open_bytes(path) as file:
        block = file.read(_BLOCK)
        marked, _ = byte_order_mark(block[:4])
        if block.startswith(_SPREADSHEETS):
            raise spreadsheet(path)
        looked_at = 0
        while not marked and block.isascii() and b"\0" not in block and looked_at < _LOOKED_AT:
            looked_at += len(block)
            following = file.read(_BLOCK)
            if not following:
                break
            block = following
    found = marked or guess_encoding(block, whole=len(block) < _BLOCK)
    if found:
        return found
    raise _not_in(path, "utf-8")


def lines_of(path, text):
    """Yields the lines of a file opened by `open_text`, with their line endings.

    Raises:
        InputError: a line is longer than `LONGEST`.
    """
    number, readline = 0, text.readline
    while line := readline(LONGEST):
        number += 1
        if len(line) == LONGEST:
            raise InputError(f"{path}, line {number}: longer than {LONGEST:,} characters; is a line break missing?")
        yield line


def numbered_lines(path, encoding=None):
    """Yields (number from 1, line with its ending) of a file; the encoding is as for `open_text`."""
    with open_text(path, encoding=encoding) as text:
        tell_format(path, None if encoding else text.encoding)
        yield from enumerate(lines_of(path, text), 1)


def _not_in(path, encoding):
    """Returns the InputError for a file that is not in an encoding; it names the first such line."""
    name = "UTF-8" if encoding == "utf-8" else encoding
    remedy = (
        "name its encoding, such as --encoding=cp1252 (Western European), gb18030 (Chinese) or cp1251 (Cyrillic), or "
        "convert it with `iconv -f ENCODING -t UTF-8`."
    )
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding, "surrogateescape", newline="") as text:
        with contextlib.suppress(UnicodeError):  # not every codec can continue after an error
            for number, line in enumerate(lines_of(path, text), 1):
                if escaped := _ESCAPED.search(line):
                    byte = ord(escaped[0]) - 0xDC00
                    return InputError(f"{path}, line {number}: not {name} text (byte {byte:#04x}); {remedy}")
    return InputError(f"{path} is not {name} text; {remedy}")


class _Remote(io.RawIOBase):
    """A file that `tf.io.gfile` can open, as a stream for Python's readers."""

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
    """The decompressed bytes of a gzip file, up to a limit."""

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
                f"{self._path} unpacks to more than {self._most:,} bytes, far more than text of its size would; if "
                "that is right, unpack it first."
            )
        return len(block)
