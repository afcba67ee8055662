"""From settings to rows: which rows a split has, and where they are read."""

from tfbert.data.sources import read_examples
from tfbert.modes.row_split import kept_split, make_split, shares_of


def pair_of(columns):
    """Returns the names of the text columns as `read_examples` takes them: (text, second text or None)."""
    return (*columns, None)[:2]


def read_rows(data, task, location, split, limit=None, columns=None):
    """Returns the rows of a data location: iterable of dict.

    Args:
        data: DataConfig.
        task: one of TASKS, or its class. It says which columns it reads.
        location: str. A data location.
        split: str.
        limit: int or None. Read so many rows only.
        columns: (text, second text or None) or None. The columns of texts; None: those that the settings name.
    """
    *texts, label = task.rules.default_columns
    first, second = columns or pair_of(data.text_columns(texts))
    named = {"text_column": first, "text_pair_column": second, "label_column": data.label_column or label}
    named["id_column"] = data.id_column
    read = (name if setting in task.columns else None for setting, name in named.items())
    return read_examples(location, *read, split=split, limit=limit, reads=task.reads, **data.file_format)


def split_of(config, task, folder=None, kept=None):
    """Returns which rows of train_file are held out of training: RowSplit, None if none are.

    Args:
        config: Config.
        task: one of TASKS.
        folder: str or None. The folder of the run that has split them; None: output_dir.
        kept: dict. As for `datasets_of`.
    """
    data, kept = config.data, {} if kept is None else kept
    if not shares_of(data):
        return None
    settings = (data, task.labels)
    if kept.get("split", (None,))[0] != settings:
        rows = read_rows(data, task, data.train_file, "train", data.limit_train_rows)
        kept["split"] = settings, make_split(data, task, rows)
    training = config.training
    return kept_split(folder or training.output_dir, kept["split"][1], training.overwrite and training.mode == "train")


def rows_of_split(config, task, split, divided=None, columns=None):
    """Returns the rows of a split: iterable of dict, None if there is no such split.

    Args:
        config: Config.
        task: one of TASKS, or its class.
        split: "train", "dev" or "test".
        divided: RowSplit or None. What `split_of` returned.
        columns: as for `read_rows`.
    """
    data = config.data
    if split == "train" or (divided and split in divided.held_out):
        rows = read_rows(data, task, data.train_file, "train", data.limit_train_rows, columns)
        return divided.part(rows, split) if divided else rows
    location = {"dev": data.dev_file, "test": data.test_file}[split]
    return read_rows(data, task, location, split, None, columns) if location else None


def some_rows(rows, numbers):
    """Returns some rows by their number: dict of int -> dict.

    Args:
        rows: iterable of dict, as `rows_of_split` returns them.
        numbers: iterable of int. Which rows, from 0.
    """
    wanted = set(numbers)
    return {number: row for number, row in enumerate(rows) if number in wanted} if wanted else {}


def texts_of(rows, numbers):
    """Returns the texts of some rows, both of a pair: dict of number -> str; arguments as above."""
    sides = ("text", "text_pair")
    found = some_rows(rows, numbers)
    return {number: " | ".join(row[side] for side in sides if side in row) for number, row in found.items()}
