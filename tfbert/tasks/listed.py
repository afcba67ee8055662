"""Several labels in one cell: a list, its text form, or a vector of zeros and ones."""

import ast
import json
import re

from tfbert.core.errors import InputError
from tfbert.data.values import describe
from tfbert.tasks.labelled.labels import plain_label, reading, sorted_labels

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ALL_QUOTED = re.compile(rf"\s*(?:{_QUOTED})(?:[\s,]+(?:{_QUOTED}))*[\s,]*")
_NUMPY_SCALAR = re.compile(r"\bnp\.\w+\(([^()]*)\)")
_NUMPY_ARRAY = re.compile(r"(?:array|tensor)\((.*?)(?:,\s*dtype=[^)]*)?\)", re.DOTALL)
_BRACKETS = ("()", "[]", "{}")
_BITS = re.compile(r"[01]\.?(?:\s+[01]\.?)+")


def listed(label, where):
    """Returns the labels listed in a cell, as written: list.

    A text may separate them by commas, semicolons or bars, or be a list as printed by Python, NumPy or JSON.

    Raises:
        InputError: it is not a list, or is ambiguous.
    """
    label = label.tolist() if hasattr(label, "tolist") else label
    if isinstance(label, str):
        return _of_text(label.strip(), where)
    if isinstance(label, (list, tuple, set, frozenset)):
        return list(label)
    if isinstance(label, (int, float)) and not isinstance(label, bool) and label == label // 1:
        return [label]
    raise InputError(f"{describe(where)}: the labels {label!r} are not a list; give a list, or a text with commas.")


def learned_labels(examples):
    """Returns the labels of some rows, sorted; for vectors, the positions from 0.

    Args:
        examples: iterable of dict with `label` and `where`.

    Raises:
        InputError: labels cannot be read, or rows mix vectors with lists of names, or vectors of different lengths.
    """
    names, lengths, named, undecided = set(), {}, None, None
    for example in examples:
        label, where = listed(example["label"], example["where"]), example["where"]
        if repeats_bits(label):
            lengths.setdefault(len(label), where)
        elif len(label) == 2 and bits_of(label):
            undecided = undecided or (label, where)
        else:
            named = named or where
        _refuse_signs(label, where)
        names.update(plain_label(name, where) for name in label)
    if len(lengths) == 1 and max(lengths) > 2 and not named and not undecided:
        return list(range(max(lengths)))
    if lengths and (named or len(lengths) > 1):
        first, second = [*lengths.values(), named][:2]
        raise InputError(
            f"{describe(first)} has a vector of zeros and ones as labels, but {describe(second)} a list of names or a "
            "vector of another length; name the labels that apply in every row."
        )
    if lengths or (undecided and not named):
        _, where = undecided or (None, *lengths.values())
        raise InputError(
            f"{describe(where)}: two zeros and ones may be a vector or name the labels 0 and 1; name the labels that "
            'apply in every row, such as ["toxic"].'
        )
    return sorted_labels(names)


def _refuse_signs(label, where):
    """Raises InputError for a vector with -1, whose meaning is unclear."""
    found = [reading(value) if isinstance(value, (str, float, int)) else None for value in label]
    if "-1" in found and set(found) <= {"-1", "0", "1"} and len(set(found)) < len(found):
        raise InputError(
            f"{describe(where)}: the labels {label!r:.60} are a vector with -1; write 1 where a label applies and 0 "
            "where it does not, or name those that apply."
        )


def bits_of(label):
    """Returns the zeros and ones of a list, however written (1, 1.0, "1", true), or None: list -> list of int."""
    found = [_BIT.get(reading(value) if isinstance(value, (str, float, int)) else None) for value in label]
    return None if None in found else found


def repeats_bits(label):
    """Returns whether a list has only zeros and ones, one of them twice, which a list of names would not have."""
    found = bits_of(label)
    return bool(found) and len(set(found)) < len(found)


def _of_text(text, where):
    array = _NUMPY_ARRAY.fullmatch(text)
    text = array[1].strip() if array else text
    inner = text[1:-1]
    if text[:1] + text[-1:] == "[]" and len(text) > 1:
        return _of_list(inner, where)
    if text[:1] + text[-1:] in ("()", "{}") and len(text) > 1 and (not inner or "," in inner or inner[0] in "'\""):
        return _of_list(inner, where)
    if text.startswith("["):
        raise _unclear(text, where)
    if text == "set()":
        return []
    if _BITS.fullmatch(text):
        return text.split()
    marks = [mark for mark in ",;|" if mark in text]
    if len(marks) > 1 and marks != [",", "|"]:
        raise _unclear(text, where)
    if marks and _ALL_QUOTED.fullmatch(text) and len(re.findall(_QUOTED, text)) > 1:
        return _of_list(text, where)
    parts = text.split(marks[0]) if marks else [text]
    if _is_closed(text) and not all(map(_is_closed, parts)):
        raise _unclear(text, where)
    return [part.strip() for part in parts if part.strip()]


def _of_list(inner, where):
    """Returns the members of a list printed in brackets."""
    inner = _NUMPY_SCALAR.sub(r"\1", inner).strip()
    try:
        return json.loads(f"[{inner}]")
    except (ValueError, RecursionError):
        pass
    if _ALL_QUOTED.fullmatch(inner):
        try:
            return [ast.literal_eval(quoted) for quoted in re.findall(_QUOTED, inner)]
        except (ValueError, SyntaxError):
            raise _unclear(inner, where) from None
    parts = [part.strip() for part in (inner.split(",") if "," in inner else inner.split()) if part.strip()]
    words = "," not in inner and len(parts) > 1 and not all(map(_is_number, parts))
    if words or re.search(r"['\":\[\](){}]|\.\.\.", inner):
        raise _unclear(inner, where)
    return parts


def _is_closed(text):
    """Returns whether all brackets and quotes of a text are closed; a separator inside them may be part of a name."""
    return text.count('"') % 2 == 0 and all(text.count(first) == text.count(last) for first, last in _BRACKETS)


def _is_number(text):
    return bool(re.fullmatch(r"[+-]?\d+\.?\d*", text))


def _unclear(text, where):
    return InputError(
        f"{describe(where)}: the labels {text[:80]!r} are ambiguous; give a list, or a text in which "
        "they are separated only by commas."
    )


_BIT = {"0": 0, "1": 1, "false": 0, "true": 1}
