"""The answers of a question, in the forms that data sets have."""

from tfbert.core.errors import InputError
from tfbert.data.values import decoded, describe


def answers_of(value, name, where):
    """Returns the answers of a cell: list of (text, place of its first character in the context, None: unknown).

    Args:
        value: list of {"text", "answer_start"} or of texts; {"text": [...], "answer_start": [...]} as in Hugging Face's
            and TFDS's data sets; or one text. Empty: there is no answer.
        name: str. The column.
        where: (file, line).

    Raises:
        InputError: it is something else.
    """
    if isinstance(value, dict):
        texts, places = (_plain(value.get(key, [])) for key in ("text", "answer_start"))
        texts, places = ([part] if not isinstance(part, list) else part for part in (texts, places))
        found = list(zip(texts, places)) if len(texts) == len(places) else None
    elif isinstance(value, list):
        found = [(a.get("text"), a.get("answer_start")) if isinstance(a, dict) else (a, None) for a in value]
    else:
        found = [] if value in (None, "") else [(value, None)]
    found = None if found is None else [(decoded(text, name, where), place) for text, place in found]
    if found is None or not all(isinstance(text, str) and _is_place(place) for text, place in found):
        raise InputError(
            f"{describe(where)}: column {name!r} holds {value!r:.80}, but answers are needed, as [{{\"text\": …, "
            '"answer_start": …}] or {"text": […], "answer_start": […]}.'
        )
    return [(text, place if place is None or place >= 0 else None) for text, place in found]


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else value


def _is_place(place):
    return place is None or (isinstance(place, int) and not isinstance(place, bool))
