"""Rare classes: the settings."""

import dataclasses

from tfbert.config.setting import setting


@dataclasses.dataclass(frozen=True)
class BalanceConfig:
    """Rare classes: what training sees of them, what a mistake costs, and when they are predicted."""

    oversample: tuple[str, ...] = setting(
        (), "LABEL=FACTOR: an epoch takes each training row of this label so many times; repeatable"
    )
    undersample: tuple[str, ...] = setting(
        (), "LABEL=ROWS: an epoch takes so many training rows of this label, the next one others; repeatable"
    )
    balance: str = setting(
        "none",
        "Classes in an epoch: as in the data, in proportion to the square root of their rows, or all alike; as many "
        "rows as there are",
        choices=("none", "sqrt", "uniform"),
    )
    class_weights: tuple[str, ...] = setting(
        (), "balanced, or LABEL=WEIGHT: a factor of the training loss of this label's rows; repeatable"
    )
    loss: str = setting("cross_entropy", "What is trained on", choices=("cross_entropy", "focal"))
    focal_gamma: float = setting(
        2.0, "How much the focal loss cares less for what is right already", minimum=0.0, needs={"loss=focal": ""}
    )
    focal_alpha: float | None = setting(
        None,
        "The focal loss' weight of the second of two classes, or of labels that hold; the other side has the rest of 1",
        above=0.0,
        below=1.0,
        needs={"loss=focal": ""},
        excludes={"class_weights": "both weigh the classes"},
    )
    logit_adjustment: float = setting(
        0.0,
        "Add so many times the log-prior to the logits in training, and not in prediction: favours rare classes; "
        "1 is usual",
        minimum=0.0,
    )
    correct_prior: bool = setting(
        False,
        "Take predicted probabilities back to the prior of the training data, where one of these changed it",
        needs={"oversample or undersample or balance or class_weights or logit_adjustment": "which changes the prior"},
        excludes={"loss=focal": "what the focal loss learns is no probability under any prior"},
    )
    tune_threshold: str | None = setting(
        None,
        "Choose the probability from which the second of two classes, or each of several labels, is predicted: the "
        "best on dev_file by this metric; kept with the model",
        choices=("accuracy", "balanced_accuracy", "f1", "mcc"),
        needs={"dev_file or folds": "on which to evaluate"},
    )
    positive_label: str | None = setting(
        None,
        "Of two labels the one that F1, precision, recall and the threshold are about, such as the rare one; kept with "
        "the model; default: the one that sorts last",
    )
    calibrate: bool = setting(
        False,
        "Divide the logits by a temperature, fitted on dev_file; kept with the model: more honest probabilities",
        needs={"dev_file or folds": "on which to evaluate"},
    )
