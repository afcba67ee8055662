"""From a data location, or rows in memory, to the batches that a model is trained on."""

import os

from tfbert.core.paths import read_path
from tfbert.data.batches import ExampleDataset
from tfbert.data.examples import tokenize_examples
from tfbert.data.sources import read_examples
from tfbert.data.values import check_count
from tfbert.data.windows import LongText


def make_dataset(
    location,
    tokenizer,
    task,
    batch_size=32,
    max_seq_length=128,
    seed=0,
    shuffle=True,
    text_column="text",
    text_pair_column=None,
    label_column="label",
    quoting="auto",
    split="train",
    limit=None,
    long_text=LongText(),
    draws=None,
):
    """Returns an ExampleDataset of a data location: what `model.fit` and `tfbert.train` take.

    Args:
        location: str or path, or iterable of dicts with `text`, `text_pair` (for pairs), `label` and `where`.
        tokenizer: BertTokenizer.
        task: one of `TASKS`; it turns labels into numbers.
        batch_size: int. Examples of a step, over all devices.
        max_seq_length: int. Tokens of a sequence, special ones included.
        seed: int. Decides the order of the examples.
        shuffle: bool. A new order of all examples each epoch.
        text_column, text_pair_column, label_column, quoting, split, limit: see `read_examples`.
        long_text: LongText. What is kept of a text that is too long; the model must be built with the same.
        draws: callable (labels) -> GroupDraws or None. Which examples an epoch takes, such as
            `lambda labels: tfbert.epoch_draws(task, labels, oversample={"urgent": 4})`; None: each once.
    """
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
