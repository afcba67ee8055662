import ctypes
import os
import re
import subprocess
import sys

import pytest

# Buffers as large as the gradient of minilm's embedding table, each made by one thread and freed by another.
FAULTS = """
import ctypes, queue, resource, threading
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages would hide the faults of small ones
from tfbert.core.process import tune_process
if {tuned}:
    tune_process()
import numpy as np
buffers = queue.Queue(1)
def make():
    for _ in range(20):
        buffers.put(np.ones(12_000_000, np.float32))
maker = threading.Thread(target=make)
maker.start()
for number in range(20):
    if number == 10:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers.get()
maker.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library is not glibc")
def test_large_buffers_are_not_faulted_in_again():
    plain, tuned = (page_faults(tuned) for tuned in (False, True))
    assert plain > 10 * 10_000
    assert tuned < 1_000


def page_faults(tuned):
    """Returns the page faults of ten buffers, once ten have been made and freed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    code = [sys.executable, "-c", FAULTS.format(tuned=tuned)]
    result = subprocess.run(code, capture_output=True, text=True, env=environment)
    assert not result.returncode, result.stderr
    return int(result.stdout)


# A run of one step, and which packages that Keras would have loaded are there at its end.
LOADED = """
import sys
from absl import app
from tfbert import run
from tfbert.config import flags
flags.define_flags()
def main(arguments):
    run.main(arguments)
    print("loaded:", sorted({"jax", "matplotlib.pyplot", "pandas", "sklearn"} & sys.modules.keys()))
app.run(main)
"""


def test_a_run_loads_nothing_that_it_does_not_use_and_lets_only_itself_speak(tiny, tmp_path):
    (tmp_path / "train.tsv").write_text("text\tlabel\nthe printer\tyes\nis down\tno\n", "utf-8")
    flags = [f"--preset={tiny}", f"--train_file={tmp_path}/train.tsv", f"--output_dir={tmp_path}/out", "--max_steps=1",
             "--max_seq_length=32"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    code = [sys.executable, "-c", LOADED, *flags]
    result = subprocess.run(code, capture_output=True, text=True, env=environment)
    assert "loaded: []" in result.stdout, result.stdout + result.stderr
    said = [line for line in re.split("[\r\n]", result.stderr) if line.strip()]
    assert said and all("step" in line and "/1" in line for line in said), "TensorFlow speaks, too"
    assert (tmp_path / "out" / "model").is_dir()


def test_hidden_packages_come_back():
    code = (
        "from tfbert.core.process import without_optional_packages as without\n"
        "with without():\n"
        "    try:\n"
        "        import sklearn\n"
        "    except ImportError:\n"
        "        print('hidden')\n"
        "import sklearn\n"
        "with without():\n"
        "    import sklearn.base\n"
        "print('back')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["hidden", "back"], result.stderr


SAYS = """
import os, sys
from tfbert.core.process import hidden_messages
try:
    with hidden_messages():
        os.write(2, b"I0000 oneDNN\\n")
        {then}
except (ImportError, KeyboardInterrupt):
    pass
print("ours", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "then,environment,said",
    [
        ("pass", {}, ["ours"]),
        ("import nothing_of_this_name", {}, ["I0000 oneDNN", "ours"]),
        ("raise KeyboardInterrupt", {}, ["ours"]),
        ("os.abort()", {}, ["I0000 oneDNN"]),
        ("pass", {"TF_CPP_MIN_LOG_LEVEL": "0"}, ["I0000 oneDNN", "ours"]),
    ],
)
def test_messages_are_hidden_unless_the_block_fails(then, environment, said):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"} | environment
    code = [sys.executable, "-c", SAYS.format(then=then)]
    result = subprocess.run(code, capture_output=True, text=True, env=environment)
    assert result.stderr.split("\n")[:-1] == said


def test_messages_where_stderr_is_closed():
    code = "from tfbert.core.process import hidden_messages as h\nwith h(): print('goes on')"
    shell = ["/bin/sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, code]
    result = subprocess.run(shell, capture_output=True, text=True)
    assert result.stdout == "goes on\n"
