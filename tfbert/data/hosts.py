"""Where an input pipeline runs: in this process, or with --tpu=NAME on the TPU's hosts."""

import contextlib

import tensorflow as tf

from tfbert.core.errors import InputError

_HERE = "/job:localhost/replica:0/task:0/device:CPU:0"
# What only this process has -> how to do without it.
TEMPORARY_FILE = "the temporary file of this process in which large data are kept"
JIEBA = "this process' Python, for whole Chinese words"
_WITHOUT = {TEMPORARY_FILE: "take fewer rows (--limit_train_rows)", JIEBA: "give --nowhole_word_masking"}


def elsewhere():
    """Returns whether operations run in another process by default."""
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    ours = [name.startswith(("/device:", "/job:localhost/")) for name in names]
    return any(ours) and not all(ours)


def here():
    """Returns a context manager that places operations in this process, for those that call Python."""
    return tf.device(_HERE) if elsewhere() else contextlib.nullcontext()


def refusal(needs):
    """Returns why a pipeline cannot run on the hosts of a TPU given by name, and what to do: str; None if it can.

    According to TensorFlow's documentation, `numpy_function` works only in the process that defines it.

    Args:
        needs: list of str. Which of the above it needs.
    """
    if not needs:
        return None
    instead = ", or ".join(["run on the TPU's own VM with --tpu=local", *(_WITHOUT[need] for need in needs)])
    lacking = " nor ".join(needs)
    return f"With --tpu=NAME the input pipeline runs on the TPU's hosts, which do not have {lacking}: {instead}"


def check_hosts(dataset):
    """Raises InputError if a pipeline (ExampleBatches) would run in another process but cannot."""
    if elsewhere() and (reason := refusal(dataset.needs_here)):
        raise InputError(f"{reason}.")
