"""The training step as one program for a TPU, compiled by the TPU compiler."""

import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops

from tfbert.core.errors import InputError
from tfbert.core.extras import install_command
from tfbert.modes.preflight.topologies import GIB
from tfbert.training.loop import TrainingLoop


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The result of compiling the training step for one batch size.

    Attributes:
        examples: int. Examples that one chip processes at a time.
        hbm_bytes: int. Memory the program needs on each chip; if it does not fit, as reported by the compiler.
        flops: float. Floating-point operations of one chip; 0 if it did not compile.
        failure: str or None. The operation that a TPU does not support.
        fits: bool. Whether it compiled and fits into memory.
    """

    examples: int
    hbm_bytes: int
    flops: float
    failure: str | None
    fits: bool


class StepCompiler:
    """Compiles one optimiser step for a TPU, at any batch size.

    The program is that of one chip, as the training loop runs it: forward and backward pass, the sum of the gradients
    over the chips, clipping and the update. With gradient accumulation, it is one part, and the end of the step.

    Attributes:
        dataset: ExampleBatches, of static shapes.
    """

    def __init__(self, model, optimizer, dataset, topology, accumulation=1, say=print):
        """Prepares the step.

        Args:
            model: TextModel.
            optimizer: AdamWeightDecay.
            dataset: ExampleBatches; its first rows represent the data.
            topology: Topology.
            accumulation: int. Number of parts into which a batch is split.
            say: callable (str), called with a message for every compilation.
        """
        for package in ("jax", "libtpu"):
            if importlib.util.find_spec(package) is None:
                raise InputError(
                    f"--mode=preflight needs the TPU compiler, and {package} is not installed: "
                    f"{install_command('preflight')}."
                )
        self.dataset = dataset.with_shapes(True, model.windows_per_step)
        self._topology, self._say = topology, say
        self._loop = TrainingLoop(model, optimizer, accumulation=accumulation, xla=True)
        if topology.chips > 1:
            self._loop.optimizer = _SummedOverChips(optimizer, topology.chips)

    def compile(self, examples):
        """Compiles the step with a number of examples per chip; returns Compiled."""
        self._say(f"Compiling for {self._topology.name} with {examples} examples per chip …")
        start = time.monotonic()
        dataset = self.dataset.with_batch_size(examples)
        batch = next(iter(dataset.shares(0, 1, rows=rows_of_epoch(dataset))))
        compiled = self._compiled(examples, batch)
        outcome = "fits" if compiled.fits else compiled.failure or "does not fit"
        gib = f"{compiled.hbm_bytes / GIB:.2f} GiB; " if compiled.hbm_bytes else ""
        self._say(f"  {gib}{outcome} ({time.monotonic() - start:.0f} s)")
        return compiled

    def _compiled(self, examples, batch):
        step = tf.function(self._loop.step_on, jit_compile=True)
        try:
            hlo = step.experimental_get_compiler_ir(batch)(stage="hlo_serialized")
        except (ValueError, tf.errors.OpError) as error:
            too_large = "is too large" in str(error)  # more elements in one tensor than int32 can count
            return Compiled(examples, 0, 0.0, None if too_large else _operation(str(error)), False)
        result = run_compiler(hlo, self._topology)
        if "error" not in result:
            memory = result["memory"]
            needed = memory["argument"] + memory["output"] - memory["alias"] + memory["temp"]
            return Compiled(examples, needed + memory["generated_code"], result["flops"], None, True)
        if "RESOURCE_EXHAUSTED" in result["error"]:
            return Compiled(examples, _needed(result["error"]), 0.0, None, False)
        return Compiled(examples, 0, 0.0, _first_sentence(result["error"]), False)


class _SummedOverChips:
    """An optimizer behind the all-reduce that TPUStrategy would put before it."""

    def __init__(self, optimizer, chips):
        self._optimizer, self._chips = optimizer, chips

    def __getattr__(self, name):
        return getattr(self._optimizer, name)

    def apply(self, gradients, variables):
        group = [list(range(self._chips))]
        sums = [gen_xla_ops.xla_all_reduce(tf.convert_to_tensor(g), group, "Add", "CrossReplica") for g in gradients]
        self._optimizer.apply(sums, variables)


def rows_of_epoch(dataset, shares=1):
    """Returns the rows of each share of a batch in an epoch if windows share rows; None if each has its own.

    Args:
        dataset: ExampleBatches. If a batch is larger than it, the rows are scaled up.
        shares: int. Shares of a batch.
    """
    rows = dataset.static_rows(dataset.steps_per_epoch, shares)
    return rows and math.ceil(rows * max(1, dataset.batch_size / dataset.examples.size))


def run_compiler(hlo, topology):
    """Compiles a program in a separate process.

    Args:
        hlo: bytes. A serialised HloModuleProto of one replica.
        topology: Topology.

    Returns:
        dict with `memory`, `flops`, `seconds`, or with `error`, the compiler's message.

    Raises:
        InputError: the compiler crashed.
    """
    script = pathlib.Path(__file__).with_name("compiler.py")
    about = {"name": topology.compiler_name, "replicas": topology.chips, "options": topology.compiler_options}
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "step.hlo"), os.path.join(folder, "result.json")
        pathlib.Path(source).write_bytes(hlo)
        process = subprocess.run(
            [sys.executable, str(script), source, target, json.dumps(about)],
            env=_compiler_environment(topology), capture_output=True, text=True,
        )  # fmt: skip
        if os.path.exists(target):
            return json.loads(pathlib.Path(target).read_text(encoding="utf-8"))
    if process.returncode < 0:
        said = f"it was ended by {signal.Signals(-process.returncode).name}; this machine may have too little memory"
    else:
        said = (process.stderr.strip().splitlines() or ["without a message"])[-1]
    raise InputError(f"The TPU compiler failed: {said}. Install it again: {install_command('preflight')}.")


def _compiler_environment(topology):
    """Without the first variable libtpu asks a metadata server that only Google's machines have, and hangs."""
    return os.environ | {
        "TPU_SKIP_MDS_QUERY": "1",
        "JAX_PLATFORMS": "cpu",
        "TPU_ACCELERATOR_TYPE": topology.accelerator_type,
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else a lock file admits one process per machine
        "TPU_LOG_DIR": "disabled",
    }


def _operation(message):
    """Returns which operation TensorFlow's bridge to the compiler refused, and why, from its message."""
    refused = re.search(r"XLA_CPU_JIT: (\w+) \(.*?\{\{node ([^}]+)\}\}", message, flags=re.DOTALL)
    if refused:
        return f"a TPU does not support the operation {refused[1]} (node {refused[2]})"
    node = re.findall(r"\{\{node ([^}]+)\}\}", message)
    return _first_sentence(message) + (f" (node {node[-1]})" if node else "")


def _first_sentence(message):
    return " ".join(message.split())[:300]


def _needed(message):
    """Returns the bytes that the compiler says it would have needed, 0 if it does not say."""
    found = re.search(r"(?:\(|Used )([\d.]+)([KMGT])\)? (?:exceeds|of)", message)
    return int(float(found[1]) * 1024 ** (1 + "KMGT".index(found[2]))) if found else 0
