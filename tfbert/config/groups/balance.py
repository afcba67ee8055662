"""Rare classes: the settings."""

import dataclasses

from tfbert.config.setting import setting


@dataclasses.dataclass(frozen=True)
class BalanceConfig:
    """Rare classes: sampling, loss and decision threshold."""

    oversample: tuple[str, ...] = setting(
        (), "LABEL=FACTOR: repeat each training row of this label FACTOR times per epoch; repeatable"
    )
    undersample: tuple[str, ...] = setting(
        (), "LABEL=ROWS: use only this many training rows of this label per epoch, different ones each time; repeatable"
    )
    balance: str = setting(
        "none",
        "Distribution of the classes in an epoch: as in the data, proportional to the square root of their sizes, or "
        "uniform; the number of rows stays the same",
        choices=("none", "sqrt", "uniform"),
    )
    class_weights: tuple[str, ...] = setting(
        (),
        "balanced, or LABEL=WEIGHT: weight of the rows of this label in the training loss; repeatable",
        also="class_weight weighted_loss=balanced",
    )
    loss: str = setting("cross_entropy", "Training loss", choices=("cross_entropy", "focal"))
    focal_gamma: float = setting(
        2.0,
        "Focusing parameter γ of the focal loss: how strongly examples that are already classified well are "
        "down-weighted",
        minimum=0.0,
        needs={"loss=focal": ""},
        also="gamma",
    )
    focal_alpha: float | None = setting(
        None,
        "Weight α of the positive class (the second of two classes, or labels that apply) in the focal loss; the "
        "negative class has 1 - α",
        above=0.0,
        below=1.0,
        needs={"loss=focal": ""},
        excludes={"class_weights": "both weight the classes"},
    )
    logit_adjustment: float = setting(
        0.0,
        "Strength τ of logit adjustment: add τ times the log prior of each class to the logits in training, but not "
        "in prediction; favours rare classes; usually 1",
        minimum=0.0,
    )
    correct_prior: bool = setting(
        False,
        "Convert predicted probabilities back to the class prior of the training data where sampling, class weights "
        "or logit adjustment changed it",
        needs={"oversample or undersample or balance or class_weights or logit_adjustment": "which changes the prior"},
        excludes={"loss=focal": "the focal loss does not learn probabilities under any prior"},
    )
    tune_threshold: str | None = setting(
        None,
        "Metric by which the decision threshold is tuned on dev_file, for the second of two classes or for each of "
        "several labels; the threshold is saved with the model",
        choices=("accuracy", "balanced_accuracy", "f1", "mcc"),
        needs={"dev_file or dev_share or folds": "on which to evaluate"},
    )
    positive_label: str | None = setting(
        None,
        "Which of two labels F1, precision, recall and the threshold refer to, usually the rare one; saved with the "
        "model; default: the one that sorts last",
        also="pos_label positive_class",
    )
    calibrate: bool = setting(
        False,
        "Calibrate the probabilities by a temperature fitted on dev_file; it is saved with the model",
        needs={"dev_file or dev_share or folds": "on which to evaluate"},
    )
