"""Files that are whole or not there, local or wherever `tf.io.gfile` reaches."""

import uuid

import tensorflow as tf

from tfbert.errors import InputError


def write_whole(path, content):
    """Writes a file that is either whole or not there: under a name of its own first, then renamed.

    Several processes may write the same file at once; the last one's stays.

    Args:
        path: str.
        content: bytes, or an iterable of bytes, written one after another.

    Raises:
        InputError: It cannot be written.
    """
    scratch = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    try:
        with tf.io.gfile.GFile(scratch, "wb") as file:
            for block in [content] if isinstance(content, bytes) else content:
                file.write(block)
        tf.io.gfile.rename(scratch, path, overwrite=True)
    except tf.errors.OpError as error:
        raise InputError(f"{path} cannot be written ({error.message}); what was saved before is kept.") from None
    finally:
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.remove(scratch)
