"""How XLA compiles parts of a step: its flags, seen from a process of its own, as XLA reads them once."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from tfbert.core import xla as compiling
compiling._QUICK += " --xla_dump_to=" + sys.argv[1]
assert compiling.can_compile_parts()
print(os.environ.get("XLA_FLAGS"))
"""


@pytest.mark.parametrize("given", [None, "--xla_cpu_enable_fast_math=false"])
def test_parts_compile_quickly_unless_flags_are_given(given, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    if given:
        environment["XLA_FLAGS"] = given
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.stdout.strip() == str(given), result.stderr
    used = [path.read_text() for path in tmp_path.glob("*debug_options*")]
    assert len(used) == (0 if given else 1)
    for options in used:
        assert "xla_backend_optimization_level: 1\n" in options
        assert "xla_cpu_use_fusion_emitters: false\n" in options
