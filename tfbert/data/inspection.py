"""Statistics of a dataset (lengths, duplicates, conflicts, overlaps) and the settings that they suggest."""

import dataclasses

import numpy as np
import tensorflow as tf

# Examples whose tokens are held in memory at a time.
_CHUNK = 4096
# Shares of unknown tokens and of empty texts above which there is a warning.
_UNKNOWN, _EMPTY = 0.02, 0.01
# A run with fewer steps is short (Mosbach et al. 2020: 20 epochs on 2,500 rows).
_SHORT = 300
_SMALL, _SHOWN, _MOST_EPOCHS = 2000, 3, 20
_LONGEST = 512  # tokens that a BERT accepts


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found in one dataset.

    Attributes:
        fingerprints: np.uint64 [N]. Equal for texts that look the same to the model, having equal tokens.
        lengths: np.int32 [N]. Tokens of each text if it were not truncated, special tokens included.
        cut_share: float. Fraction of the texts that lose tokens.
        unknown_share: float. Fraction of [UNK] among the non-special tokens.
        empty: int. Number of single texts without any token.
        labels: np.ndarray [N, ...], or None.
    """

    fingerprints: np.ndarray
    lengths: np.ndarray
    cut_share: float
    unknown_share: float
    empty: int
    labels: np.ndarray | None


def inspect_examples(examples, tokenizer):
    """Reads all tokens once, some thousands of examples at a time, keeping 16 bytes per example.

    Args:
        examples: TokenizedExamples.
        tokenizer: BertTokenizer that made them.

    Returns:
        Inspection.
    """
    prints, seen, unknown, special = [], 0, 0, 0
    for start in range(0, examples.size, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, examples.size))
        windows, _, counts = examples.windows(tf.constant(rows, tf.int64))
        tokens, of_window = windows.flat_values.numpy(), windows.row_lengths().numpy()
        of_example = np.add.reduceat(of_window, np.cumsum(counts) - counts)
        prints.append(_fingerprints(tokens, of_example) ^ examples.lost[rows].astype(np.uint64))
        seen += len(tokens)
        unknown += np.count_nonzero(tokens == tokenizer.unknown_id)
        special += np.count_nonzero((tokens == tokenizer.cls_id) | (tokens == tokenizer.sep_id))
    return Inspection(
        np.concatenate(prints),
        examples.text_lengths,
        float(examples.cut_share),
        unknown / max(seen - special, 1),
        int(np.count_nonzero(examples.text_lengths == 2)),  # [CLS] and [SEP]
        examples.labels,
    )


def _fingerprints(tokens, lengths):
    """Returns a hash of each example's tokens, in order: int32 [total], int [n] -> uint64 [n].

    A sum over the tokens of a mix (SplitMix64, Steele et al. 2014) of token and position: the probability that any two
    different texts among a million rows collide is about one in 37 million.
    """
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(tokens)) - np.repeat(starts, lengths)
    x = (tokens.astype(np.uint64) << np.uint64(32)) + places.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.add.reduceat(x ^ (x >> np.uint64(31)), starts)


def doubles(inspection):
    """Returns how often texts are duplicated, and which duplicates have different labels.

    Returns:
        (repeated, conflicts): int, the number of rows whose text occurs in an earlier row; list of int arrays, the row
        numbers, from 0, of each text that occurs with different labels.
    """
    order = np.argsort(inspection.fingerprints, kind="stable")
    new = np.append(True, np.diff(inspection.fingerprints[order]) != 0)
    repeated = int((~new).sum())
    if inspection.labels is None or not repeated:
        return repeated, []
    labels = inspection.labels[order].reshape(len(order), -1)
    differs = ~new & (labels != np.roll(labels, 1, axis=0)).any(axis=1)
    group = np.cumsum(new) - 1
    ends = np.append(np.flatnonzero(new), len(order))
    return repeated, [np.sort(order[ends[g] : ends[g + 1]]) for g in np.unique(group[differs])]


def shared(first, second):
    """Returns which rows of the second dataset have a text that occurs in the first: int [n]."""
    return np.flatnonzero(np.isin(second.fingerprints, first.fingerprints))


def overview(found, max_seq_length):
    """Returns a table of the numbers of rows and the lengths of texts: titles, rows of str.

    Args:
        found: dict of Inspection, by split.
        max_seq_length: int.
    """
    rows = []
    for split, inspection in found.items():
        lengths = inspection.lengths
        middle, most = np.percentile(lengths, [50, 95])
        counts = (len(lengths), middle, most, lengths.max())
        rows.append([split, *(f"{count:,.0f}" for count in counts), f"{inspection.cut_share:.1%}"])
    return ["", "rows", "tokens: median", "95 %", "longest", f"cut at {max_seq_length}"], rows


def findings(task, found):
    """Returns what looks wrong with the data, in sentences: list of str.

    Args:
        task: one of TASKS.
        found: dict of Inspection, "train" among them.
    """
    lines = []
    for split, inspection in found.items():
        rows = len(inspection.lengths)
        if inspection.unknown_share > _UNKNOWN:
            lines.append(
                f"{split}: {inspection.unknown_share:.1%} of the tokens are unknown to the vocabulary: does it "
                "match the language, and the case (--do_lower_case)?"
            )
        if inspection.empty > _EMPTY * rows:
            lines.append(f"{split}: {inspection.empty:,} texts are empty: is --text_column the right one?")
        repeated, conflicts = doubles(inspection)
        if repeated:
            lines.append(f"{split}: {repeated:,} rows repeat the text of an earlier one.")
        if conflicts:
            shown = "; ".join("rows " + ", ".join(f"{row + 1}" for row in same[:4]) for same in conflicts[:_SHOWN])
            lines.append(f"{split}: {len(conflicts):,} texts have more than one label, such as {shown}.")
        if split != "train":
            both = len(shared(found["train"], inspection))
            if both:
                lines.append(
                    f"{split}: {both:,} rows ({both / rows:.1%}) repeat a text of the training data: their score "
                    "says nothing about new texts."
                )
    return lines + (task.suspicious(found["train"].labels) or _same_text(found["train"]))


def _same_text(train):
    rows = len(train.lengths)
    common = np.unique(train.fingerprints, return_counts=True)[1].max()
    if rows > 20 and common > rows / 3:
        return [f"{common:,} of {rows:,} training rows have the same text: is --text_column correct?"]
    return []


def advice(task, train, steps, batch_size, max_seq_length, given=frozenset(), packed=False, scored=True):
    """Returns settings to try, each with its reason: list of str. Settings that are given already are left out.

    Args:
        task: one of TASKS.
        train: Inspection.
        steps: int. Steps of the run as configured.
        batch_size, max_seq_length: int. As configured.
        given: set of str. Names of the settings that differ from their defaults.
        packed: bool. Whether short texts share a row, so that a lower limit saves nothing.
        scored: bool. Whether there are dev rows, on which to choose a model or a threshold.
    """
    lines, rows = [], len(train.lengths)
    enough = min(int(-(-np.percentile(train.lengths, 99) // 16) * 16), _LONGEST)
    if train.cut_share > 0.05:
        longer = [f"--max_seq_length={enough}"] * (enough > max_seq_length and "max_seq_length" not in given)
        ways = longer + ["--long_text=head_tail"] * ("long_text" not in given)
        if ways:
            lines.append(f"{' or '.join(ways)}, as {train.cut_share:.0%} of the texts are cut.")
    elif enough <= max_seq_length / 2 and not packed and "max_seq_length" not in given:
        lines.append(
            f"--max_seq_length={max(enough, 16)}, as 99 % of the texts are shorter; this saves time and memory on GPU "
            "and TPU, where each text is padded to this length."
        )
    if rows < _SMALL and batch_size > 32 and "train_batch_size" not in given:
        lines.append(f"--train_batch_size=16 or 32, as {rows:,} rows give few steps otherwise.")
    if steps < _SHORT and not given & {"max_steps", "num_train_epochs"}:
        epochs = min(-(-_SHORT // -(-rows // batch_size)), _MOST_EPOCHS)
        lines.append(
            f"--num_train_epochs={epochs}, as {steps} steps are few: short runs on small data fail more often "
            "(Mosbach et al. 2020, Zhang et al. 2020)."
        )
    if rows < _SMALL and scored and not given & {"folds", "sweep"}:
        lines.append("Several seeds (--mode=sweep), as one seed of a small data set says little.")
    return lines + task.advice(train.labels, given, scored)
