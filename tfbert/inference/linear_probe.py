"""The linear probe: how far the vectors of an encoder that is not trained yet suffice for a task."""

import dataclasses

from tfbert.models.vector_model import encoder_vectors
from tfbert.training.evaluation import Evaluator, scores


def linear_probe(model, train, dev, strategy=None, xla=False):
    """Returns the scores of a linear model on the mean vectors of a model's encoder: dict.

    Args:
        model: TextModel, not yet trained, with a task that is `probed`.
        train, dev: ExampleBatches, labelled, in order.
        strategy: tf.distribute.Strategy; None: the default one.
        xla: bool. Compile the forward pass.

    Returns:
        dict with `rows` and `dev_rows` (int), and `scores` (dict, those on dev); None if there are too few training
        rows.
    """
    long_text = model.long_text
    if long_text.windows > 1:
        long_text = dataclasses.replace(long_text, strategy="mean")  # other merges have weights to learn
    about = (model.max_seq_length, long_text, model.windows_per_step)
    evaluator = Evaluator(encoder_vectors(model.encoder, "mean", *about), strategy, xla)
    vectors, new = (evaluator.outputs(batches) for batches in (train, dev))
    outputs = model.task.probe(vectors, train.examples.labels, new)
    if outputs is None:
        return None
    found = scores(model.task, dev.examples.labels, outputs)
    return {"rows": train.examples.size, "dev_rows": dev.examples.size, "scores": found}
