"""The base class of tasks whose answers are labels."""

import numpy as np

from tfbert.core.errors import InputError
from tfbert.tasks.labelled.balance import class_weights_of, epoch_draws, prior_shift
from tfbert.tasks.labelled.calibration import check_fit, describe_fit, fit_decision
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.labelled.labels import LabelSet, answers
from tfbert.tasks.labelled.loss_options import LossOptions
from tfbert.tasks.labelled.mislabelled import likely_mislabelled
from tfbert.tasks.labelled.quality import Quality
from tfbert.tasks.rules import RULES
from tfbert.tasks.scores.metrics import confidences
from tfbert.tasks.text_task import TextTask

# Of two labels, one with a smaller share is rare.
_RARE = 0.2


class LabelledTask(TextTask):
    """Predicts labels known from the training data, each with a probability.

    Attributes, besides those of Task:
        options: LossOptions. What `training_loss` adds to `loss`; keyword arguments of the constructor.
    """

    rules = RULES["classification"]

    def __init__(self, labels, **options):
        """Takes the labels (list of str or int, by number) and the LossOptions as keyword arguments."""
        self._set, self.options = LabelSet(labels), LossOptions(**options)
        super().__init__(self._set.labels)
        self.outputs = len(self.labels)

    def arguments(self):
        return super().arguments() | vars(self.options)

    def indicators(self, labels):
        """Returns which labels each row has, or gets as an answer, as 0 or 1: [N, ...] -> int [N, outputs]."""
        raise NotImplementedError

    def probabilities(self, outputs):
        """Returns the probability of each label: float [N, outputs] -> float64 [N, outputs]."""
        raise NotImplementedError

    def guesses(self, outputs):
        """Returns the predicted labels, encoded: float [N, outputs] -> int [N, ...]."""
        raise NotImplementedError

    def label_counts(self, labels, rates=None):
        """Returns the number of rows with each label: float64 [outputs].

        Args:
            labels: np.ndarray [N, ...].
            rates: float [N] or None. How often each row counts; None: once.
        """
        rates = np.ones(len(labels)) if rates is None else rates
        return rates @ self.indicators(labels)

    def balanced_weights(self, counts, rows):
        """Returns the class weights that balance the labels: float64 [outputs].

        Args:
            counts: float [outputs]. As `label_counts` returns them.
            rows: float. Total number of rows.
        """
        raise NotImplementedError

    def log_prior(self, counts, rows):
        """Returns the log-prior of each label: float64 [outputs]; arguments as above."""
        raise NotImplementedError

    def draws(self, labels, factors, fewer, balance):
        """Returns which examples an epoch has: GroupDraws.

        Args:
            labels: np.ndarray [N, ...].
            factors: float [outputs]. How often an epoch has the rows of each label.
            fewer: dict of int -> int. Number of rows of a label in an epoch, by label number.
            balance: "none", "sqrt" or "uniform", as `epoch_draws` takes it.
        """
        raise NotImplementedError

    @property
    def threshold_labels(self):
        return self.labels

    @property
    def curves(self):
        """The labels for which a precision-recall curve is drawn, by number: sequence of int."""
        return range(self.outputs)

    def rare_metrics(self, rarest):
        """Returns the score that is sensitive to a rare label, and the metric to tune its threshold for: str, str."""
        return "f1_macro", "mcc"

    def confusions(self, labels, outputs):
        """Returns the confusion matrix: int [outputs, outputs]; None if rows may have several labels."""
        return None

    def graph_key(self):
        return super().graph_key() | {
            "loss": {name: np.asarray(value).tolist() for name, value in vars(self.options).items()}
        }

    def answered(self, outputs):
        return np.asarray(self.predicted(outputs))

    def predictions(self, outputs):
        """Returns the predictions for output: float [N, outputs] -> list of {"label", "probabilities"}."""
        return answers(self, self.guesses(outputs), self.probabilities(outputs))

    def check_fit(self, labels, calibrate=False, metric=None):
        check_fit(self, labels, calibrate, metric)

    def fit_decision(self, labels, outputs, calibrate=False, metric=None):
        return fit_decision(self, labels, outputs, calibrate, metric)

    def describe_fit(self, labels, calibrate=False, metric=None):
        return describe_fit(self, labels, calibrate, metric)

    def check_threshold(self, metric):
        if metric and not self.threshold_labels:
            raise InputError(
                f"--tune_threshold={metric} needs two classes, or --task=multilabel; the training data has "
                f"{self.outputs}: {', '.join(map(str, self.labels[:30]))}."
            )

    def for_training(
        self,
        batches,
        *,
        oversample=(),
        undersample=(),
        balance="none",
        class_weights=(),
        loss="cross_entropy",
        focal_gamma=2.0,
        focal_alpha=None,
        logit_adjustment=0.0,
        correct_prior=False,
        label_smoothing=0.0,
        tune_threshold=None,
    ):
        """Returns (task, batches): the task with the training loss, and the batches with the sampling of an epoch.

        Raises:
            InputError: a label is unknown or has no rows although it needs some, or there is no threshold to tune.
        """
        self.check_threshold(tune_threshold)
        labels = batches.examples.labels
        draws = epoch_draws(self, labels, oversample, undersample, balance)
        counts, rows = self.label_counts(labels), len(labels)
        true = self.log_prior(counts, rows)
        if draws:
            counts, rows = self.label_counts(labels, draws.rates), draws.size
        needs_all = correct_prior or logit_adjustment or class_weights == ("balanced",)
        if needs_all and not counts.all():
            raise InputError(
                f"No training row has the label {self.labels[int(counts.argmin())]!r}, which --class_weights=balanced, "
                "--logit_adjustment and --correct_prior need; with --folds all its rows may be in one fold."
            )
        sampled = self.log_prior(counts, rows)
        weights = class_weights_of(self, class_weights, counts, rows)
        balanced = type(self)(
            self.labels,
            label_smoothing=label_smoothing,
            class_weights=weights,
            focal_gamma=focal_gamma if loss == "focal" else None,
            focal_alpha=focal_alpha,
            logit_offsets=logit_adjustment * sampled if logit_adjustment else None,
        )
        if correct_prior:
            balanced.decision = Decision(tuple(prior_shift(true, sampled, weights, logit_adjustment).tolist()))
        return balanced, batches.with_draws(draws)

    def advice(self, labels, balanced=False, tuned=False, best_metric=None):
        held = self.label_counts(labels)
        share, rarest = held.min() / len(labels), self.labels[int(held.argmin())]
        if share >= _RARE * 2 / max(self.outputs, 2):
            return []
        metric, tuned_for = self.rare_metrics(rarest)
        lines = []
        if best_metric in (None, "loss", "accuracy"):
            reason = f"{share:.1%} of the rows are {rarest!r}; accuracy hardly reflects them."
            lines.append(f"--best_metric={metric}, as {reason}")
        if not tuned and self.threshold_labels:
            lines.append(f"--tune_threshold={tuned_for}, as the best threshold for a rare label is seldom 0.5.")
        if not balanced:
            lines.append("--class_weights=balanced, --oversample or --logit_adjustment=1; a sweep shows which "
                         "helps.")  # fmt: skip
        return lines

    def counted(self, labels):
        return list(zip(self.labels, self.label_counts(labels)))

    def announcement(self, batches):
        labels, draws = batches.examples.labels, batches.draws
        own = self.counted(labels)
        if not draws:
            return [f"Labels: {', '.join(f'{label} ({count:.0f})' for label, count in own)}."]
        taken = self.label_counts(labels, draws.rates)
        each = (f"{label} ({count:.0f}, in an epoch {now:.0f})" for (label, count), now in zip(own, taken))
        return [f"Labels: {', '.join(each)}; {draws.size} training rows an epoch."]

    def quality(self, labels, outputs):
        thresholds = self.decision.thresholds
        if thresholds is not None:
            thresholds = [None] * (self.outputs - len(thresholds)) + list(thresholds)
        return Quality(
            self.labels,
            self.indicators(labels),
            self.indicators(self.guesses(outputs)),
            self.probabilities(outputs),
            *confidences(self, labels, outputs),
            self.curves,
            thresholds,
            self.decision,
        )

    def doubted(self, labels, outputs, most):
        ranked = likely_mislabelled(self, labels, outputs)
        if ranked is None:
            return None
        ranked = [int(row) for row in ranked[:most]]
        return [
            (row, *self.doubt(self.decode_label(labels[row]), prediction))
            for row, prediction in zip(ranked, self.predictions(outputs[ranked]))
        ]

    def doubt(self, given, prediction):
        """Returns (given label, predicted label, probability of the given label) of a row: str, str, float.

        Args:
            given: what `decode_label` returns.
            prediction: dict. The prediction of the row from `predictions`.
        """
        return str(given), str(prediction["label"]), prediction["probabilities"][str(given)]

    def card(self):
        return [f"Labels: {', '.join(f'`{label}`' for label in self.labels)}."]
