"""From a data location, or rows in memory, to the batches that a model is trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tfbert.core.arguments import check_task, check_tokenizer
from tfbert.core.paths import read_path
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.data.sources import read_examples
from tfbert.data.values import check_count
from tfbert.data.windows import LongText

if TYPE_CHECKING:
    import numpy as np

    from tfbert.data.sampling import GroupDraws
    from tfbert.models.tokenizers.wordpiece import BertTokenizer
    from tfbert.tasks.task import Task


def make_dataset(
    location: str | os.PathLike | Iterable[dict],
    tokenizer: BertTokenizer,
    task: Task,
    batch_size: int = 32,
    max_seq_length: int = 128,
    seed: int = 0,
    shuffle: bool = True,
    text_column: str = "text",
    text_pair_column: str | None = None,
    label_column: str = "label",
    quoting: str = "auto",
    split: str = "train",
    limit: int | None = None,
    long_text: LongText = LongText(),
    draws: Callable[[np.ndarray], GroupDraws | None] | None = None,
) -> ExampleDataset:
    """Returns an ExampleDataset of a data location: what `model.fit` and `tfbert.train` take.

    Args:
        location: str or path, or iterable of dicts with `text`, `text_pair` (for pairs), `label` and `where`.
        tokenizer: BertTokenizer.
        task: one of `TASKS`; it turns labels into numbers.
        batch_size: int. Examples of a step, over all devices.
        max_seq_length: int. Pieces of a sequence, special ones included.
        seed: int. Decides the order of the examples.
        shuffle: bool. A new order of all examples each epoch.
        text_column, text_pair_column, label_column, quoting, split, limit: see `read_examples`.
        long_text: LongText. What is kept of a text that is too long; the model must be built with the same.
        draws: callable (labels) -> GroupDraws or None. Which examples an epoch takes, such as
            `lambda labels: tfbert.epoch_draws(task, labels, oversample={"urgent": 4})`; None: each once.
    """
    check_tokenizer(tokenizer)
    check_task(task)
    check_count("batch_size", batch_size)
    check_count("max_seq_length", max_seq_length, 3)
    examples = location
    if isinstance(location, (str, os.PathLike)):
        location = read_path(location)
        examples = read_examples(location, text_column, text_pair_column, label_column, None, quoting, split, limit)
    examples = tokenize_examples(examples, tokenizer, max_seq_length, task.encode_label, long_text)
    draws = draws(examples.labels) if draws else None
    dataset = ExampleDataset(examples, batch_size, max_seq_length, shuffle, seed, draws=draws)
    dataset.task = task
    return dataset
