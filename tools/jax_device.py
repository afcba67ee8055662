#!/usr/bin/env python3
"""Executes with JAX what `run_on_jax.py record` has kept; wants jax and the folder, nothing of TensorFlow or tfbert.

    python jax_device.py FOLDER

Writes FOLDER/results: of each training the loss of every step and the small variables at its end, of each prediction
the outputs.
"""

import concurrent.futures
import json
import pathlib
import sys
import time

import jax
import numpy as np
from jax._src.interpreters.mlir import make_ir_context
from jax._src.lib import xla_client
from jaxlib.mlir import ir

jax.config.update("jax_enable_x64", True)  # the step's counter has 64 bits

# Variables of up to so many numbers come back: counts and norms, not weights.
_SMALL = 1024
_COMPILERS = 8


class Program:
    """One compiled function of a batch and variables.

    Attributes:
        batch: list of str. The names of the batch's tensors.
        variables: list of int. Which variables follow them.
    """

    def __init__(self, text, about, device):
        """Compiles it for a device."""
        self.batch, self.variables = about["batch"], about["variables"]
        options = xla_client.CompileOptions()
        numbers = np.array([[device.id]], np.int32)
        options.executable_build_options.device_assignment = xla_client.DeviceAssignment.create(numbers)
        with make_ir_context():
            module = ir.Module.parse(text)
            self._executable = device.client.compile_and_load(module, xla_client.DeviceList((device,)), options)

    def __call__(self, batch, variables):
        """Returns the outputs, a list of arrays on the device."""
        given = [*batch, *(variables[number] for number in self.variables)]
        outputs = self._executable.execute_sharded(given).disassemble_into_single_device_arrays()
        return [output[0] for output in outputs]


def _stablehlo(hlo):
    """Returns a serialised HloModuleProto as StableHLO: str."""
    with make_ir_context():
        module = ir.Module.parse(xla_client._xla.mlir.hlo_to_stablehlo(hlo))
        del module.operation.attributes["mhlo.input_output_alias"]  # a state must outlive the step that reads it
        _drop_copies(module.operation)
        return str(module)


def _drop_copies(operation):
    """Drops the copies that the conversion leaves behind, which no compiler takes; a copy is its operand."""
    for region in operation.regions:
        for block in region.blocks:
            for inner in list(block.operations):
                if inner.operation.name == "mhlo.copy":
                    inner.operation.results[0].replace_all_uses_with(inner.operation.operands[0])
                    inner.operation.erase()
                else:
                    _drop_copies(inner.operation)


class Device:
    """Does the operations of a plan, in order."""

    def __init__(self, folder):
        """Compiles the programs, several at a time."""
        self._folder, self._device = folder, jax.devices()[0]
        self._operations = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self._states, self._values, self._tables = {}, {}, {}
        for path in sorted(folder.glob("rows*.npz")):
            found = np.load(path)
            dtype, shape = str(found["name"]).split(":")[1:]
            sizes = [int(size) for size in shape.split("x") if size]
            self._tables[str(found["name"])] = found["table"].astype(dtype).reshape(-1, *sizes)
        (folder / "results").mkdir(exist_ok=True)
        about = f"one {self._device.device_kind} with jax {jax.__version__} (tools/run_on_jax.py)"
        (folder / "results" / "device.txt").write_text(about + "\n", encoding="utf-8")
        self._programs = self._compiled(sorted({operation["program"] for operation in self._operations}))

    def run(self):
        """Does the operations and writes what came of each."""
        last_use = {}
        for number, operation in enumerate(self._operations):
            for state in _states_of(operation):
                last_use[state] = number
        for number, operation in enumerate(self._operations):
            start = time.monotonic()
            arrays = np.load(self._folder / "batches" / f"{number}.npz")
            program = self._programs[operation["program"]]
            batches = [self._tables[name][arrays[name]] for name in program.batch]
            results = getattr(self, operation["kind"])(number, operation, program, batches)
            np.savez_compressed(self._folder / "results" / f"{number}.npz", **results)
            for state in [state for state in self._states if last_use.get(state, -1) <= number]:
                del self._states[state]
            print(f"{number + 1}/{len(self._operations)} {operation['kind']}: {len(batches[0])} batches, "
                  f"{time.monotonic() - start:.1f} s", flush=True)  # fmt: skip

    def train(self, number, operation, program, batches):
        """Runs steps from a state; keeps the last state, returns the losses and the small variables."""
        start = operation["start"]
        state = self._states[start] if isinstance(start, int) else [self._value(name) for name in start]
        losses = []
        for step in range(len(batches[0])):
            loss, *state = program([self._put(array[step]) for array in batches], state)[: 1 + len(state)]
            losses.append(loss)
        self._states[number] = state
        small = {str(i): np.asarray(value) for i, value in enumerate(state) if value.size <= _SMALL}
        return {"losses": np.array([float(loss) for loss in losses], np.float32), **small}

    def predict(self, number, operation, program, batches):
        """Returns the outputs of a model, or of the several of an ensemble."""
        states = [self._states[state] for state in operation["states"]]
        variables = [value for state in states for value in state[: operation["variables"]]]
        outputs = [
            program([self._put(array[step]) for array in batches], variables)[0] for step in range(len(batches[0]))
        ]
        return {"outputs": np.stack([np.asarray(output, np.float32) for output in outputs])}

    def _compiled(self, names):
        """Compiles programs, several at a time, those of one text once: name -> Program."""
        start, texts, abouts = time.monotonic(), {}, {}
        for name in names:
            path = self._folder / "programs" / name
            texts[name] = _stablehlo(path.with_suffix(".hlo").read_bytes())
            abouts[name] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        different = sorted({(texts[name], json.dumps(abouts[name])) for name in names})
        with concurrent.futures.ThreadPoolExecutor(_COMPILERS) as pool:
            made = pool.map(lambda pair: Program(pair[0], json.loads(pair[1]), self._device), different)
            programs = dict(zip(different, made))
        print(f"{len(different)} programs compiled, {time.monotonic() - start:.1f} s", flush=True)
        return {name: programs[texts[name], json.dumps(abouts[name])] for name in names}

    def _put(self, array):
        return jax.device_put(array, self._device)

    def _value(self, name):
        if isinstance(name, dict):
            return self._put(np.zeros(name["shape"], name["dtype"]))
        if name not in self._values:
            self._values[name] = self._put(np.load(self._folder / "values" / f"{name}.npy"))
        return self._values[name]


def _states_of(operation):
    """Returns the operations whose states this one needs: list of int."""
    needed = operation["states"] if operation["kind"] == "predict" else [operation["start"]]
    return [state for state in needed if isinstance(state, int)]


if __name__ == "__main__":
    Device(pathlib.Path(sys.argv[1])).run()
