"""Values of a row: reading texts and ids, and naming a row in messages."""

import datetime
import math
import numbers

from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean


def describe(where):
    """Returns the place of a row for a message: (file, line) -> str."""
    return f"{where[0]}, line {where[1]}"


def missing_column(where, role, name, names):
    """Returns the InputError for a row that lacks a column.

    Args:
        where: (file, line).
        role: "text", "text_pair", "label" or "id".
        name: str. The requested column.
        names: iterable of str. The existing columns.
    """
    return InputError(
        f"{describe(where)}: there is no column {name!r}.{did_you_mean(name, names)} The columns are "
        f"{', '.join(map(repr, names))}; set the right one with --{role}_column."
    )


def check_count(name, value, least=1):
    """Raises InputError unless an argument (name: str) is an integer, NumPy's included, of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}. Received: {value!r:.60}.")


def text_of(value, name, where):
    """Returns a column's value as text: str as it is, bytes decoded, a number as Python prints it.

    Raises:
        InputError: it is something else, such as null, a list of words or a mapping, or is not UTF-8.
    """
    if type(value) is str:
        return value
    if value is None:
        raise InputError(f"{describe(where)}: column {name!r} is null; a text is needed (it may be empty).")
    value = decoded(value, name, where)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    hint = "; join its parts into one text" if isinstance(value, (list, tuple)) else ""
    raise InputError(
        f"{describe(where)}: column {name!r} holds a {type(value).__name__}, {_shown(value)}, but text is "
        f"needed{hint}."
    )


def decoded(value, name, where):
    """Returns a value with bytes, also inside a list, decoded as UTF-8; raises InputError if they are not UTF-8."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{describe(where)}: column {name!r} is not UTF-8 text (byte {value[error.start]:#04x}); save it as "
                "UTF-8."
            ) from None
    return [decoded(item, name, where) for item in value] if isinstance(value, list) else value


def id_of(value):
    """Returns an id as JSON can represent it: numbers and texts as they are, NaN as None, anything else as text.

    Dates and times become ISO 8601, bytes their UTF-8 text or else hexadecimal digits, decimals and the like what they
    print.
    """
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return None
    if value is None or type(value) in (str, int, bool, float):
        return value
    if isinstance(value, bytes):
        return _text_or_hex(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(id_of(key)): id_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [id_of(item) for item in value]
    return id_of(value.item()) if hasattr(value, "dtype") and value.ndim == 0 else str(value)


def _text_or_hex(value):
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
