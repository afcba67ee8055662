"""Predictions for texts: from Python, or from a file of any size."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfbert.core.arguments import check_model
from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples, windows_of
from tfbert.data.given_texts import given_texts
from tfbert.data.rows import batch_features
from tfbert.data.values import check_count, id_of
from tfbert.training.devices import is_chief
from tfbert.training.evaluation import Evaluator, finite_outputs

if TYPE_CHECKING:
    from tfbert.models.keras_model import BatchModel

_CHUNK = 8192


def predict(model: BatchModel, texts: Iterable[str | tuple[str, str]], batch_size: int = 32) -> list[dict]:
    """Predicts texts, or pairs of texts.

    Args:
        model: TextModel, from `load_model` or `build_model`.
        texts: list of str, or of (str, str) for a model of pairs; or what else `given_texts` takes, such as a
            DataFrame with the columns of the training data.
        batch_size: int. Texts of a step; changes speed only.

    Returns:
        list of dict, one a text, in order: `label` and, but for a regression, `probabilities` by label.
    """
    check_model(model)
    return model.task.predictions(outputs_of(model, texts, batch_size))


def outputs_of(model, texts, batch_size):
    """Returns what a model makes of texts, or of pairs of texts, from what is traced once for each kind of them.

    Args:
        model: TextModel, VectorModel or EnsembleModel.
        texts: what `given_texts` takes.
        batch_size: int.

    Returns:
        np.float32 [texts, width], calibrated.

    Raises:
        Diverged: an output is not finite.
        InputError: the batch size is none, or pairs go to a model of single texts.
    """
    check_count("batch_size", batch_size)
    pairs = given_texts(texts, model.text_columns)
    sides = [[model.tokenizer.encoded(text) for text in side] for side in zip(*pairs)]
    if len(sides) > len(model.text_columns):
        raise InputError("This model was trained on single texts. Received: pairs; join the two texts of each one.")
    found = [np.zeros((0, model.width), np.float32)]
    if sides:
        function = model.traced(("texts", len(sides)), lambda: _text_function(model, len(sides)))
        for first in range(0, len(pairs), batch_size):
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


def predict_file(model, examples, path, batch_size, strategy=None, xla=False):
    """Writes a line of JSON for each example, in order: its id if it has one, the label, the probabilities.

    Args:
        model: TextModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str. Written whole or not at all. Of several workers, all of which predict together, only the chief
            writes.
        batch_size: int. Examples of a step, over all devices; changes speed only.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.

    Returns:
        int. How many examples there were.
    """

    def blocks(chunks):
        return (_lines(chunk, model.task.predictions(outputs)) for chunk, outputs in chunks)

    return write_outputs(model, examples, path, batch_size, blocks, strategy, xla)


def write_outputs(model, examples, path, batch_size, format_blocks, strategy=None, xla=False):
    """Writes what a model says of each example, in order, to a file.

    Args:
        model: TextModel or VectorModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str. Written whole or not at all. Of several workers, all of which compute together, only the chief
            writes.
        batch_size: int. Examples of a step, over all devices; changes speed only.
        format_blocks: callable (iterator of (some examples, np.float32 [n, width])) -> iterator of bytes.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.

    Returns:
        int. How many examples there were.
    """
    check_count("batch_size", batch_size)
    evaluator, count = Evaluator(model, strategy, xla), 0

    def chunks():
        nonlocal count
        for chunk, outputs in outputs_in_chunks(evaluator, examples, batch_size, progress=True):
            count += len(chunk)
            yield chunk, outputs

    if is_chief(evaluator.strategy):
        write_whole(path, format_blocks(chunks()))
    else:
        collections.deque(chunks(), maxlen=0)  # the chief needs the others' part
    return count


def _lines(examples, predictions):
    lines = []
    for example, prediction in zip(examples, predictions):
        identity = {"id": id_of(example["id"])} if "id" in example else {}
        lines.append(_json_line(identity | prediction))
    return b"".join(lines)


def _json_line(content):
    try:
        return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair in an id, which only an escape can write
        return (json.dumps(content, allow_nan=False) + "\n").encode()


def outputs_in_chunks(evaluator, examples, batch_size, progress=False):
    """Yields (some examples, the model's outputs for them, np.float32 [n, width]), so that memory stays bounded.

    Args:
        evaluator: Evaluator.
        examples: iterable of dict.
        batch_size: int.
        progress: bool. Whether to draw a bar.
    """
    examples = iter(examples)
    with tqdm(unit=" examples", mininterval=1.0, disable=not progress) as bar:
        while chunk := list(itertools.islice(examples, _CHUNK)):
            yield chunk, evaluator.outputs(batches_of(evaluator.model, chunk, batch_size), bar.update)


def batches_of(model, examples, batch_size, encode_label=None):
    """Returns examples in order as a model reads them: ExampleBatches.

    Args:
        model: TextModel or VectorModel.
        examples: iterable of dict, as `read_examples` yields them.
        batch_size: int.
        encode_label: callable (label, where) -> number or np.ndarray; None: no labels.
    """
    examples = paired(model, examples)
    tokenized = tokenize_examples(examples, model.tokenizer, model.max_seq_length, encode_label, model.long_text)
    return ExampleBatches(tokenized, batch_size, model.max_seq_length, shuffle=False, seed=0)


def paired(model, examples):
    """Yields examples, which must all be pairs where the model was trained on pairs: iterable of dict."""
    for number, example in enumerate(examples, 1):
        if len(model.text_columns) == 2 and "text_pair" not in example:
            raise InputError(
                f"This model was trained on pairs of texts, and example {number} has no text_pair; on the command line "
                "name its column with --text_pair_column."
            )
        yield example
