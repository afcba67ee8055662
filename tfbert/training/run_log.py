"""The log of a run: progress bar, metrics.jsonl and TensorBoard."""

import json
import os
import sys
import time

import tensorflow as tf
from tqdm import tqdm

from tfbert.core.files import json_of, write_whole

# What a line about an evaluation may take of a terminal's width; metrics.jsonl has all scores.
_LINE = 110
_BAR = "{percentage:3.0f}%|{bar:20}| step {n_fmt}/{total_fmt}{postfix}, {remaining} left"
# Seconds between two states of the bar: on a terminal, and in a file, where each stays.
_REFRESH, _REFRESH_OF_FILE = 1.0, 30.0


class RunLog:
    """The records of one run.

    `metrics.jsonl` contains no times, only what settings and data determine: the same run writes the same file.

    Attributes:
        pending: list of float. Losses since the last entry.
    """

    def __init__(self, output_dir, total_steps, batch_size, first_step=0, pending=(), writes=True):
        """Opens the records.

        Args:
            output_dir: str.
            total_steps: int. Steps of the whole run.
            batch_size: int. For the examples per second.
            first_step: int. Where a resumed run continues; later entries of the earlier run are dropped.
            pending: list of float. The value of `pending` when the checkpoint was saved.
            writes: bool. Whether to print and write anything: False on all workers but one.
        """
        self._path, self._total_steps = os.path.join(output_dir, "metrics.jsonl"), total_steps
        self._batch_size, self._writes, self.pending = batch_size, writes, list(pending)
        self._first = None
        if writes:
            self._lines = _lines_until(self._path, first_step)
            self._summary = tf.summary.create_file_writer(output_dir)
            refresh = _REFRESH if sys.stderr and sys.stderr.isatty() else _REFRESH_OF_FILE
            self._bar = tqdm(total=total_steps, initial=first_step, bar_format=_BAR, mininterval=refresh)

    def steps(self, step, losses):
        """Records the losses of the steps just done, and updates the bar."""
        self.pending.extend(losses.tolist())
        if not self._writes:
            return
        self._bar.update(len(losses))
        now, speed = time.monotonic(), ""
        if self._first:  # from the second call on: the first takes the time in which the step is traced
            done = (self._bar.n - self._first[1]) * self._batch_size
            speed = f", {done / (now - self._first[0]):.1f} examples/s"
        self._first = self._first or (now, self._bar.n)
        self._bar.set_postfix_str(f"loss {losses[-1]:.4f}{speed}", refresh=False)

    def log(self, step, learning_rate, norms, predicted):
        """Writes an entry for the steps since the last one.

        Args:
            step: int.
            learning_rate: float.
            norms: dict of float. The gradient norm of each part of the model in this step.
            predicted: np.float32 [outputs]. How often each label was predicted in the training batches.
        """
        if not self.pending:
            return
        values = {"split": "train", "loss": sum(self.pending) / len(self.pending), "learning_rate": learning_rate}
        if predicted.any():
            values["majority_share"] = float(predicted.max() / predicted.sum())
        self._write(step, values | {f"gradient_norm/{part}": norm for part, norm in norms.items()})
        self.pending = []

    def evaluation(self, step, split, scores, majority_share, metric, best):
        """Writes a line with the scores of an evaluation and the share of the most frequent answer; says some of them.

        Args:
            step: int.
            split: str.
            scores: dict of float.
            majority_share: float.
            metric: str. The score that decides, which is said first.
            best: bool. Whether it is the best so far.
        """
        self._write(step, {"split": split, **scores, "majority_share": majority_share})
        if not self._writes:
            return
        line = f"step {step:{len(str(self._total_steps))}}  {split}"
        for name in sorted(scores, key=lambda name: (name != metric, name != "loss")):
            shown = f"  {name} {scores[name]:.4f}"
            line += shown if len(line + shown) <= _LINE else ""
        self.say(line + "  (best so far)" * best)

    def say(self, text):
        """Prints a line above the bar."""
        if self._writes:
            tqdm.write(text)

    def close(self):
        """Closes the bar and the event file."""
        if self._writes:
            self._bar.close()
            self._summary.close()

    def _write(self, step, values):
        if not self._writes:
            return
        self._lines.append(json_of({"step": step, **values}))
        write_whole(self._path, "".join(line + "\n" for line in self._lines).encode())
        with self._summary.as_default(step=step):
            for name, value in values.items():
                if name != "split":
                    tf.summary.scalar(f"{values['split']}/{name}", value)
        self._summary.flush()


def _lines_until(path, step):
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        return [line for line in file.read().splitlines() if json.loads(line)["step"] <= step]
