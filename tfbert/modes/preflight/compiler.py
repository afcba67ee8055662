"""Compiles one program for TPUs with the real TPU compiler, on a machine that has none.

A script that `tfbert.modes.preflight.step` starts in a separate process: jax and libtpu stay apart from TensorFlow, and
a crash of the compiler does not end its caller. It imports nothing of tfbert.

    python compiler.py STEP.hlo OUT.json '{"name": "v5e:2x4", "replicas": 8, "options": {}}'

OUT.json gets `{"memory": {...}, "flops": ..., "seconds": ...}`, or `{"error": "..."}` with the compiler's message.
"""

import json
import sys
import time

import jax
import numpy as np
from jax._src.lib import xla_client
from jax.experimental import topologies
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

try:
    from jax._src.interpreters.mlir import make_ir_context
except ImportError as error:
    raise ImportError(f"jax {jax.__version__} is not the version that the extra `preflight` requires.") from error

_MEMORY = ("argument", "output", "alias", "temp", "generated_code")


def compile_hlo(hlo, topology):
    """Compiles a program for every chip of a topology.

    Args:
        hlo: bytes. A serialised HloModuleProto of one replica.
        topology: dict. `name` as libtpu knows it, `replicas`: int, `options` of `get_topology_desc`.

    Returns:
        dict. `memory` (bytes by kind, of one chip), `flops` (of one chip), `seconds`.
    """
    devices = topologies.get_topology_desc(topology["name"], "tpu", **topology["options"]).devices
    devices = tuple(devices[: topology["replicas"]])
    options = xla_client.CompileOptions()
    options.num_replicas, options.num_partitions = len(devices), 1
    numbers = np.arange(len(devices), dtype="int32")[:, None]
    options.executable_build_options.device_assignment = xla_client.DeviceAssignment.create(numbers)
    with make_ir_context():
        module = ir.Module.parse(xla_client._xla.mlir.hlo_to_stablehlo(hlo))
        _visit(module.operation)
        start = time.monotonic()
        program = devices[0].client.compile(module, xla_client.DeviceList(devices), options)
    stats = program.get_compiled_memory_stats()
    return {
        "memory": {kind: getattr(stats, f"{kind}_size_in_bytes") for kind in _MEMORY},
        "flops": program.cost_analysis().get("flops", 0.0),
        "seconds": time.monotonic() - start,
    }


def _visit(operation):
    """Rewrites in place all operations that TensorFlow's CPU bridge writes differently from its TPU bridge."""
    for region in operation.regions:
        for block in region.blocks:
            for inner in list(block.operations):
                rewrite = _REWRITES.get(inner.operation.name, _visit)
                rewrite(inner.operation)


def _drop_copy(operation):
    """Replaces mhlo.copy, which the conversion leaves behind and the compiler refuses, by its operand."""
    operation.results[0].replace_all_uses_with(operation.operands[0])
    operation.erase()


def _default_random(operation):
    """Replaces Philox, TensorFlow's generator on CPUs, with a state of three words, by a TPU's own, with two."""
    state, bits = operation.results
    given = operation.operands[0]
    if given.type.shape != [3]:
        return
    with ir.InsertionPoint(operation), operation.location:
        short = stablehlo.SliceOp(given, start_indices=[0], limit_indices=[2], strides=[1])
        algorithm = stablehlo.RngAlgorithmAttr.get("DEFAULT")
        drawn = stablehlo.RngBitGeneratorOp(short.result.type, bits.type, algorithm, short)
    bits.replace_all_uses_with(drawn.results[1])
    state.replace_all_uses_with(given)  # only computes the next state, which is not read
    operation.erase()


_REWRITES = {"mhlo.copy": _drop_copy, "stablehlo.rng_bit_generator": _default_random}


def main(hlo_path, out_path, topology):
    """Compiles a file and writes the result."""
    with open(hlo_path, "rb") as file:
        hlo = file.read()
    try:
        result = compile_hlo(hlo, json.loads(topology))
    except jax.errors.JaxRuntimeError as error:
        result = {"error": str(error)}
    with open(out_path, "w", encoding="utf-8") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
