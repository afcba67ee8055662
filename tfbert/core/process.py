"""What a process of its own, `python -m tfbert.run`, does not load, and how it takes and gives back memory."""

import contextlib
import ctypes
import gc
import inspect
import os
import subprocess
import sys
import types

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h

# What Keras and TensorFlow load where it is installed, for parts that no run uses: wrappers, galleries, notebooks.
_OPTIONAL = ("IPython", "jax", "matplotlib", "pandas", "scipy", "sklearn")

# Reads all that there is, and writes it when there is no more.
_KEEP = 'said=$(cat); [ -z "$said" ] || printf "%s\\n" "$said" >&2'


@contextlib.contextmanager
def without_optional_packages():
    """Hides from what is imported meanwhile the packages that Keras and TensorFlow can do without.

    They take 40 % of the time that importing both takes, and 230 MB. Afterwards they can be imported as ever; a run
    loads those that it needs when it needs them.
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
    """Keeps from the terminal what is written to file descriptor 2 meanwhile; it is shown where the block fails.

    TensorFlow logs lines while it is loaded, before its log level is set. Another process keeps them, as
    one that TensorFlow aborts could show nothing any more. Nothing is hidden where TF_CPP_MIN_LOG_LEVEL=0 asks for all.
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
            keeper.kill()  # before the end of its pipe makes it speak
        keeper.stdin.close()
        keeper.wait()


@contextlib.contextmanager
def quiet_loading():
    """Both of the above, while TensorFlow is loaded by a process of its own."""
    with without_optional_packages(), hidden_messages():
        yield


def tune_process():
    """Sets how often Python looks for garbage and from where glibc takes memory; before other threads are started."""
    # Tracing makes objects by the million, hardly one of them garbage: to look for it each 700 of them takes 8 % of the
    # time until the first step.
    gc.set_threshold(50_000, 20, 20)
    # Each step makes its tensors anew. As glibc comes, their pages go back to the kernel and are faulted in again:
    # 11,000 times in a step of minilm on SST-2, where with one heap that is kept it is some 700 times, and the step
    # takes a sixth less (AMD EPYC, 2 cores, fp32).
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
    """Makes the module of that name call its function of the same name.

    Once `tfbert.run` has been imported as a module, Python lets the attribute `run` of the package stand for the
    module; calling it must still run.
    """
    module = sys.modules[name]
    module.__class__ = _CallableModule
    module.__signature__ = inspect.signature(getattr(module, name.rpartition(".")[2]))
