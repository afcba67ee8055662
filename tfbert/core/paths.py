"""Paths as people write them: `~` is the home folder, as in a shell, which leaves it alone in `--output_dir=~/run`."""

import os
import re

from tfbert.core.errors import InputError

# What may stand before a path, of a preset, an augmentation, a database.
_HOME = re.compile(r"(config:|masked_words:|sqlite:///)?(~.*)", re.DOTALL)


def read_path(path):
    """Returns a path as text, its `~` or `~user` replaced by that home folder; anything else as it is.

    Args:
        path: str or os.PathLike. What is no path, such as the name of a preset, is returned unchanged.

    Raises:
        InputError: there is no such home folder.
    """
    path = os.fspath(path)
    found = _HOME.fullmatch(path)
    if not found:
        return path
    expanded = os.path.expanduser(found[2])
    if expanded.startswith("~"):
        raise InputError(f"{path}: there is no home folder {found[2].split('/')[0]}; a file of that name is ./{path}.")
    return (found[1] or "") + expanded
