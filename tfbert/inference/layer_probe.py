"""Linear probes on every layer and pooling of an encoder, from one pass over the data."""

import numpy as np
from keras import ops

from tfbert.models.pooling import Pooling, max_of_tokens, mean_of_tokens
from tfbert.models.vector_model import VectorModel
from tfbert.tasks.scores.linear import logistic

# Vectors of each layer, starting with the embeddings' output: [CLS], the mean and the maximum of the tokens.
TOKENS = ("cls", "mean", "max")

# scikit-learn's C of the probes, with which configs/results/layers_imdb.csv was measured.
_STRENGTH = 0.01

# How `--pooling` combines [CLS] of all layers, float [rows, layers, hidden], the embeddings' output first.
COMBINED = {
    "first_last": lambda x: (x[:, 1] + x[:, -1]) / 2,
    "last4_concat": lambda x: x[:, -4:].reshape(len(x), -1),
    "last4_mean": lambda x: x[:, -4:].mean(axis=1),
    "last4_max": lambda x: x[:, -4:].max(axis=1),
    "all_concat": lambda x: x[:, 1:].reshape(len(x), -1),
    "all_mean": lambda x: x[:, 1:].mean(axis=1),
}


class LayerVectors(VectorModel):
    """Computes the vectors of TOKENS for each layer, then the pooler's: features -> float [M, vectors * hidden]."""

    def __init__(self, encoder):
        """Takes the encoder, with its tokenizer."""
        super().__init__(encoder, encoder.tokenizer, Pooling("cls", encoder), None, 0, None)

    @property
    def width(self):
        """The size of the model's output per text, int."""
        return ((self.encoder.num_layers + 1) * len(TOKENS) + 1) * self.encoder.hidden_dim

    def call(self, features, training=False, seed=None):
        """Computes the vectors."""
        vectors = []
        for layer in self.encoder(features):
            flat = ops.reshape(layer, (-1, self.encoder.hidden_dim))
            vectors += [ops.take(flat, features["window_start"], axis=0), mean_of_tokens(layer, features)]
            vectors.append(max_of_tokens(layer, features))
        vectors.append(self.encoder.pool(vectors[-len(TOKENS)]))
        return ops.cast(ops.concatenate(vectors, axis=-1), "float32")


def probe_layers(train, dev, on_score=None):
    """Returns the accuracy on dev of a probe on each layer and pooling: dict of str -> float.

    A probe is a logistic regression (scikit-learn) on standardised vectors.

    Args:
        train, dev: (float32 [rows, vectors, hidden], [rows] labels). The outputs of `LayerVectors`.
        on_score: callable (name, accuracy), called after each probe.

    Source: compare Sun et al. 2019 (1905.05583), table 3, which fine-tunes a whole BERT for every row.
    """
    scores = {}
    for name, select in _vector_sets(train[0].shape[1] // len(TOKENS)).items():
        fitted = logistic(_STRENGTH).fit(select(train[0]), train[1])
        scores[name] = float(fitted.score(select(dev[0]), dev[1]))
        if on_score:
            on_score(name, scores[name])
    return scores


def _vector_sets(layers):
    """Returns the inputs of the probes by name: dict of functions float [rows, vectors, hidden] -> [rows, width]."""
    sets = {}
    for place, token in enumerate(TOKENS):
        for layer in range(layers):
            sets[f"{token}, layer {layer}"] = lambda x, number=layer * len(TOKENS) + place: x[:, number]
    for name, combine in COMBINED.items():
        sets[name] = lambda x, combine=combine: combine(x[:, TOKENS.index("cls") : -1 : len(TOKENS)])
    sets["pooler"] = lambda x: x[:, -1]
    return sets


def share_of_most_frequent(train, dev):
    """Returns the accuracy on dev of always predicting the most frequent training label: ([rows], [rows]) -> float."""
    values, counts = np.unique(train, return_counts=True)
    return float((dev == values[counts.argmax()]).mean())
