"""Users' own augmentations, as `--augment=MODULE:FUNCTION` names them."""


def shout(text, rng):
    """Returns the text in capitals with up to two exclamation marks."""
    return text.upper() + "!" * int(rng.integers(3))


def broken(text, rng):
    """Fails, or returns no text."""
    return None if "down" in text else 1 / 0
