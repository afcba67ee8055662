"""The base class of tasks that choose one of several labels: for a text, or for each word of it."""

import keras
import numpy as np
from keras import ops

from tfbert.tasks.labelled.labelled_task import LabelledTask
from tfbert.tasks.scores import metrics


class SoftmaxTask(LabelledTask):
    """Chooses one of the labels for each thing that has one: softmax and cross-entropy.

    In a batch, M things have labels int [M] and logits float [M, classes].
    """

    one_class = True

    def initial_bias(self, labels):
        """Returns the initial biases of the head, zeros as in google-research/bert: [outputs]."""
        return np.zeros(self.outputs, np.float32)

    def loss(self, labels, logits):
        """Returns each example's cross-entropy: int [M], float [M, classes] -> float [M]."""
        return ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True)

    def training_loss(self, labels, logits):
        """Returns the training loss, `loss` modified by the options; shapes as for `loss`.

        Smoothed, the target of class k is q(k) = (1 - ε) [k = label] + ε / K: Szegedy et al. 2015 (1512.00567),
        section 7. An example's class weight is a factor of its loss, as with Keras' `class_weight`: the mean is over
        the number of examples.
        """
        options = self.options
        logits, labels = options.shifted(logits), ops.cast(labels, "int32")
        losses = options.focused(-self.loss(labels, logits))
        if options.label_smoothing:
            uniform = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
            losses = (1 - options.label_smoothing) * losses + options.label_smoothing * uniform
        alpha = options.focal_alpha
        weights = options.class_weights if alpha is None else (1 - alpha, alpha)
        return losses if weights is None else losses * ops.take(np.asarray(weights, np.float32), labels)

    def predicted(self, logits):
        """Returns the class with the largest logit as one-hot vectors: float [M, classes] -> float [M, classes]."""
        return ops.one_hot(ops.argmax(logits, axis=-1), self.outputs)

    def keras_metrics(self):
        """Returns metrics for `fit`."""
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def probabilities(self, logits):
        """Returns the probability of each class: float [N, classes] -> float64 [N, classes]."""
        return metrics.softmax(logits)

    def mean_outputs(self, logits):
        """Returns the logits of mean probabilities: float [members, M, classes] -> float [M, classes]."""
        return ops.logsumexp(ops.log_softmax(logits, axis=-1), axis=0) - ops.log(1.0 * logits.shape[0])

    def balanced_weights(self, counts, rows):
        """Returns rows / (classes * rows of a class): float64 [classes].

        It is scikit-learn's `class_weight="balanced"`, after King and Zeng 2001.
        """
        return rows / (len(counts) * counts)

    def log_prior(self, counts, rows):
        """Returns log p of each class: float64 [classes]."""
        with np.errstate(divide="ignore"):  # a class may be missing from this fold
            return np.log(counts / rows)
