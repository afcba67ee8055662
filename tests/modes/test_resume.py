"""Runs that are killed, interrupted or changed: in processes of their own, against one that nobody stopped."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, command, file_flags, finish, workers
from tests.processes import wait_until

STEPS = 60  # ten kills end within them
FEWER = 30  # of runs on several devices, whose steps take longer
FLAGS = ("--max_seq_length=32", "--train_batch_size=8", "--learning_rate=3e-3", f"--max_steps={STEPS}",
         "--eval_steps=7", "--save_summary_steps=5", "--save_checkpoints_steps=2", "--best_metric=loss",
         "--patience=8", "--halve_dev")  # fmt: skip


@pytest.fixture(scope="module")
def flags(tiny, tmp_path_factory):
    """Flags of a run whose epochs end between checkpoints, with dropout."""
    folder = tmp_path_factory.mktemp("data")
    return [f"--preset={tiny}", *file_flags(folder), *FLAGS]


def newest_step(output):
    """Returns the step of the newest checkpoint, 0 where there is none."""
    names = os.listdir(output / "checkpoints") if (output / "checkpoints").is_dir() else []
    return max([int(name[5:13]) for name in names if name.endswith(".safetensors")], default=0)


def steps_of(count, devices):
    """Returns the steps of a run of so many workers and devices."""
    return STEPS if count == devices == 1 else FEWER


def results_of(output):
    """Returns what a run must reproduce bit for bit: the best model, the last checkpoint's variables, the metrics."""
    from safetensors.numpy import load_file

    last = load_file(output / "checkpoints" / f"step-{newest_step(output):08d}.safetensors")
    return (
        (output / "model" / "model.safetensors").read_bytes(),
        {name: value.tobytes() for name, value in last.items()},
        (output / "metrics.jsonl").read_text(),
        json.loads((output / "eval_results.json").read_text())["best_step"],
    )


@pytest.fixture(scope="module")
def undisturbed(flags, tmp_path_factory):
    """Returns what a run that nobody stopped comes to, made once for each layout: function (workers, devices)."""

    @functools.cache
    def run(count=1, devices=1):
        output = tmp_path_factory.mktemp("whole")
        steps = steps_of(count, devices)
        finish(workers([*flags, f"--virtual_devices={devices}", f"--max_steps={steps}"], output, count))
        assert newest_step(output) == steps
        return results_of(output)

    return run


@pytest.mark.parametrize(
    "count,devices,kills",
    [(1, 1, 10), (1, 2, 1), (2, 1, 1)],
    ids=["one device", "two mirrored devices", "two workers"],
)
def test_kill_9_at_random_moments_changes_nothing(flags, undisturbed, tmp_path, count, devices, kills, record_property):
    steps = steps_of(count, devices)
    flags = [*flags, f"--virtual_devices={devices}", f"--max_steps={steps}"]
    moments = random.Random(count * 10 + devices)
    output, step, resumed = tmp_path / "killed", 0, 0
    for _ in range(kills):
        processes = workers(flags, output, count)
        # Two more steps, so that ten kills end within the run; then a moment anywhere between two checkpoints.
        while newest_step(output) < min(step + 2, steps - 2) and all(p.poll() is None for p in processes):
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        for process in processes:
            process.kill()
        resumed += all(process.wait() == -signal.SIGKILL for process in processes)
        step = newest_step(output)
    finish(workers(flags, output, count))
    assert resumed >= kills / 2, "the runs ended before they could be killed"
    assert results_of(output) == undisturbed(count, devices)
    assert not list((output / "checkpoints").glob("*.partial"))
    record_property("kills", resumed)


KILLED_WHILE_WRITING = """
import os, runpy, signal, sys
import tfbert.core.files as files
write, count = files.save_file, 0
def save_file(tensors, path, about):
    global count
    write(tensors, path, about)
    count += "checkpoints" in path
    if count == 3:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
files.save_file = save_file
runpy.run_module("tfbert.run", run_name="__main__")
"""


def test_kill_9_inside_the_write_of_a_checkpoint(flags, undisturbed, tmp_path, record_property):
    """The half-written third checkpoint is there, under another name; the second one is used."""
    output = tmp_path / "killed"
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, *flags, f"--output_dir={output}"], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name[:13] for path in (output / "checkpoints").iterdir()) == [
        "step-00000002", "step-00000004", "step-00000006"]  # fmt: skip
    outputs = finish(workers(flags, output, 1))
    assert "Resuming from the newest checkpoint, step 4" in outputs[0]
    assert results_of(output) == undisturbed()
    record_property("kills", 1)


@pytest.mark.parametrize("count", [1, 2])
def test_sigterm_saves_and_the_same_command_goes_on(flags, undisturbed, tmp_path, count):
    """With two workers only one of them is told to stop."""
    slow = [flag for flag in flags if "save_checkpoints" not in flag] + ["--save_checkpoints_steps=1000"]
    slow += [f"--max_steps={steps_of(count, 1)}"]
    processes = workers(slow, tmp_path / "stopped", count)
    wait_until((tmp_path / "stopped" / "metrics.jsonl").exists, processes[0])
    processes[-1].send_signal(signal.SIGTERM)
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [128 + signal.SIGTERM] * count, outputs[-1][-2000:]
    step = newest_step(tmp_path / "stopped")
    assert f"Stopped by SIGTERM at step {step}, which is saved." in outputs[-1] and 5 <= step < steps_of(count, 1)
    outputs = finish(workers(slow, tmp_path / "stopped", count))
    assert f"Resuming from the newest checkpoint, step {step}" in outputs[0]
    assert results_of(tmp_path / "stopped") == undisturbed(count)


def test_a_worker_that_is_lost_ends_the_others(flags, tmp_path):
    processes = workers([*flags, "--max_steps=100000"], tmp_path / "out", 2)
    wait_until(lambda: newest_step(tmp_path / "out") >= 2, processes[0])
    processes[1].kill()
    output = processes[0].communicate(timeout=200)[0]
    assert processes[0].returncode == 1
    assert "Error: Another machine has stopped responding" in output and "Traceback" not in output, output[-3000:]


def test_changed_settings_are_refused_unless_asked_for(flags, tmp_path):
    output = tmp_path / "out"
    short = [flag for flag in flags if "max_steps" not in flag] + [f"--output_dir={output}"]
    process = workers([*flags, "--max_steps=100000"], output, 1)[0]
    wait_until(lambda: newest_step(output) >= 4, process)
    process.kill()
    process.wait()
    before = sorted((path.name, path.stat().st_mtime_ns) for path in output.rglob("*"))
    other = tmp_path / "other.tsv"
    other.write_text("text\tlabel\n" + "the printer\tja\nmy account\tnein\n" * 30)
    for change, message in (
        ("--learning_rate=1e-3", "learning_rate was 0.003, is 0.001"),
        ("--train_batch_size=4", "train_batch_size was 8, is 4"),
        ("--max_steps=50", "max_steps was 100000, is 50"),
        (f"--train_file={other}", "train data was"),
        ("--virtual_devices=2", "devices was 1, is 2"),
    ):
        result = command(*short, *([] if "max_steps" in change else ["--max_steps=100000"]), change, check=1)
        assert "holds an unfinished run with other settings: " in result.stderr and message in result.stderr
        assert "Traceback" not in result.stderr
    assert sorted((path.name, path.stat().st_mtime_ns) for path in output.rglob("*")) == before
    result = command(*short, "--max_steps=50", "--resume_changed", "--eval_batch_size=3", check=0)
    assert "Resuming from the newest checkpoint, step" in result.stderr + result.stdout
