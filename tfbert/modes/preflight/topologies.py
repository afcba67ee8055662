"""The known TPUs: their chips, memory, speed, and the compiler's names for them."""

import dataclasses

from tfbert.core.errors import InputError
from tfbert.core.names import did_you_mean

# Bytes.
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Topology:
    """A TPU as Google Cloud offers it.

    Attributes:
        name: str. Google's name: v5e and v6e count chips, v4 and v5p TensorCores, of which a chip has two.
        chips: int. Each runs one replica.
        hosts: int. Hosts that feed them.
        hbm_bytes: int. Memory of a chip that a program may use.
        peak_flops: float. bfloat16 operations per second of a chip.
        accelerator_type: str. The name in Google's interfaces.
        compiler_name: str. libtpu's name for the arrangement of the chips.
        compiler_options: dict. Further arguments of jax's `get_topology_desc`.
    """

    name: str
    chips: int
    hosts: int
    hbm_bytes: int
    peak_flops: float
    accelerator_type: str
    compiler_name: str
    compiler_options: dict


# Generation -> GiB of HBM that libtpu 0.0.51 grants a program (the chips have 32, 16, 95 and 32), peak bfloat16
# TFLOP/s of a chip (Google Cloud's "TPU versions"), and the compiler's options.
_CHIPS = {
    "v4": (30.75, 275, {"chip_config_name": "megacore"}),
    "v5e": (15.75, 197, {}),
    "v5p": (95.73, 459, {}),
    "v6e": (31.24, 918, {}),
}
# Name -> arrangement of the chips, hosts.
_SHAPES = {
    "v4-8": ("2x2x1", 1),
    "v4-16": ("2x2x2", 2),
    "v4-32": ("2x2x4", 4),
    "v5e-1": ("1x1", 1),
    "v5e-4": ("2x2", 1),
    "v5e-8": ("2x4", 1),
    "v5e-16": ("4x4", 4),
    "v5e-32": ("4x8", 8),
    "v5p-8": ("2x2x1", 1),
    "v5p-16": ("2x2x2", 2),
    "v5p-32": ("2x2x4", 4),
    "v6e-1": ("1x1", 1),
    "v6e-4": ("2x2", 1),
    "v6e-8": ("2x4", 1),
    "v6e-16": ("4x4", 4),
    "v6e-32": ("4x8", 8),
}


def find_topology(name):
    """Returns the Topology of a name such as v5e-8, or v5litepod-8, Google's other name for it.

    Raises:
        InputError: the name is unknown.
    """
    known = name.replace("v5litepod-", "v5e-")
    if known not in _SHAPES:
        hint = did_you_mean(name, _SHAPES)
        raise InputError(f"--topology must be one of {', '.join(_SHAPES)}. Received: {name!r}.{hint}")
    generation, _, count = known.partition("-")
    shape, hosts = _SHAPES[known]
    gib, teraflops, options = _CHIPS[generation]
    chips = 1
    for side in shape.split("x"):
        chips *= int(side)
    return Topology(
        known,
        chips,
        hosts,
        int(gib * GIB),
        teraflops * 1e12,
        known.replace("v5e-", "v5litepod-"),
        f"{generation}:{shape}",
        options,
    )
