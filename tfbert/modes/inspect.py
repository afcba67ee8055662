"""Says what a data set is like before anything is trained, and which settings it suggests."""

from tfbert.modes.build import datasets_of, preset_of, task_of
from tfbert.modes.data_summary import summarize_data
from tfbert.training.loop import total_steps

# Labels that are counted one by one; what has more says "…".
_SHOWN = 50


def inspect_mode(config):
    """Says what the data is like, and which settings it suggests: what --mode=inspect does.

    The pieces are those of --preset, by default minilm's. Texts count as the same where their pieces are. It holds some
    tens of bytes a row; pieces beyond 64 MB go to a temporary file.

    Returns:
        dict with `findings`: list of str, the lines that are printed.
    """
    data, training, task = config.data, config.training, task_of(config)
    tokenizer = preset_of(config, default="minilm").tokenizer(data.do_lower_case, data.clean_text)
    datasets = datasets_of(config, tokenizer, task, ("train", "dev", "test"))
    train = datasets["train"]
    steps = training.max_steps or total_steps(train.steps_per_epoch, training.num_train_epochs)
    summary = summarize_data(config, task, tokenizer, datasets, steps)
    lines = _labels(task, train.examples.labels) + (summary.lines() if summary else [])
    print("\n".join(lines))
    return {"findings": lines}


def _labels(task, labels):
    """Returns how many rows have each label, as a line to read: list of one str, or none where there are no labels."""
    each = [f"{label} ({count:.0f}, {count / len(labels):.1%})" for label, count in task.counted(labels)]
    return [f"Labels: {', '.join(each[:_SHOWN])}{', …' if len(each) > _SHOWN else ''}."] * bool(each)
