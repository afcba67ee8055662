"""tfbert.json of a saved model: what prediction needs besides the weights. It is untrusted input."""

import dataclasses
import json
import re
import reprlib

from tfbert.core.errors import InputError
from tfbert.data.windows import MERGES, LongText
from tfbert.models.activations import ACTIVATIONS
from tfbert.models.model_files import read_json
from tfbert.tasks import TASKS
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.tagging.schemes import PREFIXES


def about_of(model):
    """Returns what prediction needs besides the weights, the content of tfbert.json: str."""
    own = model.task.to_json()
    about = {"task": own.pop("task"), "labels": own.pop("labels")}
    about |= {"max_seq_length": model.max_seq_length, "text_columns": model.text_columns}
    about |= {"clean_text": model.tokenizer.clean} | model.about() | own
    return json.dumps(about, indent=2, ensure_ascii=False)


def about_of_ensemble(model, members):
    """Returns the content of tfbert.json of an ensemble with members in these folders: str."""
    return json.dumps({"members": members} | model.task.to_json(), indent=2, ensure_ascii=False)


def read_about(folder):
    """Returns the content of tfbert.json as a dict with validated values.

    Raises:
        InputError: it is damaged; the message names the value and what is needed.
    """
    about = read_json(folder, "tfbert.json")
    _check(about, ["task"], folder)
    _check(about, _ENSEMBLE if "members" in about else [*_MODEL, *TASKS[about["task"]].saved_keys], folder)
    return about


def _check(about, needed, folder):
    for name in needed:
        check, meaning = _CHECKS.get(name, (lambda value: True, ""))  # a custom task reads its own keys itself
        if name not in about:
            raise InputError(f"{folder}/tfbert.json is damaged: it has no {name}.")
        if not check(about[name]):
            raise InputError(
                f"{folder}/tfbert.json is damaged: {name} is {reprlib.repr(about[name])}; it must be {meaning}."
            )


def task_of(about, folder):
    """Returns the task of a saved model, from what `read_about` returned."""
    task = TASKS[about["task"]].from_json(about)
    for name, count in (("prior_shift", task.outputs), ("thresholds", len(task.threshold_labels))):
        values = getattr(task.decision, name)
        if values is not None and len(values) != count:
            raise InputError(f"{folder}/tfbert.json is damaged: {name} has {len(values)} values, not {count}.")
    return task


def _is_whole(value, least=1, most=10**6):
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _list_of(check, least=0, most=10**6):
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def _fields_of(kind, checks):
    names = {field.name for field in dataclasses.fields(kind)}

    def check(value):
        return isinstance(value, dict) and set(value) <= names and all(checks[name](value[name]) for name in value)

    return check


def _none_or(check):
    return lambda value: value is None or check(value)


def _is_text(value):
    return isinstance(value, str) and len(value) <= 1000


def _is_member(value):
    return isinstance(value, str) and re.fullmatch(r"members/\d{1,4}", value) is not None


_LONG_TEXT = {
    "strategy": lambda value: value in ("head", "tail", "head_tail", *MERGES),
    "head_pieces": _none_or(lambda value: _is_whole(value, 0)),
    "truncation": lambda value: value in ("longest_first", "only_first", "only_second"),
    "max_windows": lambda value: _is_whole(value, 1, 10_000),
    "stride": _none_or(_is_whole),
}
_DECISION = {
    "prior_shift": _none_or(_list_of(_is_number)),
    "temperature": lambda value: _is_number(value) and value > 0,
    "thresholds": _none_or(_list_of(_is_number)),
}
# Name -> (check of the value, description of valid values).
_CHECKS = {
    "task": (lambda value: isinstance(value, str) and value in TASKS, f"one of {', '.join(TASKS)}"),
    "labels": (
        _list_of(lambda value: isinstance(value, (str, int)) and not isinstance(value, bool)),
        "a list of texts or whole numbers",
    ),
    "max_seq_length": (lambda value: _is_whole(value, 3), "a whole number of at least 3"),
    "text_columns": (_list_of(_is_text, 1, 2), "one or two names"),
    "clean_text": (lambda value: isinstance(value, bool), "true or false"),
    "unanswerable": (lambda value: isinstance(value, bool), "true or false"),
    "definition": (lambda value: value in ("squad", "cmrc"), "squad or cmrc"),
    "doc_stride": (_is_whole, "a whole number of at least 1"),
    "max_query_length": (_is_whole, "a whole number of at least 1"),
    "max_answer_length": (_is_whole, "a whole number of at least 1"),
    "scheme": (_none_or(lambda value: value in PREFIXES), f"null, or one of {', '.join(PREFIXES)}"),
    "tag_decoding": (lambda value: value in ("argmax", "viterbi"), "argmax or viterbi"),
    "next_sentence": (lambda value: isinstance(value, bool), "true or false"),
    "pooling": (lambda value: _is_text(value) and len(value) < 50, "a name"),
    "head_layers": (_list_of(lambda value: _is_whole(value, 1, 10**5), most=100), "a list of sizes"),
    "head_activation": (lambda value: value in ["tanh", *ACTIVATIONS], f"one of tanh, {', '.join(ACTIVATIONS)}"),
    "long_text": (_fields_of(LongText, _LONG_TEXT), "the fields of LongText"),
    "decision": (_fields_of(Decision, _DECISION), "the fields of Decision"),
    "members": (_list_of(_is_member, 1, 1000), "a list of members/1, members/2 and so on"),
}
_ENSEMBLE = ("members", "labels", "decision")
_MODEL = ("max_seq_length", "text_columns", "clean_text")
