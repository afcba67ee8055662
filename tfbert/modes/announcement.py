"""What training prints before it starts: data, labels, steps, devices, and how the weights are trained."""

from tfbert.core.text_table import aligned, named
from tfbert.modes.build import copies_of
from tfbert.optim.parameter_groups import describe_groups
from tfbert.training.devices import device_kind, imitates_bfloat16


def announcement(config, parts, strategy, summary):
    """Returns the description of a run: list of str, lines.

    Args:
        config: Config.
        parts: TrainingParts.
        strategy: tf.distribute.Strategy.
        summary: DataSummary or None.
    """
    about = [("data", _sizes(config, parts.datasets))]
    if parts.split:
        about.append(("split", parts.split.describe()))
    if cuts := _cuts(parts.datasets["train"].examples, config.data.max_seq_length):
        about.append(("texts", cuts))
    about += parts.model.task.announcement(parts.datasets["train"])
    about += [("training", _steps(parts)), ("devices", _devices(config, strategy))]
    lines = [*named(about), "", *aligned(describe_groups(parts.optimizer.groups())), ""]
    return lines + [*summary.lines(), ""] if summary else lines


def _sizes(config, datasets):
    sizes = ", ".join(f"{dataset.examples.rows:,} {split}" for split, dataset in datasets.items())
    if copies := copies_of(config.data):
        sizes += f" (including {copies} augmented copies of each training row)"
    return sizes


def _steps(parts):
    train = parts.datasets["train"]
    epochs = parts.steps / train.steps_per_epoch
    text = f"{parts.steps:,} steps of {train.batch_size:,} examples, {epochs:.3g} epoch{'s' * (epochs != 1)}"
    if "dev" not in parts.datasets:
        return f"{text}; the last model is kept"
    return f"{text}; the model with the best {parts.metric} on dev is kept"


def _devices(config, strategy):
    kind, bfloat16 = device_kind(strategy), config.runtime.mixed_precision != "none"
    text = f"{strategy.num_replicas_in_sync} × {kind}, {'bfloat16' if bfloat16 else 'float32'}"
    if bfloat16 and kind == "CPU" and imitates_bfloat16():
        text += "; this CPU has no bfloat16 instructions: steps are usually faster without --mixed_precision=bfloat16"
    return text


def _cuts(examples, max_seq_length):
    """Returns how many texts are cut, and how many windows long texts have: str, empty if none is long."""
    kept = f"{max_seq_length} tokens"
    if examples.most_windows > 1:
        most = int(examples.window_counts.max())
        kept = f"{examples.most_windows} windows of {kept}, with {examples.window_counts.mean():.1f} windows on average"
        if most < examples.most_windows:
            kept += f", at most {most}: --max_windows={most} would suffice"
    elif not examples.cut_share:
        return ""
    lost = f"; {examples.lost_pieces:,} tokens are lost" if examples.cut_share else ""
    return f"{examples.cut_share:.1%} of the training texts are cut to {kept}{lost}"
