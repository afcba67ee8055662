"""Reading files of model folders, which are untrusted: sizes are bounded, and files must be in the folder."""

import json
import os
import tempfile

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import read_bounded


def read_json(folder, file):
    """Returns the content of a JSON file of a model folder: dict.

    Args:
        folder: str.
        file: str.

    Raises:
        InputError: it is missing, damaged, larger than 100 MB, or not a JSON object.
    """
    path = os.path.join(folder, file)
    try:
        content = json.loads(read_bounded(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is damaged: {first_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it holds {type(content).__name__}, but a JSON object is needed.")
    return content


def optional_json(folder, file):
    """Returns what `read_json` does, or an empty dict if there is no such file."""
    return read_json(folder, file) if has_file(folder, file) else {}


def has_file(folder, file):
    """Returns whether a model folder has a file."""
    return tf.io.gfile.exists(os.path.join(folder, file))


def local_file(path):
    """Returns a local path with the content of `path`, copied if it is remote, for libraries that map files."""
    if "://" not in path:
        return path
    copy = os.path.join(tempfile.mkdtemp(), os.path.basename(path))
    tf.io.gfile.copy(path, copy)
    return copy


def file_inside(folder, name, where):
    """Returns the name of a file that a file of a model folder refers to; raises InputError unless it is in the folder.

    Args:
        folder: str. For the message.
        name: the value found as a name.
        where: str. Which file refers to it.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise InputError(f"{where} in {folder} refers to {name!r}; it may refer only to files in the same folder.")
    return name


def first_line(error):
    """Returns the first line of an error's message, ending in a full stop, without one that introduces a list."""
    lines = str(error).strip().splitlines()
    line = lines[0].rstrip(".") if lines else type(error).__name__
    if line.endswith(":"):
        line = line.rpartition(". ")[0] or line.rstrip(":")
    return line + "."
