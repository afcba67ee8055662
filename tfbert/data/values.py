"""What a row's values may be: what is a text, what is an id, and how a row is named in a message."""

import datetime
import math
import numbers

from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean


def describe(where):
    """Returns a row's place for a message: (file, line) -> str."""
    return f"{where[0]}, line {where[1]}"


def missing_column(where, role, name, names):
    """Returns the InputError of a row that lacks a column.

    Args:
        where: (file, line).
        role: "text", "text_pair", "label" or "id".
        name: str. The column that was asked for.
        names: iterable of str. The columns that there are.
    """
    return InputError(
        f"{describe(where)}: there is no column {name!r}.{did_you_mean(name, names)} The columns are "
        f"{', '.join(map(repr, names))}; name the right one with --{role}_column."
    )


def check_count(name, value, least=1):
    """Raises InputError unless an argument (name: str) is a whole number, `least` at least; NumPy's, too."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"{name} must be a whole number, {least} at least. Received: {value!r:.60}.")


def text_of(value, name, where):
    """Returns a column's value as a text: str as it is, bytes decoded, a number as Python writes it.

    Raises:
        InputError: it is something else, such as null, a list of words or a mapping, or no UTF-8.
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
    hint = "; join its parts to one text" if isinstance(value, (list, tuple)) else ""
    raise InputError(
        f"{describe(where)}: column {name!r} holds a {type(value).__name__}, {_shown(value)}, where a text is "
        f"needed{hint}."
    )


def decoded(value, name, where):
    """Returns a value with the UTF-8 of bytes, and of those in a list, decoded; InputError if it is none."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{describe(where)}: column {name!r} is no UTF-8 text (byte {value[error.start]:#04x}); write it as "
                "UTF-8."
            ) from None
    return [decoded(item, name, where) for item in value] if isinstance(value, list) else value


def id_of(value):
    """Returns an id as JSON can hold it: numbers and texts as they are, NaN as None, all else as text.

    Dates and times become ISO 8601, bytes their text (hexadecimal digits where they are none), decimals and the like
    what they print.
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
