"""Files that are whole or not there, local or wherever `tf.io.gfile` reaches."""

import contextlib
import uuid

import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import save, save_file

from tfbert.core.errors import InputError


def write_whole(path, content):
    """Writes a file that is either whole or not there: under a name of its own first, then renamed.

    Several processes may write the same file at once; the last one's stays.

    Args:
        path: str.
        content: bytes, or an iterable of bytes, written one after another.

    Raises:
        InputError: It cannot be written.
    """
    with _renamed_when_whole(path) as scratch, tf.io.gfile.GFile(scratch, "wb") as file:
        for block in [content] if isinstance(content, bytes) else content:
            file.write(block)


def write_tensors(path, tensors, about):
    """Writes a safetensors file that is either whole or not there, as `write_whole` does.

    Args:
        path: str.
        tensors: dict of str to np.ndarray.
        about: dict of str to str, the file's metadata.

    Raises:
        InputError: It cannot be written.
    """
    if "://" in path:
        return write_whole(path, save(tensors, about))
    with _renamed_when_whole(path) as scratch:  # straight from the arrays, where `save` copies them twice
        save_file(tensors, scratch, about)


@contextlib.contextmanager
def _renamed_when_whole(path):
    """Gives a `with` block a name to write to, which becomes `path` if the block comes to its end."""
    scratch = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    try:
        yield scratch
        tf.io.gfile.rename(scratch, path, overwrite=True)
    except (tf.errors.OpError, SafetensorError) as error:
        reason = getattr(error, "message", error)
        raise InputError(f"{path} cannot be written ({reason}); what was saved before is kept.") from None
    finally:
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.remove(scratch)
