import ctypes
import os
import subprocess
import sys

import pytest

# Buffers as large as the gradient of minilm's embedding table, each made by one thread and freed by another.
FAULTS = """
import ctypes, queue, resource, threading
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages would hide the faults of small ones
from tfbert.process import tune_process
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
