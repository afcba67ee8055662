"""Setup of the process of `python -m tfbert.run`: imports, quiet loading, and memory."""

import contextlib
import ctypes
import gc
import inspect
import logging
import os
import subprocess
import sys
import types

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h

# Packages that Keras and TensorFlow import if installed, for parts that no run uses: wrappers, plots, notebooks.
_OPTIONAL = ("IPython", "jax", "matplotlib", "pandas", "scipy", "sklearn")

# Reads all input, and writes it at the end.
_KEEP = 'said=$(cat); [ -z "$said" ] || printf "%s\\n" "$said" >&2'


@contextlib.contextmanager
def without_optional_packages():
    """Hides optional packages from imports of Keras and TensorFlow during a `with` block.

    They take 40 % of the import time of both, and 230 MB. Afterwards they can be imported as usual; a run imports them
    only when it needs them.
    """
    hidden = [package for package in _OPTIONAL if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: importing it raises ModuleNotFoundError
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextlib.contextmanager
def hidden_messages():
    """Holds back output to file descriptor 2 during a `with` block, and shows it if the block fails.

    TensorFlow logs lines while it is imported, before its log level is set. Another process holds them, because a
    process that TensorFlow aborts could not show them. Nothing is held back if TF_CPP_MIN_LOG_LEVEL=0.
    """
    try:
        terminal = None if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0" else os.dup(2)
    except OSError:  # closed
        terminal = None
    if terminal is None:
        yield
        return
    keeper = subprocess.Popen(["/bin/sh", "-c", _KEEP], stdin=subprocess.PIPE)
    os.dup2(keeper.stdin.fileno(), 2)
    failed = False
    try:
        yield
    except Exception:
        failed = True
        raise
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        if not failed:
            keeper.kill()  # before closing its pipe makes it print
        keeper.stdin.close()
        keeper.wait()


@contextlib.contextmanager
def quiet_loading():
    """Applies both of the above to a `with` block that imports TensorFlow."""
    with without_optional_packages(), hidden_messages():
        yield


def tune_process():
    """Tunes garbage collection and glibc's malloc; to be called before other threads are started."""
    # Tracing creates millions of objects, hardly any of them garbage: collecting after every 700 takes 8 % of the time
    # until the first step.
    gc.set_threshold(50_000, 20, 20)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # missing fonts do not concern the user
    # Each step allocates its tensors again. By default glibc returns their pages to the kernel, and they are faulted in
    # again: 11,000 page faults per step of minilm on SST-2. With one heap that keeps its pages there are about 700, and
    # a step takes a sixth less time (AMD EPYC, 2 cores, fp32).
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt:
            mallopt(_M_ARENA_MAX, 1)
            mallopt(_M_MMAP_THRESHOLD, 2**30)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


class _CallableModule(types.ModuleType):
    def __call__(self, *args, **kwargs):
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(name):
    """Makes a module callable: it calls its function of the same name.

    Once `tfbert.run` has been imported as a module, the attribute `run` of the package is the module; calling it must
    still work.
    """
    module = sys.modules[name]
    module.__class__ = _CallableModule
    module.__signature__ = inspect.signature(getattr(module, name.rpartition(".")[2]))
