"""Predictions for texts: from Python, or from a file of any size."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfbert.core.arguments import check_model
from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.core.growing_file import GrowingFile, StandardOutput
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import next_chunk, tokenize_examples, windows_of
from tfbert.data.given_texts import given_texts
from tfbert.data.rows import batch_features
from tfbert.data.values import check_count, id_of
from tfbert.inference.prediction_lines import FORMATS
from tfbert.inference.progress import Progress
from tfbert.training.devices import is_chief
from tfbert.training.evaluation import Evaluator, finite_outputs
from tfbert.training.signals import Interrupted, Interruption

if TYPE_CHECKING:
    from tfbert.models.keras_model import BatchModel

# What is predicted, and written, at a time: so many examples, fewer where they are long.
_CHUNK = 2048


def predict(model: BatchModel, texts: Iterable[str | tuple[str, str]], batch_size: int = 32) -> list[dict]:
    """Predicts texts, or pairs of texts.

    Args:
        model: TextModel, from `load_model` or `build_model`.
        texts: list of str, or of (str, str) for a model of pairs; or what else `given_texts` takes, such as a
            DataFrame with the columns of the training data.
        batch_size: int. Texts per step; affects speed only.

    Returns:
        list of dict, one per text, in order: `label` and, except for regression, `probabilities` by label.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(tfbert.load_encoder("minilm"), task)
        >>> sorted(tfbert.predict(model, ["The server room burns!"])[0])
        ['label', 'probabilities']
    """
    check_model(model)
    return model.task.predictions(outputs_of(model, texts, batch_size))


def outputs_of(model, texts, batch_size):
    """Returns a model's outputs for texts or pairs of texts; the function is traced once for each kind.

    Args:
        model: TextModel, VectorModel or EnsembleModel.
        texts: what `given_texts` takes.
        batch_size: int.

    Returns:
        np.float32 [texts, width], calibrated.

    Raises:
        Diverged: an output is not finite.
        InputError: the batch size is invalid.
    """
    check_count("batch_size", batch_size)
    pairs = given_texts(texts, model.text_columns)
    sides = [[model.tokenizer.encoded(text) for text in side] for side in zip(*pairs)]
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


def predict_file(
    model,
    examples,
    path,
    batch_size,
    strategy=None,
    xla=False,
    keep_text=False,
    total=None,
    resume=False,
    overwrite=False,
    settings=None,
):
    """Writes a prediction of each example, in order: its id if it has one, the label, the probabilities.

    Args:
        model: TextModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str, with an ending of FORMATS; or "-", standard output, as JSON. It has its name once it is whole, until
            then it is a GrowingFile. Of several workers, all of which predict together, only the chief writes.
        batch_size: int. Examples per step, over all devices; affects speed only.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.
        keep_text: bool. Whether to write the texts, too.
        total: int or None. How many examples there are, for the time left.
        resume, overwrite: bool. What becomes of what an interrupted prediction has left; as for GrowingFile.
        settings: dict or None. What else decides the last bit of a probability, such as the arithmetic.

    Returns:
        int. How many examples there were.

    Raises:
        Interrupted: SIGTERM or Ctrl-C; what was predicted is kept.
    """
    check_count("batch_size", batch_size)
    evaluator = Evaluator(model, strategy, xla)
    about = {"model": _digest_of(model), "predict_batch_size": batch_size, "keep_text": keep_text, "xla": xla}
    about |= {"number of devices": evaluator.strategy.num_replicas_in_sync} | (settings or {})
    form = FORMATS[".jsonl" if path == "-" else os.path.splitext(path)[1]]
    chief = is_chief(evaluator.strategy)
    if path == "-":
        output = StandardOutput()
    else:
        output = GrowingFile(path, about, resume, overwrite, chief)

    def done_before(chunk):
        return output.has(len(chunk), _content_of(chunk))

    try:
        with contextlib.closing(outputs_in_chunks(evaluator, examples, batch_size, total, done_before)) as chunks:
            for chunk, outputs in chunks:
                lines = form(chunk, model.task.predictions(outputs), keep_text, first=not output.rows)
                output.append(lines, len(chunk), _content_of(chunk))
        output.finish()
    except Interrupted as stop:
        raise Interrupted(stop.signal, **_left(output)) from None
    finally:
        output.close()
    return output.rows


def _left(output):
    """Returns what an interrupted prediction says of itself: arguments of Interrupted."""
    count = f"{output.rows:,} predictions"
    if output.partial == "-":
        return {"saved": f"after {count}", "remedy": "Standard output cannot be gone on with."}
    if not output.rows:
        return {"saved": "before the first predictions were written", "remedy": "The same command begins anew."}
    return {"saved": f"after {count}, which are in {output.partial}", "remedy": "--resume goes on after them."}


def _digest_of(model):
    """Returns a hash of a model's weights and of how it decides: str."""
    digest = hashlib.sha256(json.dumps(model.task.get_config()).encode())
    for variable in model.weights:  # not the states of random generators
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    return digest.hexdigest()


def _content_of(examples):
    """Returns what predictions are made of: list of dict -> bytes."""
    sides = ("text", "text_pair")
    known = [[id_of(each.get("id")), *(each[side] for side in sides if side in each)] for each in examples]
    return json.dumps(known).encode()


def write_outputs(model, examples, path, batch_size, format_blocks, strategy=None, xla=False, total=None):
    """Writes what a model says of each example, in order, to a file.

    Args:
        model: TextModel or VectorModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str. Written atomically. With several workers, all compute but only the chief writes.
        batch_size: int. Examples per step, over all devices; affects speed only.
        format_blocks: callable (iterator of (some examples, np.float32 [n, width])) -> iterator of bytes.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.
        total: int or None. How many examples there are, for the time left.

    Returns:
        int. How many examples there were.

    Raises:
        Interrupted: SIGTERM or Ctrl-C; nothing is kept.
    """
    check_count("batch_size", batch_size)
    evaluator, count = Evaluator(model, strategy, xla), 0

    def counted(chunks):
        nonlocal count
        for chunk, outputs in chunks:
            count += len(chunk)
            yield chunk, outputs

    try:
        with contextlib.closing(outputs_in_chunks(evaluator, examples, batch_size, total)) as chunks:
            if is_chief(evaluator.strategy):
                write_whole(path, format_blocks(counted(chunks)))
            else:
                collections.deque(counted(chunks), maxlen=0)  # the chief needs the others' part
    except Interrupted as stop:
        told = {"saved": f"before {path} was whole", "remedy": "The same command begins anew."}
        raise Interrupted(stop.signal, **told) from None
    return count


def outputs_in_chunks(evaluator, examples, batch_size, total=None, done_before=None):
    """Yields (some examples, the model's outputs for them, np.float32 [n, width]), so that memory stays bounded.

    Which examples are together, and thus the last bit of their outputs, depends on the examples before them alone.

    Args:
        evaluator: Evaluator.
        examples: iterable of dict.
        batch_size: int.
        total: int or None. How many examples there are.
        done_before: callable (list of dict) -> bool, or None. Whether some examples are not to be computed again.

    Raises:
        Interrupted: SIGTERM or Ctrl-C.
    """
    examples, progress = iter(examples), Progress(total)

    def on_loop(count):
        progress.update(count)
        if interruption.signal:
            raise Interrupted(interruption.signal)

    with Interruption() as interruption, contextlib.closing(progress):
        while True:
            with interruption.at_once():  # standard input may have nothing to say for long
                chunk = next_chunk(examples, _characters_of, _CHUNK)
            if not chunk:
                return
            if done_before and done_before(chunk):
                progress.skip(len(chunk))
            else:
                yield chunk, evaluator.outputs(batches_of(evaluator.model, chunk, batch_size), on_loop)


def _characters_of(example):
    return sum(len(example[side]) for side in ("text", "text_pair") if side in example)


def batches_of(model, examples, batch_size, encode_label=None):
    """Returns examples in order, as batches for a model: ExampleBatches.

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
    """Yields examples, which must all be pairs if the model was trained on pairs: iterable of dict."""
    for number, example in enumerate(examples, 1):
        if len(model.text_columns) == 2 and "text_pair" not in example:
            raise InputError(
                f"This model was trained on pairs of texts, but example {number} has no text_pair; on the command line "
                "name its column with --text_pair_column."
            )
        yield example
