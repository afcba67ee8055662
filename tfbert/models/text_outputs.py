"""A model's outputs for texts in memory, with little delay: one traced function, no input pipeline."""

import numpy as np
import tensorflow as tf

from tfbert.core.errors import Diverged
from tfbert.data.examples import windows_of
from tfbert.data.rows import batch_features
from tfbert.data.values import check_count


def outputs_of_texts(model, rows, batch_size):
    """Returns a model's outputs for texts or pairs of texts; the function is traced once for each kind.

    Args:
        model: TextModel, VectorModel or EnsembleModel.
        rows: list of dict with `text`, and `text_pair` for pairs.
        batch_size: int.

    Returns:
        np.float32 [rows, width], calibrated.

    Raises:
        Diverged: an output is not finite.
        InputError: the batch size is invalid.
    """
    check_count("batch_size", batch_size)
    names = [name for name in ("text", "text_pair") if rows and name in rows[0]]
    sides = [[model.tokenizer.encoded(row[name]) for row in rows] for name in names]
    found = [np.zeros((0, model.width), np.float32)]
    if sides:
        function = model.traced(("texts", len(sides)), lambda: _text_function(model, len(sides)))
        for first in range(0, len(rows), batch_size):
            found.append(function(*(side[first : first + batch_size] for side in sides)).numpy())
    return finite_outputs(model.calibrated(np.concatenate(found)))


def _text_function(model, sides):
    """Returns a function (string [n], and for pairs string [n]) -> float32 [n, width]."""

    def outputs(first, second=None):
        windows = windows_of(first, second, model.tokenizer, model.max_seq_length, model.long_text)
        features = batch_features(
            windows.pieces,
            windows.first_lengths,
            windows.counts,
            model.max_seq_length,
            tf.size(first),
            model.long_text.windows,
            windows_per_step=model.windows_per_step,
        )
        return model(features, training=False)

    return tf.function(outputs, input_signature=(tf.TensorSpec([None], tf.string),) * sides, autograph=False)


def finite_outputs(outputs):
    """Returns a model's outputs; raises Diverged if one of them is not finite, as there are no scores then."""
    bad = outputs[~np.isfinite(outputs)]
    if bad.size:
        raise Diverged(
            f"Some of the model's outputs are {bad[0]}: its weights are damaged, or its training diverged; train it "
            "again with a lower --learning_rate."
        )
    return outputs
