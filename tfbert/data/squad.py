"""Questions with the context that answers them: SQuAD's JSON and its Chinese variants, or rows of JSON."""

import json

from tfbert.core.errors import InputError
from tfbert.data.lines import open_text


def read_questions(path, columns, encoding, otherwise):
    """Yields (number, row) of a JSON file: the questions of SQuAD's articles in order, or the rows of any other file.

    Known are SQuAD 1.1 and 2.0, with which DRCD agrees, and CMRC 2018 in its own form, where answers have no place.

    Args:
        path: str.
        columns: dict, role -> name; question, context, answers and id are found as `text`, `text_pair`, `label`, `id`.
        encoding: str or None. As for `open_text`.
        otherwise: callable (path, columns, encoding) -> the rows of a file that is not in such a form.

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
        yield from otherwise(path, columns, encoding)
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
