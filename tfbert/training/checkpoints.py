"""Checkpoints: all variables of a run in one file, written atomically and verified on reading."""

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

_STEP = re.compile(r"step-(\d{8,})\.safetensors$")


class Checkpoints:
    """The checkpoints of one run, in a separate folder.

    Attributes:
        folder: str. Local, or with a scheme that `tf.io.gfile` knows.
    """

    def __init__(self, folder, model, optimizer, keep=2):
        """Prepares saving and restoring.

        Args:
            folder: str.
            model: TextModel.
            optimizer: built Keras optimizer.
            keep: int. Number of newest checkpoints to keep.
        """
        self.folder, self._keep = folder, keep
        # Keras' seed generators are left out: the loop's randomness is a function of the step.
        weights = [v for v in model.variables if "seed_generator" not in v.path]
        self._variables = {f"model/{v.path}": v for v in weights}
        self._variables |= {f"optimizer/{v.path}": v for v in optimizer.variables}
        if len(self._variables) < len(weights) + len(optimizer.variables):
            raise ValueError("Two variables have the same path; a checkpoint could not tell them apart.")

    def save(self, step, state):
        """Writes a checkpoint; removes the oldest beyond `keep`, and later ones that the run did not resume from.

        Args:
            step: int.
            state: dict, JSON-serialisable. Further state of the run.
        """
        tensors = {path: np.asarray(variable.numpy()) for path, variable in self._variables.items()}
        text = json.dumps(state)
        about = {"step": str(step), "state": text, "sha256": _digest(tensors), "state_sha256": _digest_of_text(text)}
        write_tensors(os.path.join(self.folder, f"step-{step:08d}.safetensors"), tensors, about)
        past = [path for path in self._paths() if _step_of(path) <= step]
        for path in set(self._paths()) - set(past[-self._keep :]):
            tf.io.gfile.remove(path)

    def clean(self):
        """Removes temporary files of a run that was killed while writing."""
        for path in self._files(r".*\.partial"):
            tf.io.gfile.remove(path)

    def restore(self, check=lambda state: None):
        """Restores the newest intact checkpoint, if any; returns its state, else None. Damaged ones are reported.

        Args:
            check: callable (state), called before anything is restored; may raise.
        """
        paths = self._paths()
        for number, path in reversed(list(enumerate(paths))):
            try:
                tensors, state = _read(path)
            except (SafetensorError, ValueError, KeyError, TypeError, tf.errors.OpError) as error:
                then = "the checkpoint before it is used" if number else "there is no other, so training starts again"
                print(f"{path} is damaged ({error}); {then}.")
                continue
            check(state)
            self._check_fits(path, tensors)
            for name, variable in self._variables.items():
                variable.assign(tensors[name])
            return state
        return None

    def _check_fits(self, path, tensors):
        """Raises InputError if a checkpoint's tensors are not those of the variables, by name and shape."""
        if tensors.keys() != self._variables.keys():
            raise InputError(
                f"{path} belongs to another model or optimiser; use another --output_dir, or --overwrite."
            )
        for name, variable in self._variables.items():
            if tensors[name].shape != tuple(variable.shape):
                raise InputError(
                    f"{path} belongs to another model, such as one with other labels: {name} has the shape "
                    f"{list(tensors[name].shape)}, but {list(variable.shape)} is needed; use another --output_dir, "
                    "or --overwrite."
                )

    def _paths(self):
        """Returns the paths of the checkpoints, by step."""
        return sorted(self._files(r"step-\d{8,}\.safetensors"), key=_step_of)

    def _files(self, pattern):
        """Returns the sorted paths of files whose whole names match; glob would interpret brackets."""
        names = tf.io.gfile.listdir(self.folder) if tf.io.gfile.exists(self.folder) else []
        return sorted(os.path.join(self.folder, name) for name in names if re.fullmatch(pattern, name))


def check_disk(folder, model, optimizer, keep):
    """Raises InputError if a local disk has too little space for the run's checkpoints and model."""
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
            f"{free / 1e9:.1f} GB free; "
            "choose another --output_dir, or lower --keep_checkpoints."
        )


def _step_of(path):
    return int(_STEP.search(path)[1])


def _read(path):
    """Returns the tensors and the state of a checkpoint: (dict of np.ndarray, dict)."""
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    tensors, about = load(content), header["__metadata__"]
    text = about["state"]
    # Older checkpoints have no checksum of the state.
    if (_digest(tensors), about.get("state_sha256", _digest_of_text(text))) != (about["sha256"], _digest_of_text(text)):
        raise ValueError("its checksum does not match")
    return tensors, json.loads(text)


def _digest_of_text(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(tensors):
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()
