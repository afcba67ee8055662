"""One process an output folder: told, released by whatever ends the process, and shared by a sweep's workers."""

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT, command, file_flags
from tests.processes import Run, wait_until
from tfbert import InputError
from tfbert.core import folder_lock
from tfbert.core.folder_lock import locked

HOLD = """
import sys, time
from tfbert.core.folder_lock import locked
with locked(sys.argv[1], shared=sys.argv[2] == "shared"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder():
    """Starts a process that holds a folder: callable (folder, "shared" or "alone") -> Popen."""
    started = []

    def hold(folder, how):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder), how], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    "theirs,ours,free",
    [("alone", False, False), ("alone", True, False), ("shared", False, False), ("shared", True, True)],
)
def test_who_may_be_there_at_once(theirs, ours, free, holder, tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "_PATIENCE", 0.2)
    holder(tmp_path / "out", theirs)
    try:
        with locked(str(tmp_path / "out"), shared=ours):
            assert free
    except InputError as error:
        assert not free and "out is in use by another process; wait until it ends, stop it, or choose" in str(error)
    assert (tmp_path / "out").is_dir()  # theirs


def test_a_killed_process_gives_it_back(holder, tmp_path):
    process = holder(tmp_path, "alone")
    os.kill(process.pid, signal.SIGKILL)  # not waited for
    with locked(str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_left_empty_is_removed(tmp_path):
    for shared in (False, True):
        with pytest.raises(InputError), locked(str(tmp_path / "a" / "b"), shared):
            assert (tmp_path / "a" / "b").is_dir()
            raise InputError("A mistake elsewhere.")
        assert list(tmp_path.iterdir()) == []
    with locked(str(tmp_path / "a" / "b")):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()
    with locked(str(tmp_path / "a")), locked(str(tmp_path / "a" / "b")):  # a sweep and its trial
        pass


def test_what_is_no_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in ("file", "file/out", "new/" + "x" * 300, "x/" * 3000):
        with pytest.raises(InputError, match="^--output_dir=.* cannot be written to .*choose another folder"):
            with locked(str(tmp_path / name)):
                pass
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="no permission to write there"), locked(str(tmp_path / "new")):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_where_nothing_can_be_locked(tmp_path, monkeypatch):
    with locked("gs://bucket/out"), locked("gs://bucket/out"):
        pass
    monkeypatch.setattr(folder_lock.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(9, "Bad descriptor")))
    with locked(str(tmp_path)), locked(str(tmp_path)):  # NFS has no such locks
        pass
    monkeypatch.setattr(folder_lock, "fcntl", None)  # nor has Windows
    with locked(str(tmp_path)), locked(str(tmp_path), shared=True):
        pass


def test_two_runs_in_one_folder(tiny, tmp_path):
    """The second is told, the first not disturbed; killed, it goes on by the same command at once."""
    output = tmp_path / "out[1]*"  # no pattern: the checkpoints are found again
    flags = [f"--preset={tiny}", *file_flags(tmp_path), "--max_seq_length=32", "--train_batch_size=8",
             f"--output_dir={output}", "--save_checkpoints_steps=2", "--save_summary_steps=100000"]  # fmt: skip
    first = Run([*flags, "--max_steps=100000"])
    wait_until(lambda: list((output / "checkpoints").glob("step-*.safetensors")), first)
    for others in (["--max_steps=8", "--overwrite"], ["--mode=sweep", "--sweep={seed: 2}"],
                   ["--mode=evaluate", f"--preset={output}/model", f"--test_file={tmp_path}/dev.tsv"]):  # fmt: skip
        result = command(*flags, *others, check=1)
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert f"{output} is in use by another process" in line and "Traceback" not in result.stderr
    assert first.poll() is None
    first.kill()
    result = command(*flags, "--max_steps=8", "--resume_changed", check=0)
    assert "Resuming from the newest checkpoint, step " in result.stdout
