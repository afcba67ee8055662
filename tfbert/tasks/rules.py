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
_EACH_LABEL = "each label has scores and a threshold of its own"
_SEVERAL = "a row may have several labels; --oversample takes the largest factor among them"


@dataclasses.dataclass(frozen=True)
class Rules:
    """The rules of a task for the settings.

    Attributes:
        ignores: dict of setting -> why it has no effect, "" if that is obvious. Giving one is refused.
        least: dict of setting -> its minimum.
    """

    ignores: dict = dataclasses.field(default_factory=dict)
    least: dict = dataclasses.field(default_factory=dict)


_LABELLED = dict.fromkeys(_RAW_TEXT, "")

# The rules of the built-in tasks, here so that settings can be checked without importing the classes.
RULES = {
    "classification": Rules(_LABELLED),
    "multilabel": Rules(
        _LABELLED | dict.fromkeys(("undersample", "balance"), _SEVERAL) | {"positive_label": _EACH_LABEL}
    ),
    "regression": Rules(_LABELLED | dict.fromkeys(_CLASSES, "there are no labels")),
    # With fewer tokens a pair of segments may have no word to mask.
    "masked_lm": Rules(dict.fromkeys((*_ONE_TEXT, *_CLASSES), ""), {"max_seq_length": 8}),
}


def rules_of(task):
    """Returns the Rules of a task, by its name in TASKS."""
    return RULES[task] if task in RULES else TASKS[task].rules
