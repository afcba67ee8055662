"""Devices and machines: real worker processes against one device, and what is refused."""

import json
import subprocess
import sys
import urllib.error

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from tests.conftest import ROOT, command, file_flags, finish, free_ports, workers
from tfbert import InputError
from tfbert.training.devices import imitates_bfloat16, make_strategy, without_grappler
from tfbert.training.tpu_variables import tpu_variables


@pytest.fixture(scope="module")
def flags(tiny, tmp_path_factory):
    """61 rows in batches of 32: every epoch's last batch is short; clipping bites, tokens repeat; no dropout."""
    folder = tmp_path_factory.mktemp("data")
    return [f"--preset={tiny}", *file_flags(folder), "--dropout=0",
            "--max_seq_length=32", "--train_batch_size=32", "--learning_rate=3e-3", "--max_steps=30",
            "--max_grad_norm=0.5", "--layer_lr_decay=0.9", "--save_summary_steps=1",
            "--save_checkpoints_steps=30"]  # fmt: skip


@pytest.fixture(scope="module")
def one_device(flags, tmp_path_factory):
    output = tmp_path_factory.mktemp("one") / "out"
    finish(workers(flags, output, 1))
    return output


def weights(output):
    tensors = load_file(output / "checkpoints" / "step-00000030.safetensors")
    return {name: value for name, value in tensors.items() if name.startswith("model/")}


def test_two_workers_equal_one_device(flags, one_device, tiny, tmp_path):
    options = ["--gradient_accumulation_steps=2", "--steps_per_loop=10"]
    finish(workers([*flags, *options], tmp_path / "two", 2))
    lines, expected = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "two", one_device)
    )
    assert len(lines) == len(expected) == 30 + 15
    for line, other in zip(lines, expected):
        assert line == pytest.approx(other, abs=1e-5)
    start = load_file(f"{tiny}/model.safetensors")
    trained = load_file(one_device / "model" / "model.safetensors")
    change = np.sqrt(sum(((trained[name] - start[name]) ** 2).sum() for name in start))
    found, ours = weights(tmp_path / "two"), weights(one_device)
    assert found.keys() == ours.keys() and change > 0.1
    assert np.sqrt(sum(((found[name] - ours[name]) ** 2).sum() for name in ours)) < 1e-3 * change


def test_two_workers_evaluate_and_predict_as_one(flags, one_device, tmp_path):
    dev = next(flag for flag in flags if "dev_file" in flag).partition("=")[2]
    common = [f"--preset={one_device}/model", f"--test_file={dev}"]
    for mode in ("evaluate", "predict"):
        for count in (1, 2):
            finish(workers([f"--mode={mode}", *common, "--eval_batch_size=4"], tmp_path / str(count), count))
    scores, expected = (json.loads((tmp_path / n / "eval_results.json").read_text()) for n in ("2", "1"))
    assert scores["test"] == pytest.approx(expected["test"], abs=1e-5)
    rows, others = (
        [json.loads(line) for line in (tmp_path / n / "predictions.jsonl").read_text().splitlines()] for n in ("2", "1")
    )
    assert len(rows) == 21
    for row, other in zip(rows, others, strict=True):
        assert row["label"] == other["label"]
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


LEAVE = """
import os, sys
from tfbert.training import devices as strategies
index = int(sys.argv[1])
strategy = strategies.make_strategy("multi_worker", worker_hosts=sys.argv[2:], worker_index=index)
strategies.worker_values(strategy, index)
if index:
    os._exit(0)
strategies.leave_together(strategy)
"""


def test_a_worker_that_has_left_first_does_not_matter():
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = [
        subprocess.Popen([sys.executable, "-c", LEAVE, str(index), *hosts], cwd=ROOT, text=True) for index in range(2)
    ]
    finish(processes)


@pytest.mark.parametrize(
    "options,environment,message",
    [
        ({"name": "multi_worker"}, None, "needs the list of machines: give --worker_hosts and --worker_index"),
        ({"worker_hosts": ("a:1", "b:1")}, None, "its place|this machine's index in the 2 --worker_hosts"),
        ({"worker_hosts": ("a:1", "b:1"), "worker_index": 2}, None, "from 0. Received: 2"),
        ({"worker_hosts": ("a", "b:1"), "worker_index": 0}, None, "must be HOST:PORT. Received: 'a'"),
        ({}, "not json", "TF_CONFIG must be JSON such as"),
        ({}, '{"cluster": {"worker": ["a:1", "b:1"]}}', "TF_CONFIG must be JSON such as"),
        (
            {},
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
            "may only name chief and worker machines. Received: ps",
        ),
    ],
)
def test_refusals(monkeypatch, options, environment, message):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if environment:
        monkeypatch.setenv("TF_CONFIG", environment)
    with pytest.raises(InputError, match=message):
        make_strategy(**options)


@pytest.mark.parametrize(
    "tpu,reason",
    [
        ("local", "this machine has no TPU chips (/dev/accel*, /dev/vfio/*); run it on a Cloud TPU VM"),
        ("nobody", "the name is looked up by Google Cloud's metadata server, which does not answer: "),
        ("grpc://127.0.0.1:9", "nobody listens there (Connection refused); check the address and the firewall."),
    ],
)
def test_a_tpu_that_is_not_there(flags, tmp_path, tpu, reason):
    """Told before TensorFlow is loaded: it and libtpu go on asking for minutes."""
    closed = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    result = command(*flags, f"--output_dir={tmp_path}/out", f"--tpu={tpu}", check=1, environment=closed)
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: There is no TPU to be had as --tpu={tpu}: {reason}")
    assert not (tmp_path / "out").exists()


def test_a_tpu_that_somebody_else_uses(monkeypatch):
    """What TensorFlow says once there is one, here by a resolver that finds none."""

    def unknown(**_):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", unknown)
    with pytest.raises(InputError, match="No TPU is available as --tpu=nowhere .*not known.*--doctor"):
        make_strategy(tpu="nowhere")


def test_variables_of_tpu_machines():
    assert tpu_variables("local", {})["NEXT_PLUGGABLE_DEVICE_USE_C_API"] == "true"
    assert tpu_variables("my-slice", {"TPU_LOAD_LIBRARY": "1"}) == {"TPU_NAME": "my-slice"}


@pytest.mark.parametrize(
    "cpuinfo,imitates",
    [
        ("flags\t\t: fpu avx f16c fma avx2 sha_ni\n", True),  # EPYC of the first generation
        ("flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_bf16\n", False),  # Xeon, 4th generation
        ("Features\t: fp asimd svebf16 i8mm bf16\n", False),  # Graviton 3
        (None, False),
    ],
)
def test_which_cpus_imitate_bfloat16(tmp_path, cpuinfo, imitates):
    if cpuinfo:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert imitates_bfloat16(tmp_path / "cpuinfo") == imitates


def grappler_off():
    return tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False)


def test_options_are_the_callers_again():
    before = grappler_off()
    try:
        for own in (False, True):
            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": own})
            make_strategy("one_device")
            assert grappler_off() is own
            with without_grappler():
                assert grappler_off() is True
            assert grappler_off() is own
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": before})
