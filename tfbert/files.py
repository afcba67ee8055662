"""Files that are whole or not there, local or wherever `tf.io.gfile` reaches."""

import tensorflow as tf

from tfbert.errors import InputError


def write_whole(path, content):
    """Writes bytes to a file that is either whole or not there: under another name first, then renamed."""
    scratch = path + ".partial"
    try:
        with tf.io.gfile.GFile(scratch, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(scratch, path, overwrite=True)
    except tf.errors.OpError as error:
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.remove(scratch)
        raise InputError(f"{path} cannot be written ({error.message}); what was saved before is kept.") from None
