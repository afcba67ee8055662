"""Expansion of `~` in paths, which a shell does not do in `--output_dir=~/run`."""

import os
import re

from tfbert.core.errors import InputError

# Prefixes that a path may have: of a preset, an augmentation or a database.
_HOME = re.compile(r"(config:|masked_words:|sqlite:///)?(~.*)", re.DOTALL)


def read_path(path):
    """Returns a path as str, with a leading `~` or `~user` replaced by that home folder.

    Args:
        path: str or os.PathLike. Anything that is not a path, such as a preset's name, is returned unchanged.

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
