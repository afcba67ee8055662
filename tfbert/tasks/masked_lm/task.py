"""Further pre-training: the words behind masks, and whether one sentence follows another."""

import numpy as np
from keras import ops

from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.scores.metrics import defined

# The columns of a PretrainingModel's outputs.
MASKED_LOSS, MASKED, MASKED_RIGHT, NEXT_LOSS, NEXT_RIGHT = range(5)


class MaskedLM:
    """Predicts masked words, and whether the second segment follows the first: the sum of two mean cross-entropies.

    Its outputs are not logits but scores, float [M, 5], which the model computes where the logits are
    (`tfbert.tasks.masked_lm.model`).

    Attributes:
        labels: empty list, as there are no classes.
        outputs: 5.
        next_sentence: bool. Whether there are second segments.
        decision: Decision, which changes nothing.
    """

    name = "masked_lm"
    default_metric = "perplexity"

    def __init__(self, labels=(), next_sentence=True):
        self.labels, self.outputs, self.next_sentence = list(labels), 5, next_sentence
        self.decision = Decision()

    def get_config(self):
        """Returns the arguments of the constructor: dict."""
        return {"labels": self.labels, "next_sentence": self.next_sentence}

    @property
    def metric_names(self):
        """The names of the metrics, tuple of str."""
        return ("perplexity", "masked_accuracy", *(("next_sentence_accuracy",) if self.next_sentence else ()))

    def constant_outputs(self, examples):
        """Returns the scores of the best answer that is the same everywhere: that of word frequencies, [5].

        Args:
            examples: SegmentExamples.
        """
        share = _shares(examples.piece_counts())
        follows = _shares(np.bincount(examples.labels))
        next_scores = (_entropy(follows), follows.max()) if self.next_sentence else (0.0, 0.0)
        return np.array([_entropy(share), 1.0, share.max(), *next_scores], np.float32)

    def loss(self, labels, outputs):
        """Returns losses whose mean is that over all masked words plus that over all pairs: [M, 5] -> float [M]."""
        per_word = ops.cast(ops.shape(outputs)[0], outputs.dtype) / ops.sum(outputs[:, MASKED])
        return outputs[:, MASKED_LOSS] * per_word + outputs[:, NEXT_LOSS]

    def training_loss(self, labels, outputs):
        """Returns the loss to train on, of which a batch may have a part only: float [M], [M, 5] -> float [M].

        Args:
            labels: float [M]. What a masked word counts (`WordMasker.prediction_weight`).
            outputs: float [M, 5].
        """
        return outputs[:, MASKED_LOSS] * labels + outputs[:, NEXT_LOSS]

    def predicted(self, outputs):
        """Returns nothing that could be counted: float [M, 5] -> zeros [M, 5]."""
        return ops.zeros_like(outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`: none, as Keras would take the scores for predictions."""
        return []

    def metrics(self, labels, outputs):
        """Returns the scores of a whole data set, those that are finite: float [N, 5] -> dict."""
        totals = np.asarray(outputs, np.float64).sum(axis=0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return defined(self.metrics_of_totals(totals, len(outputs)))

    def metrics_of_totals(self, totals, rows):
        """Returns the scores from the sums of the outputs over data sets of some rows: [..., 5], int -> dict."""
        found = {
            "perplexity": np.exp(totals[..., MASKED_LOSS] / totals[..., MASKED]),
            "masked_accuracy": totals[..., MASKED_RIGHT] / totals[..., MASKED],
        }
        return found | ({"next_sentence_accuracy": totals[..., NEXT_RIGHT] / rows} if self.next_sentence else {})


def _shares(counts):
    return counts / counts.sum()


def _entropy(shares):
    shares = shares[shares > 0]
    return -(shares * np.log(shares)).sum()
