"""Atomic reading and writing of files, local or on any file system that `tf.io.gfile` supports."""

import contextlib
import json
import math
import uuid

import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import save, save_file

from tfbert.core.errors import CannotWrite, InputError

# Limit for files that are read whole; a tokenizer.json with half a million tokens has 20 MB.
_MOST_BYTES = 100 * 2**20


def json_of(value, **options):
    """Returns a value as JSON; non-finite numbers, which JSON lacks, are left out of dicts and null in lists.

    Args:
        value: dict, list, str, number or None.
        options: those of `json.dumps`.
    """
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value):
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items() if _is_finite(each)}
    if isinstance(value, (list, tuple)):
        return [_finite(each) if _is_finite(each) else None for each in value]
    return value


def _is_finite(value):
    return not isinstance(value, float) or math.isfinite(value)


def read_bounded(path):
    """Returns the content of a small file, bytes.

    Args:
        path: str.

    Raises:
        InputError: it is missing, larger than 100 MB, or cannot be read.
    """
    try:
        size = tf.io.gfile.stat(path).length
        if size > _MOST_BYTES:
            raise InputError(f"{path} has {size:,} bytes; at most {_MOST_BYTES:,} bytes are allowed.")
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    except tf.errors.NotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be read: {error.message}.") from None


def write_whole(path, content):
    """Writes a file atomically: to a temporary name first, which is then renamed.

    Several processes may write the same file at once; the last one wins.

    Args:
        path: str.
        content: bytes, or an iterable of bytes, written one after another.

    Raises:
        CannotWrite: it could not be written; an existing file is kept.
    """
    with _renamed_when_whole(path) as scratch, tf.io.gfile.GFile(scratch, "wb") as file:
        file.write(b"")  # creates the file even if there is no content
        for block in [content] if isinstance(content, bytes) else content:
            file.write(block)


def write_tensors(path, tensors, about):
    """Writes a safetensors file atomically, as `write_whole` does.

    Args:
        path: str.
        tensors: dict of str to np.ndarray.
        about: dict of str to str, the file's metadata.

    Raises:
        CannotWrite: it could not be written; an existing file is kept.
    """
    if "://" in path:
        return write_whole(path, save(tensors, about))
    with _renamed_when_whole(path) as scratch:  # directly from the arrays; `save` would copy them twice
        save_file(tensors, scratch, about)


def remove_folder(folder):
    """Removes a folder and its content; does nothing if it does not exist or another process removes it first."""
    with contextlib.suppress(tf.errors.NotFoundError):
        tf.io.gfile.rmtree(folder)


@contextlib.contextmanager
def _renamed_when_whole(path):
    """Yields a temporary name to write to, which is renamed to `path` if the `with` block succeeds."""
    scratch = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    try:
        yield scratch
        tf.io.gfile.rename(scratch, path, overwrite=True)
    except (tf.errors.OpError, SafetensorError, OSError) as error:
        reason = getattr(error, "message", error)
        raise CannotWrite(f"{path} cannot be written ({reason}); what was saved before is kept.") from None
    finally:
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.remove(scratch)
