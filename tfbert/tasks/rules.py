"""Rules of each kind of task for the settings, available before TensorFlow is loaded."""

import dataclasses

from tfbert.tasks import TASKS

_RAW_TEXT = (
    "masked_lm_prob",
    "max_predictions_per_seq",
    "whole_word_masking",
    "max_ngram",
    "dynamic_masking",
    "next_sentence",
    "short_seq_prob",
    "short_seq_length",
    "short_seq_share",
    "held_out",
    "held_out_columns",
    "leaks",
)
_CLASSES = (
    "oversample",
    "undersample",
    "balance",
    "class_weights",
    "loss",
    "focal_gamma",
    "focal_alpha",
    "logit_adjustment",
    "correct_prior",
    "tune_threshold",
    "positive_label",
    "calibrate",
    "label_smoothing",
)
_ONE_TEXT = (
    "text_pair_column",
    "dev_share",
    "test_share",
    "split_seed",
    "halve_dev",
    "long_text",
    "truncation",
    "group_column",
    "augment",
    "windows_per_step",
    "folds",
    "fold",
    "pooling",
    "head_layers",
    "head_activation",
)
_WORDS = ("tag_decoding",)
_QUESTIONS = ("doc_stride", "max_query_length", "max_answer_length")
# What needs one vector and one answer for each text.
_ONE_ANSWER = {
    "folds": "an ensemble averages one answer for each text",
    "fold": "an ensemble averages one answer for each text",
    "halve_dev": "give --dev_file and --test_file, or --dev_share and --test_share",
} | dict.fromkeys(("group_column", "windows_per_step", "pooling", "head_layers", "head_activation"), "")
_SPANS = _ONE_ANSWER | {
    "long_text": "long contexts go through windows, by --doc_stride",
    "truncation": "contexts are not truncated",
    "clean_text": "answers are slices of the context as it is",
    "augment": "a changed context would lose its answer",
}
_TAGS = _ONE_ANSWER | {
    "long_text": "long sentences are tagged in overlapping windows",
    "truncation": "sentences are not truncated",
    "clean_text": "words are tagged as they are",
    "augment": "a changed word would lose its tag",
    "oversample": "a sentence has many tags",
    "undersample": "a sentence has many tags",
    "balance": "a sentence has many tags",
} | dict.fromkeys(
    (
        "text_pair_column",
        "focal_alpha",
        "correct_prior",
        "tune_threshold",
        "positive_label",
        "calibrate",
    ),
    "",
)
_EACH_LABEL = "each label has scores and a threshold of its own"
_SEVERAL = "a row may have several labels; --oversample takes the largest factor among them"


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules of a task for the settings.

    Attributes:
        ignores: dict of setting -> why it has no effect, "" if that is obvious. Giving one is refused.
        least: dict of setting -> its minimum.
        default_columns: (str, str or None, str). The columns of text, second text and label, unless settings name
            others.
    """

    ignores: dict = dataclasses.field(default_factory=dict)
    least: dict = dataclasses.field(default_factory=dict)
    default_columns: tuple = ("text", None, "label")


_LABELLED = dict.fromkeys((*_RAW_TEXT, *_WORDS, *_QUESTIONS), "")

# The rules of the built-in tasks, here so that settings can be checked without importing the classes.
RULES = {
    "classification": Rules(_LABELLED),
    "multilabel": Rules(
        _LABELLED | dict.fromkeys(("undersample", "balance"), _SEVERAL) | {"positive_label": _EACH_LABEL}
    ),
    "regression": Rules(_LABELLED | dict.fromkeys(_CLASSES, "there are no labels")),
    "tagging": Rules(
        dict.fromkeys((*_RAW_TEXT, *_QUESTIONS), "") | _TAGS, default_columns=("tokens", None, "tags")
    ),
    "span": Rules(
        dict.fromkeys((*_RAW_TEXT, *_WORDS, *_CLASSES), "") | _SPANS, default_columns=("question", "context", "answers")
    ),
    # With fewer tokens a pair of segments may have no word to mask.
    "masked_lm": Rules(dict.fromkeys((*_ONE_TEXT, *_CLASSES, *_WORDS, *_QUESTIONS), ""), {"max_seq_length": 8}),
}


def rules_of(task):
    """Returns the Rules of a task, by its name in TASKS."""
    return RULES[task] if task in RULES else TASKS[task].rules
