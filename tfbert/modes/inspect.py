"""Statistics of a dataset before training, and the settings that they suggest."""

from tfbert.modes.build import datasets_of, preset_of, task_of
from tfbert.modes.data_summary import summarize_data
from tfbert.modes.rows import split_of
from tfbert.training.loop import total_steps

# Maximum number of labels listed with their counts.
_SHOWN = 50


def inspect_mode(config):
    """Prints statistics of the data and suggested settings: --mode=inspect.

    Tokens are those of --preset, by default minilm. Texts are considered equal if their tokens are. It needs some tens
    of bytes of memory per row; large token arrays go to a temporary file.

    Returns:
        dict with `findings`: list of str, the printed lines.
    """
    data, training, task = config.data, config.training, task_of(config)
    tokenizer = preset_of(config, default="minilm").tokenizer(data.do_lower_case, data.clean_text)
    kept = {}
    split = split_of(config, task, kept=kept)
    datasets = datasets_of(config, tokenizer, task, ("train", "dev", "test"), kept)
    train = datasets["train"]
    steps = training.max_steps or total_steps(train.steps_per_epoch, training.num_train_epochs)
    summary = summarize_data(config, task, tokenizer, datasets, steps)
    lines = ([split.describe()] if split else []) + _labels(task, train.examples.labels)
    lines += summary.lines() if summary else []
    print("\n".join(lines))
    return {"findings": lines}


def _labels(task, labels):
    """Returns the number of rows of each label as one line: list of one str, empty if there are no labels."""
    every = task.labelled_count(labels)
    each = [f"{label} ({count:.0f}, {count / every:.1%})" for label, count in task.counted(labels)]
    return [f"Labels: {', '.join(each[:_SHOWN])}{', …' if len(each) > _SHOWN else ''}."] * bool(each)
