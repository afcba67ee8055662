"""Building the dataset of a model from a data location or rows in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import tensorflow as tf

from tfbert.core.arguments import check_task, check_tokenizer
from tfbert.core.errors import InputError
from tfbert.core.paths import read_path
from tfbert.data.batches import ExampleBatches, ExampleDataset, check_fits
from tfbert.data.given_texts import given_examples
from tfbert.data.sources import read_examples
from tfbert.data.values import check_count
from tfbert.data.windows import LongText

if TYPE_CHECKING:
    import numpy as np

    from tfbert.data.sampling import GroupDraws
    from tfbert.models.tokenizers.wordpiece import BertTokenizer
    from tfbert.tasks.task import Task


def make_dataset(
    location: str | os.PathLike | Iterable,
    tokenizer: BertTokenizer,
    task: Task,
    batch_size: int = 32,
    max_seq_length: int = 128,
    seed: int = 0,
    shuffle: bool = True,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    quoting: str = "auto",
    split: str = "train",
    limit: int | None = None,
    long_text: LongText = LongText(),
    draws: Callable[[np.ndarray], GroupDraws | None] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> ExampleDataset:
    """Returns an ExampleDataset of a data location, for `model.fit` and `tfbert.train`.

    Args:
        location: str or path of a data location; or rows in memory: a DataFrame or a dict of lists with the columns,
            an iterable of dicts with them, or of (text, label) or (text, second text, label).
        tokenizer: BertTokenizer.
        task: one of `TASKS`; it turns labels into numbers.
        batch_size: int. Examples per step, over all devices.
        max_seq_length: int. Maximum number of tokens per sequence, special ones included.
        seed: int. Determines the order of the examples.
        shuffle: bool. A new order of all examples each epoch.
        text_column, text_pair_column, label_column, quoting, split, limit, delimiter, encoding: see `read_examples`.
            For rows in memory the first three name the columns, and the others have no effect. The columns default to
            the task's: text and label; for tagging tokens and tags; for spans question, context and answers.
        long_text: LongText. How long texts are handled; the model must be built with the same.
        draws: callable (labels) -> GroupDraws or None. Which examples an epoch has, such as
            `lambda labels: tfbert.epoch_draws(task, labels, oversample={"urgent": 4})`; None: each once.

    Example:
        >>> task = tfbert.TASKS["classification"](labels=["calm", "urgent"])
        >>> rows = [{"text": "Lunch is at noon.", "label": "calm"}, {"text": "The server burns!", "label": "urgent"}]
        >>> dataset = tfbert.make_dataset(rows, tfbert.load_tokenizer("minilm"), task, 2, 16, shuffle=False)
        >>> features, labels, weights = next(iter(dataset))
        >>> labels.numpy().tolist(), weights.numpy().tolist()
        ([0, 1], [1.0, 1.0])
    """
    check_tokenizer(tokenizer)
    check_task(task)
    check_count("batch_size", batch_size)
    check_count("max_seq_length", max_seq_length, 3)
    if task.of_documents:
        raise InputError(
            f"tfbert.make_dataset makes examples of labelled rows, but those of {task.name} are made of documents; "
            f"train it with tfbert.run, mode=train and task={task.name}."
        )
    usual, reads = task.rules.default_columns, task.reads
    columns = (text_column or usual[0], text_pair_column or usual[1], label_column or usual[2])
    if isinstance(location, (str, os.PathLike)):
        about = (None, quoting, split, limit, delimiter, encoding, reads)
        rows = read_examples(read_path(location), *columns, *about)
    else:
        rows = given_examples(location, *columns, reads)
    examples = task.tokenized(lambda: rows, tokenizer, max_seq_length, long_text)
    draws = draws(examples.labels) if draws else None
    dataset = ExampleDataset(examples, batch_size, max_seq_length, shuffle, seed, draws=draws)
    dataset.task = task
    return dataset


def dataset_for(model, data, name, batch_size=32, seed=0):
    """Returns what `tfbert.train` or `tfbert.evaluate` is given as a dataset of a model: ExampleBatches.

    Args:
        model: TextModel.
        data: ExampleBatches as they are; or what `make_dataset` takes, in the model's own columns and lengths.
        name: str. Which of the two is called.
        batch_size, seed: int. Of the dataset that is made.

    Raises:
        InputError: it is another model's dataset, or batches that tf.data has changed.
    """
    if not isinstance(data, (ExampleBatches, tf.data.Dataset)):
        text, pair = (*model.text_columns, None)[:2]
        about = {"text_column": text, "text_pair_column": pair, "long_text": model.long_text}
        data = make_dataset(data, model.tokenizer, model.task, batch_size, model.max_seq_length, seed, **about)
    if not isinstance(data, ExampleBatches):
        raise InputError(
            f"tfbert.{name} takes the dataset that tfbert.make_dataset returned, whose examples it knows, or the rows "
            f"themselves. Received: {type(data).__name__}; batches that tf.data changed go to plain Keras, model."
            f"{'fit' if name == 'train' else name}."
        )
    check_fits(data, model)
    return data
