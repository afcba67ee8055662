"""The rows of train_file that --dev_share and --test_share hold out, and the file that records them."""

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
    """Which rows of train_file are held out.

    Attributes:
        about: dict. What they depend on: the content of `train_file` (number of `rows`, `digest`) and the settings.
        held_out: dict of split -> int64 [n]. Row numbers, from 0, in order.
    """

    about: dict
    held_out: dict

    def part(self, examples, split):
        """Yields the rows of train_file in a split, "train", "dev" or "test": iterable of dict, str."""
        inverse = split not in self.held_out
        rows = np.concatenate(list(self.held_out.values())) if inverse else self.held_out[split]
        chosen = np.zeros(self.about["rows"], bool)
        chosen[rows] = True
        for row, example in enumerate(examples):
            if chosen[row] != inverse:
                yield example

    def describe(self):
        """Returns the number of rows of each split as a sentence."""
        names = {"dev": "for evaluation", "test": "for testing"}
        sizes = {name: len(self.held_out[split]) for split, name in names.items() if split in self.held_out}
        sizes = {"for training": self.about["rows"] - sum(sizes.values())} | sizes
        (first, most), *others = sizes.items()
        parts = ", ".join([f"{most:,} rows {first}", *(f"{count:,} {name}" for name, count in others)])
        return f"Split: {parts}; stratified by label, equal texts kept together, reproducible ({FILE})."

    def write(self, folder):
        """Writes the numbers of the rows that are held out, from 1, to split.json in a folder."""
        rows = {split: (numbers + 1).tolist() for split, numbers in self.held_out.items()}
        write_whole(os.path.join(folder, FILE), json.dumps(self.about | {"held_out": rows}).encode())


def shares_of(data):
    """Returns the splits that are held out of train_file: dict of split -> share of the rows."""
    shares = {"test": data.test_share, "dev": data.dev_share}
    return {split: share for split, share in shares.items() if share}


def make_split(data, task, rows):
    """Returns the split of some rows: RowSplit.

    Args:
        data: DataConfig.
        task: one of TASKS.
        rows: iterable of dict. The rows of train_file.
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
    """Returns the split recorded in a folder, which must match this one, or else this one: RowSplit.

    Args:
        folder: str or None. An output folder; None, or one without a split: nothing is compared.
        split: RowSplit.
        overwrite: bool. Whether to ignore the folder's split.

    Raises:
        InputError: the rows of train_file, or the settings of the split, have changed.
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
            "now), so training rows could be scored; use the old file, or train again with --overwrite or another "
            "--output_dir."
        )
    if kept != split.about:
        before, now = (
            ", ".join(f"--{name}={value}" for name, value in about.items() if name not in ("rows", "digest"))
            for about in (kept, split.about)
        )
        raise InputError(
            f"{path} was made with {before}; received {now}. Use the old settings, or train again with --overwrite or "
            "another --output_dir."
        )
    return RowSplit(kept, {name: np.array(rows, np.int64) - 1 for name, rows in held_out.items()})


def _is_sound(kept):
    """Returns whether the content of split.json is as `write` writes it."""
    rows, held_out = kept.get("rows"), kept.get("held_out")
    if not isinstance(rows, int) or "digest" not in kept or not isinstance(held_out, dict) or not held_out:
        return False
    return all(
        split in ("dev", "test")
        and isinstance(numbers, list)
        and all(type(number) is int and 1 <= number <= rows for number in numbers)
        for split, numbers in held_out.items()
    )
