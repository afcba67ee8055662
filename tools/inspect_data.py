#!/usr/bin/env python3
"""Says what a data set is like before anything is trained, and which settings it suggests.

    .venv/bin/python tools/inspect_data.py --train_file=train.tsv --dev_file=dev.tsv

Takes the flags of tfbert.run, --config included; the pieces are those of --preset, by default minilm's. It prints rows,
labels, lengths and what is cut, texts that repeat, that have several labels, or that are in two files, and the share of
unknown pieces. Texts count as the same where their pieces are. It holds some tens of bytes a row; pieces beyond 64 MB
go to a temporary file.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from absl import app  # noqa: E402

from tfbert.config.load import config_from_flags, define_flags  # noqa: E402
from tfbert.core.errors import InputError  # noqa: E402


def main(arguments):
    """Prints the findings; returns the exit status."""
    try:
        if arguments[1:]:
            raise InputError(f"Every setting is a flag, --name=value. Received: {' '.join(arguments[1:])}.")
        config = config_from_flags()
        if not config.data.train_file:
            raise InputError("--train_file is needed: the rows to look at.")
        print("\n".join(_described(config)))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _described(config):
    from tfbert.modes.build import datasets_of, describe_data, preset_of, task_of
    from tfbert.training.loop import total_steps

    data, task = config.data, task_of(config)
    tokenizer = preset_of(config, default="minilm").tokenizer(data.do_lower_case, data.clean_text)
    datasets = datasets_of(config, tokenizer, task, ("train", "dev", "test"))
    train, training = datasets["train"], config.training
    steps = training.max_steps or total_steps(train.steps_per_epoch, training.num_train_epochs)
    counted, rows = task.counted(train.examples.labels), len(train.examples.labels)
    each = [f"{label} ({count:.0f}, {count / rows:.1%})" for label, count in counted]
    labels = f"Labels: {', '.join(each[:50])}{', …' if len(each) > 50 else ''}."
    return [labels] * bool(each) + describe_data(config, task, tokenizer, datasets, steps)


if __name__ == "__main__":
    define_flags()
    app.run(main)
