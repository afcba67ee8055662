"""Checks of an optimiser's arguments in its constructor, so that a step cannot fail silently."""

import math
import numbers
import re

from tfbert.core.errors import InputError


def number(name, value, below=math.inf, optional=False):
    """Returns a number of at least 0 as a float, or None if that is allowed.

    Args:
        name: str. The argument, for the message.
        value: the value received.
        below: float. What the number must be less than.
        optional: bool. Whether None is allowed.

    Raises:
        InputError: it is not a number, not finite, or out of range.
    """
    if value is None and optional:
        return None
    if not (isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= value < below):
        limit = "finite" if below == math.inf else f"below {below:g}"
        none = ", or None" if optional else ""
        raise InputError(f"{name} must be a number of 0 or more, {limit}{none}. Received: {name}={value!r}.")
    return float(value)


def patterns(name, given):
    """Returns regular expressions as a list of str; raises InputError if they are not.

    Args:
        name: str. The argument, for the message.
        given: the value received.
    """
    if isinstance(given, str) or not all(isinstance(pattern, str) for pattern in given):
        raise InputError(f"{name} must be a list of regular expressions. Received: {name}={given!r}.")
    for pattern in given:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InputError(
                f"{name} must be regular expressions, such as {r'.*/bias'!r}. Received: {pattern!r} ({error})."
            ) from None
    return list(given)


def pairs(name, given, whole=False):
    """Returns (regex, value) pairs: list of (str, float), or of (str, int) with `whole`; raises InputError.

    Args:
        name: str. The argument, for the message.
        given: the value received.
        whole: bool. Whether the values must be whole numbers.
    """
    try:
        given = [(pattern, value) for pattern, value in given]
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a list of (regex, value) pairs. Received: {name}={given!r}.") from None
    values = [number(f"The value of {pattern!r} in {name}", value) for pattern, value in given]
    if whole and any(value % 1 for value in values):
        raise InputError(f"The values of {name} must be whole numbers. Received: {name}={given!r}.")
    return list(zip(patterns(name, [pattern for pattern, _ in given]), map(int, values) if whole else values))
