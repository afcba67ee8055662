#!/usr/bin/env python3
"""Computes with JAX what `run_on_jax.py record` has kept; wants jax and the folder, nothing of TensorFlow or tfbert.

    python jax_device.py FOLDER [PART PARTS]      # several processes may each take a part, from 0

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
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax.extend.core import Primitive
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import func

jax.config.update("jax_enable_x64", True)  # the step's counter has 64 bits

# Variables of up to so many numbers come back: counts and norms, not weights.
_SMALL = 1024
_COMPILERS = 8


def as_function(text):
    """Returns a StableHLO module as a function of JAX: arrays -> list of arrays."""
    with mlir.make_ir_context():
        main = ir.SymbolTable(ir.Module.parse(text).operation)["main"]
        results = [shape_and_type(result) for result in main.type.results]
    primitive = Primitive("module")
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda *_: results)

    def lower(context, *arguments):
        module = ir.Module.parse(text)
        types = ir.SymbolTable(module.operation)["main"].type.results
        name = mlir.merge_mlir_modules(
            context.module_context.module, "step", module, dst_symtab=context.module_context.symbol_table
        )
        return func.CallOp(types, ir.FlatSymbolRefAttr.get(name), arguments).results

    mlir.register_lowering(primitive, lower)
    return primitive.bind


def shape_and_type(kind):
    """Returns the shape and type of a tensor."""
    names = {"i1": "bool", "f32": "float32", "f64": "float64", "bf16": "bfloat16"}
    element = str(kind.element_type)
    width = element.removeprefix("ui").removeprefix("i")
    dtype = names.get(element) or ("uint" if element.startswith("ui") else "int") + width
    return jax.core.ShapedArray(kind.shape, jax.numpy.dtype(dtype))


def stablehlo_of(hlo):
    """Returns a serialised HloModuleProto as StableHLO: str."""
    with mlir.make_ir_context():
        module = ir.Module.parse(xla_client._xla.mlir.hlo_to_stablehlo(hlo))
        if "mhlo.input_output_alias" in module.operation.attributes:  # a state may be read after the next one is made
            del module.operation.attributes["mhlo.input_output_alias"]
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


class Program:
    """A step or a prediction, for as many batches as there are, in one call of the device.

    Attributes:
        batch: list of str. The names of a batch's tensors.
    """

    def __init__(self, text, about, kind):
        """Takes a module, the names of its arguments, and whether it trains."""
        self.batch = about["batch"]
        function, used = as_function(text), about["variables"]

        def train(state, batch):
            loss, *rest = function(*batch, *(state[number] for number in used))
            return rest[: len(state)], loss

        def predict(state, batch):
            return state, function(*batch, *(state[number] for number in used))[0]

        one = train if kind == "train" else predict
        self._run = jax.jit(lambda state, batches: jax.lax.scan(one, state, batches))

    def compile(self, state, batches):
        """Compiles for arrays of these shapes."""
        self._run = self._run.lower(state, batches).compile()

    def __call__(self, state, batches):
        """Returns the last state and what each batch gave."""
        return self._run(state, batches)


class Device:
    """Does the operations of a plan, or a part of them, in order."""

    def __init__(self, folder, part=0, parts=1):
        """Reads the plan and the batches."""
        self._folder, self._states = folder, {}
        self._operations = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self._numbers = [number for number, run in enumerate(self._runs()) if run % parts == part]
        self._tables = {}
        for path in sorted(folder.glob("rows*.npz")):
            found = np.load(path)
            dtype, shape = str(found["name"]).split(":")[1:]
            sizes = [int(size) for size in shape.split("x") if size]
            self._tables[str(found["name"])] = found["table"].astype(dtype).reshape(-1, *sizes)
        (folder / "results").mkdir(exist_ok=True)
        about = f"one {jax.devices()[0].device_kind} with jax {jax.__version__} (tools/run_on_jax.py)"
        (folder / "results" / "device.txt").write_text(about + "\n", encoding="utf-8")

    def run(self):
        """Compiles the programs, does the operations, writes what came of each."""
        programs = self._compiled()
        last_use = {state: number for number in self._numbers for state in self._needed(number)}
        for number in self._numbers:
            start, operation = time.monotonic(), self._operations[number]
            program = programs[number]
            state, found = program(self._state(number), self._batches(number, program.batch))
            np.savez_compressed(self._folder / "results" / f"{number}.npz", **self._results(number, state, found))
            if operation["kind"] == "train":
                self._states[number] = state
            for used in [used for used in self._states if last_use.get(used, -1) <= number]:
                del self._states[used]
            said = f"{number + 1}/{len(self._operations)} {operation['kind']}: {time.monotonic() - start:.1f} s"
            print(said, flush=True)

    def _runs(self):
        """Returns for each operation the number of the run that it belongs to: what shares a state is one run."""
        runs = []
        for number in range(len(self._operations)):
            needed = {runs[state] for state in self._needed(number)}
            runs.append(min(needed, default=number))
            runs = [runs[number] if run in needed else run for run in runs]
        order = sorted(set(runs))
        return [order.index(run) for run in runs]

    def _needed(self, number):
        """Returns the operations whose last states this one needs: list of int."""
        operation = self._operations[number]
        needed = operation["states"] if operation["kind"] == "predict" else [operation["start"]]
        return [state for state in needed if isinstance(state, int)]

    def _compiled(self):
        """Compiles the programs of all operations, several at a time, those of one text once: number -> Program."""
        start, texts, programs, different = time.monotonic(), {}, {}, {}
        for number in self._numbers:
            operation = self._operations[number]
            path = self._folder / "programs" / operation["program"]
            if path not in texts:
                texts[path] = stablehlo_of(path.with_suffix(".hlo").read_bytes())
            about = path.with_suffix(".json").read_text(encoding="utf-8")
            batches = self._batches(number, json.loads(about)["batch"])
            key = texts[path], about, len(batches[0])
            if key not in different:
                program = Program(texts[path], json.loads(about), operation["kind"])
                different[key] = program, self._shapes(number), batches
            programs[number] = different[key][0]
        with concurrent.futures.ThreadPoolExecutor(_COMPILERS) as pool:
            list(pool.map(lambda each: each[0].compile(*each[1:]), different.values()))
        print(f"{len(different)} programs compiled, {time.monotonic() - start:.1f} s", flush=True)
        return programs

    def _batches(self, number, names):
        """Returns the batches of an operation, those of each tensor in one array: list of np.ndarray [batches, ...]."""
        numbers = np.load(self._folder / "batches" / f"{number}.npz")
        return [self._tables[name][numbers[name]] for name in names]

    def _state(self, number):
        """Returns the variables with which an operation begins: list of arrays."""
        operation = self._operations[number]
        if operation["kind"] == "predict":
            return [value for state in operation["states"] for value in self._states[state][: operation["variables"]]]
        start = operation["start"]
        return self._states[start] if isinstance(start, int) else [jax.device_put(self._value(name)) for name in start]

    def _shapes(self, number):
        """Returns the shapes and types of the variables with which an operation begins."""
        operation = self._operations[number]
        if operation["kind"] == "predict":
            return [s for state in operation["states"] for s in self._shapes(state)[: operation["variables"]]]
        if isinstance(operation["start"], int):
            return self._shapes(operation["start"])
        return [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in map(self._value, operation["start"])]

    def _value(self, name):
        if isinstance(name, dict):
            return np.zeros(name["shape"], name["dtype"])
        return np.load(self._folder / "values" / f"{name}.npy")

    def _results(self, number, state, found):
        if self._operations[number]["kind"] == "predict":
            return {"outputs": np.asarray(found, np.float32)}
        small = {str(place): np.asarray(value) for place, value in enumerate(state) if value.size <= _SMALL}
        return {"losses": np.asarray(found, np.float32), **small}


if __name__ == "__main__":
    if not sys.argv[1:] or not (pathlib.Path(sys.argv[1]) / "plan.json").exists():
        sys.exit(f"Error: give the folder that `run_on_jax.py record` has written. Received: {sys.argv[1:]}.")
    Device(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])).run()
