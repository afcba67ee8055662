"""The rows that --dev_share and --test_share take out of train_file, and the file that keeps which they are."""

import dataclasses
import hashlib
import json
import os

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.data.splits import split_off, text_key
from tfbert.models.model_files import read_json

FILE = "split.json"


@dataclasses.dataclass(frozen=True)
class RowSplit:
    """Which rows of train_file are not trained on.

    Attributes:
        about: dict. What decides them: `train_file`'s content (`rows`, how many; `digest`) and the settings.
        held_out: dict of split -> int64 [n]. Numbers of rows, from 0, in order.
    """

    about: dict
    held_out: dict

    def part(self, examples, split):
        """Yields those rows of train_file that a split has: iterable of dict, "train", "dev" or "test"."""
        inverse = split not in self.held_out
        rows = np.concatenate(list(self.held_out.values())) if inverse else self.held_out[split]
        chosen = np.zeros(self.about["rows"], bool)
        chosen[rows] = True
        for row, example in enumerate(examples):
            if chosen[row] != inverse:
                yield example

    def describe(self):
        """Returns how many rows each split has, as a line to read."""
        names = {"dev": "to evaluate", "test": "to test"}
        sizes = {name: len(self.held_out[split]) for split, name in names.items() if split in self.held_out}
        sizes = {"to train": self.about["rows"] - sum(sizes.values())} | sizes
        (first, most), *others = sizes.items()
        parts = ", ".join([f"{most:,} rows {first}", *(f"{count:,} {name}" for name, count in others)])
        return f"Split: {parts}; alike in labels, equal texts on one side, the same every time ({FILE})."

    def write(self, folder):
        """Writes which rows are held out, counted from 1, to a folder's split.json."""
        rows = {split: (numbers + 1).tolist() for split, numbers in self.held_out.items()}
        write_whole(os.path.join(folder, FILE), json.dumps(self.about | {"held_out": rows}).encode())


def shares_of(data):
    """Returns which splits are taken out of train_file: dict of split -> share of the rows."""
    shares = {"test": data.test_share, "dev": data.dev_share}
    return {split: share for split, share in shares.items() if share}


def make_split(data, task, rows):
    """Returns the split of some rows: RowSplit.

    Args:
        data: DataConfig.
        task: one of TASKS.
        rows: iterable of dict. Those of train_file.
    """
    labels, texts, digest = [], [], hashlib.sha256()
    for row in rows:
        sides = tuple(row[side] for side in ("text", "text_pair") if side in row)
        digest.update(json.dumps([*sides, row.get("label")], default=str).encode())
        texts.append(text_key(sides))
        labels.append(task.row_label(row))
    shares = shares_of(data)
    strata = task.strata(np.stack(labels), max(2, round(1 / min(shares.values()))))
    about = {"rows": len(texts), "digest": digest.hexdigest(), "split_seed": data.split_seed}
    about |= {f"{split}_share": share for split, share in shares.items()}
    return RowSplit(about, split_off(strata, np.array(texts, np.uint64), shares, data.split_seed))


def kept_split(folder, split, overwrite=False):
    """Returns the split that a folder keeps, which must be this one; else this one itself: RowSplit.

    Args:
        folder: str or None. An output folder; None, or one that keeps none: there is nothing to compare.
        split: RowSplit.
        overwrite: bool. Whether what the folder keeps does not count.

    Raises:
        InputError: the rows of train_file, or the settings of the split, are others.
    """
    if overwrite or not folder or not tf.io.gfile.exists(os.path.join(folder, FILE)):
        return split
    kept, path = read_json(folder, FILE), os.path.join(folder, FILE)
    if not _is_sound(kept):
        raise InputError(f"{path} is damaged; delete the folder {folder}, or choose another --output_dir.")
    held_out = kept.pop("held_out")
    if (kept["rows"], kept["digest"]) != (split.about["rows"], split.about["digest"]):
        raise InputError(
            f"train_file has changed since its rows were split ({kept['rows']:,} rows then, {split.about['rows']:,} "
            "now), and one that was trained on could be scored; give the old file, or train anew with --overwrite or "
            "another --output_dir."
        )
    if kept != split.about:
        before, now = (
            ", ".join(f"--{name}={value}" for name, value in about.items() if name not in ("rows", "digest"))
            for about in (kept, split.about)
        )
        raise InputError(
            f"{path} was made with {before}; now it is {now}. Give the old settings, or train anew with --overwrite or "
            "another --output_dir."
        )
    return RowSplit(kept, {name: np.array(rows, np.int64) - 1 for name, rows in held_out.items()})


def _is_sound(kept):
    """Returns whether the content of split.json is what `write` wrote."""
    rows, held_out = kept.get("rows"), kept.get("held_out")
    if not isinstance(rows, int) or "digest" not in kept or not isinstance(held_out, dict) or not held_out:
        return False
    return all(
        split in ("dev", "test")
        and isinstance(numbers, list)
        and all(type(number) is int and 1 <= number <= rows for number in numbers)
        for split, numbers in held_out.items()
    )
