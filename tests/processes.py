"""Runs of `python -m tfbert.run`, each in a process of its own that can be killed.

The processes are forked from one that has imported TensorFlow and has done nothing with it yet: importing it anew takes
five seconds, and the tests start more than a hundred.
"""

import atexit
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.forked"])
_OUTPUTS = tempfile.mkdtemp(prefix="tfbert-tests-")
atexit.register(shutil.rmtree, _OUTPUTS, ignore_errors=True)


class Run:
    """A process of `python -m tfbert.run`, with the part of subprocess.Popen's interface that the tests need.

    Attributes:
        returncode: int or None. The exit status; a signal's is negative.
    """

    def __init__(self, arguments, separate_errors=False, folder=ROOT):
        """Starts it.

        Args:
            arguments: sequence of str.
            separate_errors: bool. Whether stderr is kept apart from stdout.
            folder: pathlib.Path. Where it runs.
        """
        number = len(os.listdir(_OUTPUTS))
        self._paths = [os.path.join(_OUTPUTS, f"{number}.{name}") for name in ("out", "err")[: 1 + separate_errors]]
        for path in self._paths:
            pathlib.Path(path).touch()
        self._process = _FORKS.Process(target=_run, args=(list(arguments), self._paths, folder))
        self._process.start()

    @property
    def returncode(self):
        """The exit status, None while it runs."""
        return self._process.exitcode

    def poll(self):
        """Returns the exit status, None while it runs."""
        return self.returncode

    def wait(self, timeout=600):
        """Waits for the end; returns the exit status."""
        self._process.join(timeout)
        if self.returncode is None:
            self.kill()
            raise TimeoutError(f"It still ran after {timeout} s:\n{self.outputs()[0][-3000:]}")
        return self.returncode

    def outputs(self):
        """Returns what it has written so far: [stdout with stderr], or [stdout, stderr]."""
        return [pathlib.Path(path).read_text("utf-8", "replace") for path in self._paths]

    def communicate(self, timeout=600):
        """Waits for the end; returns (stdout, stderr), stderr being None where the two are one."""
        self.wait(timeout)
        return (*self.outputs(), None)[:2]

    def send_signal(self, number):
        """Sends a signal."""
        os.kill(self._process.pid, number)

    def kill(self):
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(arguments, paths, folder):
    import runpy

    for number, path in ((1, paths[0]), (2, paths[-1])):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
    os.chdir(folder)
    sys.argv = ["tfbert.run", *arguments]
    runpy.run_module("tfbert.run", run_name="__main__", alter_sys=True)


def command(*arguments, check=None, environment=None, forked=True):
    """Runs to the end; returns a CompletedProcess with stdout and stderr.

    Args:
        *arguments: str.
        check: int. The exit status that is expected.
        environment: dict. Variables that TensorFlow must find when it starts: such a run is not forked.
        forked: bool. False for what must answer before TensorFlow is imported.
    """
    if environment or not forked:
        result = subprocess.run(
            [sys.executable, "-m", "tfbert.run", *arguments], capture_output=True, text=True, timeout=600, cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    else:
        process = Run(arguments, separate_errors=True)
        stdout, stderr = process.communicate()
        result = subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)
    if check is not None:
        assert result.returncode == check, result.stdout[-3000:] + result.stderr[-3000:]
    return result


def wait_until(condition, process=None, seconds=300):
    """Waits until something holds; fails if the process ends first, or time does.

    Args:
        condition: callable () -> bool.
        process: Run, or None.
        seconds: float.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.outputs()[0][-3000:]
        assert time.monotonic() < end, "It did not come about in time."
        time.sleep(0.02)
