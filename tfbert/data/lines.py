"""A file's bytes as text: unpacked, decoded, in bounded lines that are counted as an editor counts them."""

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

# What stands in memory at once, in characters or bytes: a line, a field, an object, a record. One that is longer is a
# fault, such as a quote that is never closed.
LONGEST = 2**26
# Beyond the first 256 MiB, no file unpacks to so many times its size: text does to 3 to 30 times, gzip's limit is 1032.
_UNPACKED, _RATIO = 2**28, 200
_BLOCK = 2**18
# How a byte that cannot be decoded is shown among characters that were (Python's "surrogateescape").
_ESCAPED = re.compile("[\udc80-\udcff]")
# So many bytes are looked at for the first that is not ASCII, by which the encoding is guessed.
_LOOKED_AT = 2**24
# Of files that are no text whatever they are called: Excel's, OpenDocument's, and Excel's before 2007.
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


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
def open_text(path, newline="", encoding=None):
    """Opens a file for reading text, for a `with` block; lines end with LF, CR or CRLF.

    Args:
        path: str. What `open_bytes` opens.
        newline: "" or None. None: each end of a line becomes a line feed.
        encoding: str or None. None: what the byte order mark says, or else what `guess_encoding` finds.

    Raises:
        InputError: as of `open_bytes`, or what is read in the block is not in that encoding, in which case its line is
            named, or no encoding is certain.
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
    """Returns whether two names are of one encoding, such as "UTF8" and "utf-8-sig", or "utf-16" and "utf-16-le"."""
    one, other = (codecs.lookup(name).name.removesuffix("-sig") for name in (one, other))
    return one == other or one.startswith(f"{other}-")


def tell_format(path, encoding, separator=None):
    """Says once how a file is read where that was found out, and is not what is usual.

    Args:
        path: str.
        encoding: str or None. None: it is not to be told.
        separator: str or None. What separates fields; None: it is not to be told.
    """
    found = [f"encoding {encoding}"] * (encoding not in (None, "utf-8"))
    found += [f"fields separated by {separator!r}"] * bool(separator)
    flags = ["--encoding"] * (encoding not in (None, "utf-8")) + ["--delimiter"] * bool(separator)
    if found:
        override = "override" if len(flags) > 1 else "overrides"
        _tell_once(f"{path}: {', '.join(found)} (detected; {' and '.join(flags)} {override} this).")


@functools.cache
def _tell_once(line):
    print(line, flush=True)


def spreadsheet(path):
    """Returns the InputError of a file that is a spreadsheet."""
    return InputError(
        f"{path} is a spreadsheet, which tfbert does not read; export it as CSV and give that: in Excel with File > "
        "Save As > CSV UTF-8, in LibreOffice with File > Save As > Text CSV, character set UTF-8."
    )


def _encoding_of(path):
    """Returns the encoding of a file, by the first block of it that is not ASCII; InputError if none is certain."""
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


def numbered_lines(path, encoding=None):
    """Yields (line number, text with its end) of a file, from 1; the encoding is as for `open_text`."""
    with open_text(path, encoding=encoding) as text:
        tell_format(path, None if encoding else text.encoding)
        yield from enumerate(lines_of(path, text), 1)


def _not_in(path, encoding):
    """Returns the InputError that names the first line of a file which is not in an encoding."""
    name = "UTF-8" if encoding == "utf-8" else encoding
    remedy = (
        "name its encoding, such as --encoding=cp1252 (Western European), gb18030 (Chinese) or cp1251 (Cyrillic), or "
        "convert it with `iconv -f ENCODING -t UTF-8`."
    )
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding, "surrogateescape", newline="") as text:
        with contextlib.suppress(UnicodeError):  # not every codec can go on after a fault
            for number, line in enumerate(lines_of(path, text), 1):
                if escaped := _ESCAPED.search(line):
                    byte = ord(escaped[0]) - 0xDC00
                    return InputError(f"{path}, line {number}: not {name} text (byte {byte:#04x}); {remedy}")
    return InputError(f"{path} is not {name} text; {remedy}")


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
