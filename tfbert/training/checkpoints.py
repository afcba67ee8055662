"""Checkpoints: all variables of a run in one file, written whole or not at all, verified on reading."""

import hashlib
import json
import math
import os
import re
import shutil

import numpy as np
import tensorflow as tf
from safetensors import SafetensorError
from safetensors.numpy import load

from tfbert.core.errors import InputError
from tfbert.core.files import write_tensors


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    Attributes:
        folder: str. Local, or with a scheme that `tf.io.gfile` knows.
    """

    def __init__(self, folder, model, optimizer, keep=2):
        """Prepares to save and restore.

        Args:
            folder: str.
            model: TextModel.
            optimizer: built Keras optimizer.
            keep: int. Newest checkpoints that stay.
        """
        self.folder, self._keep = folder, keep
        # Keras' seed generators are left out: the loop's randomness is a function of the step.
        weights = [v for v in model.variables if "seed_generator" not in v.path]
        self._variables = {f"model/{v.path}": v for v in weights}
        self._variables |= {f"optimizer/{v.path}": v for v in optimizer.variables}
        if len(self._variables) < len(weights) + len(optimizer.variables):
            raise ValueError("Two variables have the same path; a checkpoint could not tell them apart.")

    def save(self, step, state):
        """Writes a checkpoint and removes the oldest beyond `keep`.

        Args:
            step: int.
            state: dict, JSON. What else the run has to remember.
        """
        tensors = {path: np.asarray(variable.numpy()) for path, variable in self._variables.items()}
        about = {"step": str(step), "state": json.dumps(state), "sha256": _digest(tensors)}
        write_tensors(os.path.join(self.folder, f"step-{step:08d}.safetensors"), tensors, about)
        for path in self._paths()[: -self._keep]:
            tf.io.gfile.remove(path)

    def clean(self):
        """Removes what a run that was killed while it wrote has left."""
        for path in tf.io.gfile.glob(os.path.join(self.folder, "*.partial")):
            tf.io.gfile.remove(path)

    def restore(self, check=lambda state: None):
        """Restores the newest whole checkpoint, if any; returns its state, else None. Damaged ones are reported.

        Args:
            check: callable (state), called before anything is restored; may raise.
        """
        for path in reversed(self._paths()):
            try:
                tensors, about = _read(path)
            except (SafetensorError, ValueError, KeyError, tf.errors.OpError) as error:
                print(f"{path} is damaged ({error}); the checkpoint before it is used.")
                continue
            state = json.loads(about["state"])
            check(state)
            if tensors.keys() != self._variables.keys():
                raise InputError(
                    f"{path} belongs to another model or optimiser; use another --output_dir, or --overwrite."
                )
            for name, variable in self._variables.items():
                variable.assign(tensors[name])
            return state
        return None

    def _paths(self):
        paths = tf.io.gfile.glob(os.path.join(self.folder, "step-*.safetensors"))
        return sorted(path for path in paths if re.search(r"step-\d{8,}\.safetensors$", path))


def check_disk(folder, model, optimizer, keep):
    """Raises InputError where a local disk has less room than the run's checkpoints and model will take."""
    if "://" in folder:
        return
    weights, slots = (
        sum(math.prod(variable.shape) * tf.as_dtype(variable.dtype).size for variable in variables)
        for variables in (model.variables, optimizer.variables)
    )
    needed = (keep + 1) * (weights + slots) + 2 * weights  # one more of each while it is being written
    parent = os.path.abspath(folder)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise InputError(
            f"{folder} needs {needed / 1e9:.1f} GB for {keep} checkpoints and the model; its disk has "
            f"{free / 1e9:.1f} GB free: "
            "choose another --output_dir, or lower --keep_checkpoints."
        )


def _read(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, about = load(content), header["__metadata__"]
    if _digest(tensors) != about["sha256"]:
        raise ValueError("its checksum does not fit")
    return tensors, about


def _digest(tensors):
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()
