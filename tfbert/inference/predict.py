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

from tfbert.core.arguments import check_model
from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.core.growing_file import GrowingFile, StandardOutput
from tfbert.data.examples import next_chunk
from tfbert.data.values import check_count, id_of
from tfbert.inference.prediction_lines import FORMATS
from tfbert.inference.progress import Progress
from tfbert.training.devices import is_chief
from tfbert.training.evaluation import Evaluator
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
            DataFrame with the columns of the training data. For a tagging model lists of words, or texts, which are
            split.
        batch_size: int. Texts per step; affects speed only.

    Returns:
        list of dict, one per text, in order: `label` and, except for regression, `probabilities` by label; of a
        tagging model `tokens`, `tags` and `entities`.

    Raises:
        InputError: the model predicts no labels, or the texts are not what it was trained on.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> model = tfbert.build_model(tfbert.load_encoder("minilm"), task)
        >>> sorted(tfbert.predict(model, ["The server room burns!"])[0])
        ['label', 'probabilities']
    """
    check_model(model)
    if model.task.not_predicted:
        raise InputError(model.task.not_predicted)
    rows = model.task.given_rows(texts, model.text_columns)
    return model.task.predictions(model.outputs_of(rows, batch_size), rows)


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
    form=None,
):
    """Writes a prediction of each example, in order: its id if it has one, the label, the probabilities.

    Args:
        model: TextModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str; or "-", standard output. The file has its name once it is whole, until then it is a GrowingFile. Of
            several workers, all of which predict together, only the chief writes.
        batch_size: int. Examples per step, over all devices; affects speed only.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.
        keep_text: bool. Whether to write the texts, too.
        total: int or None. How many examples there are, for the time left.
        resume, overwrite: bool. What becomes of what an interrupted prediction has left; as for GrowingFile.
        settings: dict or None. What else decides the last bit of a probability, such as the arithmetic.

        form: str or None. A key of FORMATS; None: the ending of the path, else jsonl.

    Returns:
        int. How many examples there were.

    Raises:
        Interrupted: SIGTERM or Ctrl-C; what was predicted is kept.
        InputError: the format has tags, and the model predicts none.
    """
    check_count("batch_size", batch_size)
    evaluator = Evaluator(model, strategy, xla)
    about = {"model": _digest_of(model), "predict_batch_size": batch_size, "keep_text": keep_text, "xla": xla}
    about |= {"format": format_of(path, form)}
    about |= {"number of devices": evaluator.strategy.num_replicas_in_sync} | (settings or {})
    form = format_of(path, form)
    if form == "conll" and model.task.reads != "words":
        raise InputError(
            f"The format conll has a tag for each word, which a model of --task={model.task.name} does not predict; "
            "choose jsonl or csv."
        )
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
                lines = FORMATS[form](chunk, model.task.predictions(outputs, chunk), keep_text, first=not output.rows)
                output.append(lines, len(chunk), _content_of(chunk))
        output.finish()
    except Interrupted as stop:
        raise Interrupted(stop.signal, **_left(output)) from None
    finally:
        output.close()
    return output.rows


def format_of(path, form=None):
    """Returns the format of predictions: the one that is asked for, or that of the path's ending; a key of FORMATS."""
    ending = os.path.splitext(path)[1][1:]
    return form or (ending if ending in FORMATS else "jsonl")


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
    sides = ("text", "text_pair", "words")
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
        nonlocal left
        done = min(count, left)  # a long row may be several examples
        left -= done
        progress.update(done)
        if interruption.signal:
            raise Interrupted(interruption.signal)

    with Interruption() as interruption, contextlib.closing(progress):
        while True:
            with interruption.at_once():  # standard input may have nothing to say for long
                chunk = next_chunk(examples, _characters_of, _CHUNK)
            if not chunk:
                return
            left = len(chunk)
            if done_before and done_before(chunk):
                progress.skip(left)
            else:
                yield chunk, evaluator.outputs(evaluator.model.batches_of(chunk, batch_size), on_loop)


def _characters_of(example):
    return sum(len(example[side]) for side in ("text", "text_pair") if side in example)
