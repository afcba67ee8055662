"""Suggestions for mistyped names."""

import difflib


def did_you_mean(name, known):
    """Returns " Did you mean 'x'?", to be appended to a sentence, if one of the known names is close; else "".

    Args:
        name: the name that was received, of any type. Case is ignored, and `-` counts as `_`.
        known: iterable of str.
    """
    spellings = {_plain(other): other for other in map(str, known)}
    close = difflib.get_close_matches(_plain(str(name)), spellings, n=1, cutoff=0.75)
    return f" Did you mean {spellings[close[0]]!r}?" if close else ""


def _plain(name):
    return name.lower().replace("-", "_")
