"""Questions with the text that answers them: SQuAD's JSON and its Chinese variants, and rows of any other file."""

import json

from tfbert.core.errors import InputError
from tfbert.data.json_rows import read_json
from tfbert.data.lines import open_text
from tfbert.data.values import decoded, describe


def read_questions(path, columns, encoding=None):
    """Yields (number, row) of a JSON file: the questions of SQuAD's articles in order, or the rows of any other file.

    Known are SQuAD 1.1 and 2.0, with which DRCD agrees, and CMRC 2018 in its own form, where answers have no place.

    Args:
        path: str.
        columns: dict, role -> name; question, context, answers and id are found as `text`, `text_pair`, `label`, `id`.
        encoding: str or None. As for `open_text`.

    Raises:
        InputError: it cannot be read, or a part of it is missing; the question is named.
    """
    try:
        with open_text(path, None, encoding) as text:
            content = json.load(text)
    except (ValueError, RecursionError):
        content = None  # an object a line, or damaged, which the reader of rows says
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        found = _of_articles(content["data"])
    elif isinstance(content, list) and content and isinstance(content[0], dict) and "context_text" in content[0]:
        found = _of_texts(content)
    else:
        yield from read_json(path, columns, encoding)
        return
    number = 0
    try:
        for number, (identity, question, context, answers) in enumerate(found, 1):
            row = {"id": identity, "text": question, "text_pair": context, "label": answers}
            yield number, {name: row[role] for role, name in columns.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}, after question {number}: not SQuAD's format, which has data, paragraphs, context, qas, question, "
            f"answers and answer_start ({type(error).__name__}: {error})."
        ) from None


def _of_articles(articles):
    for article in articles:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [] if question.get("is_impossible") else question.get("answers", [])
                yield question.get("id"), question["question"], paragraph["context"], answers


def _of_texts(texts):
    """Yields the questions of CMRC 2018's own form."""
    for text in texts:
        for question in text["qas"]:
            yield question["query_id"], question["query_text"], text["context_text"], question.get("answers", [])


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
