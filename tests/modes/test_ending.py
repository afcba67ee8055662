"""What the command line says and returns where the user or the machine stops it: a sentence, never a traceback."""

import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.conftest import ROOT, command
from tfbert import InputError
from tfbert.modes.ending import run_to_the_end
from tfbert.training.signals import Interrupted


def raised(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    "error,status,said",
    [
        (InputError("--seed is wrong."), 1, "Error: --seed is wrong."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"), 1, "Error: /tmp/x: No space left on device."),
        (FileNotFoundError("No usable temporary directory found"), 1, "Error: No usable temporary directory found"),
        (MemoryError("of 3 TB"), 1, "Error: There is not enough memory or disk (of 3 TB); lower --train_batch_size"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM\nat"), 1, "Error: There is not enough memory or disk (OOM"),
        (tf.errors.PermissionDeniedError(None, None, "/root/x; denied"), 1, "Error: /root/x; denied"),
        (BrokenPipeError(), 1, "Stopped, as the output is no longer read"),
        (Interrupted(15, 3), 143, "Stopped by SIGTERM"),
        (KeyboardInterrupt(), 130, "Interrupted; the same command resumes"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)  # fmt: skip
def test_each_ending(error, status, said, capfd):
    kept = os.dup(1)
    try:
        assert run_to_the_end(raised(error)) == status
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    told = capfd.readouterr().err
    assert told.startswith(said) and told.count("\n") == 1


def test_a_fault_of_the_program_keeps_its_traceback():
    for error in (TypeError("x"), tf.errors.InvalidArgumentError(None, None, "x")):
        with pytest.raises(type(error)):
            run_to_the_end(raised(error))
    assert run_to_the_end(lambda: None) == 0


def shell(line, **environment):
    script = f"set -o pipefail; {line}"
    return subprocess.run(
        ["bash", "-c", script.replace("tfbert.run", f"{sys.executable} -m tfbert.run")],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment},
    )  # fmt: skip


def test_nobody_reads_what_is_printed():
    """The reader has gone before anything is printed."""
    result = shell("tfbert.run --mode=preflight --doctor | (exec <&-; sleep 0)")
    assert result.returncode == 1 and "Traceback" not in result.stderr and "Exception ignored" not in result.stderr
    assert "Stopped, as the output is no longer read" in result.stderr
    result = shell("tfbert.run --mode=preflight --doctor 2>&1 | (exec <&-; sleep 0)")
    assert result.returncode == 1 and not result.stderr
    result = shell("tfbert.run --mode=preflight --doctor >&-")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str)
def test_a_terminal_that_cannot_show_every_letter(environment):
    result = command("--help", environment=environment)
    assert result.returncode == 0 and "\\u2026" in result.stdout and "Traceback" not in result.stderr
    result = command("--group_column=作者", "--strategy=auto", environment=environment, check=1)
    assert "--group_column=" in result.stderr and "needs --folds" in result.stderr


def test_flags_from_a_file(tmp_path):
    (tmp_path / "good").write_text("--seed=7\n--group_column=作者\n", "utf-8")
    (tmp_path / "bad").write_bytes(b"--seed=\xff\n")
    for name, message in (
        ("good", "--group_column=作者 needs --folds"), ("bad", "Error: the --flagfile is not a readable text file"),
        ("none", "Unable to open flagfile"), (".", "Unable to open flagfile"),
    ):  # fmt: skip
        result = command(f"--flagfile={tmp_path / name}", check=1, forked=False)
        assert message in result.stderr and "Traceback" not in result.stderr
