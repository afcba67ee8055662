"""The devices of a run, as a tf.distribute strategy."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError

# Seconds that the chief leaves to the others.
_LAST_WORDS = 2.0


@contextlib.contextmanager
def without_grappler():
    """Has TensorFlow run graphs as they were traced, while a `with` block runs.

    Grappler rewrites each graph before its first step, which takes seconds and makes no later step of BERT faster. On
    TPUs that could not be tried.
    """
    name = "disable_meta_optimizer"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})


def make_strategy(
    name: str = "auto",
    virtual_devices: int = 1,
    tpu: str | None = None,
    worker_hosts: Sequence[str] = (),
    worker_index: int | None = None,
) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy of that name.

    Args:
        name: "one_device": the first GPU, else the CPU. "mirrored": every GPU of this machine, or every virtual CPU
            device, the batch split among them. "multi_worker": the devices of several machines, on each of which the
            same program runs; who they are is said by `worker_hosts` and `worker_index`, or else by the environment
            variable TF_CONFIG. "tpu": every core of a TPU. "auto": what there is a reason for, in the order tpu,
            multi_worker, mirrored, one_device.
        virtual_devices: int. Splits the CPU into so many devices; before anything else has used TensorFlow.
        tpu: str. "local" on a TPU VM, or a TPU's name or address.
        worker_hosts: sequence of str, "host:port". The same list, in the same order, on every machine.
        worker_index: int. This machine's place in that list.

    Raises:
        InputError: settings that do not fit together, no such TPU, or TensorFlow has started already, so that the CPU
            can no longer be split.
    """
    cluster = _cluster(worker_hosts, worker_index)
    if name == "auto":
        name = "tpu" if tpu else "multi_worker" if cluster else "auto"
    if name == "tpu":
        return _tpu_strategy(tpu or "local")
    if name == "multi_worker":
        return _multi_worker_strategy(cluster)
    if virtual_devices > 1:
        _split_cpu(virtual_devices)
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
    if name == "one_device" or (name == "auto" and len(devices) == 1):
        return tf.distribute.get_strategy()
    # Virtual CPU devices share memory: adding up in one place is all that a reduction needs.
    return tf.distribute.MirroredStrategy(devices, None if gpus else tf.distribute.ReductionToOneDevice())


def device_kind(strategy):
    """Returns "TPU", "GPU" or "CPU": what the heavy work of a strategy runs on."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "TPU"
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def imitates_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Says whether this machine's CPU has no bfloat16 instructions; False where there is no such file to tell."""
    return bfloat16_instructions(cpuinfo) == []


def bfloat16_instructions(cpuinfo="/proc/cpuinfo"):
    """Returns this CPU's bfloat16 instructions, such as avx512_bf16, amx_bf16 or Arm's bf16: list of str.

    None where there is no such file to tell.
    """
    try:
        with open(cpuinfo) as file:
            return sorted(set(re.findall(r"\b\w*bf16\b", file.read())))
    except OSError:
        return None


def compiles_all(strategy):
    """Says whether the devices can run nothing but what XLA has compiled: TPUs."""
    return device_kind(strategy) == "TPU"


def is_chief(strategy):
    """Says whether this process is the one that writes the output folder."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type == first and resolver.task_id == 0


def worker_values(strategy, value):
    """Returns what each worker gave here, the same on all: number -> np.ndarray [replicas]; waits for all of them."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return np.array([value])
    with lost_workers():
        return _gatherer(strategy)(tf.constant([value], tf.int64)).numpy()


@contextlib.contextmanager
def lost_workers():
    """Says in one sentence what TensorFlow says in many where another worker is gone.

    Raises:
        InputError: in place of an error of the communication between workers.
    """
    try:
        yield
    except tf.errors.OpError as error:
        gone = (tf.errors.UnavailableError, tf.errors.AbortedError)
        if not isinstance(error, gone) and "Collective ops is aborted" not in error.message:
            raise
        raise InputError(
            "Another machine has stopped answering, so that this one stops too; start the same command on all of them "
            f"again, and it goes on from the last checkpoint. ({error.message.splitlines()[0]})"
        ) from None


def leave_together(strategy):
    """Waits at the end of a run for all workers; the chief, through which they speak, goes last.

    A worker that is gone does not matter any more: one that waits here has done and saved all it had to.
    """
    with contextlib.suppress(InputError):
        worker_values(strategy, 0)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and is_chief(strategy):
        time.sleep(_LAST_WORDS)


@functools.cache
def _gatherer(strategy):
    return tf.function(lambda value: strategy.gather(strategy.run(lambda: tf.identity(value)), axis=0))


def _cluster(worker_hosts, worker_index):
    """Returns {"cluster": …, "task": …} as in TF_CONFIG, or None where there is only this machine."""
    if worker_hosts:
        if worker_index is None or worker_index >= len(worker_hosts):
            raise InputError(
                f"--worker_index must be this machine's place among the {len(worker_hosts)} --worker_hosts, from 0. "
                f"Received: {worker_index}."
            )
        return {"cluster": {"worker": list(worker_hosts)}, "task": {"type": "worker", "index": worker_index}}
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        cluster = json.loads(text)
        return cluster if sum(len(hosts) for hosts in cluster["cluster"].values()) > 1 and cluster["task"] else None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InputError(
            'TF_CONFIG must be JSON such as {"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {text}'
        ) from None


def _multi_worker_strategy(cluster):
    if not cluster:
        raise InputError(
            "--strategy=multi_worker needs to know the machines: give --worker_hosts and --worker_index, or set "
            "TF_CONFIG."
        )
    hosts, task = cluster["cluster"], cluster["task"]
    unknown = set(hosts) - {"chief", "worker"}
    if unknown:
        raise InputError(f"TF_CONFIG may name chief and worker machines only. Received: {', '.join(sorted(unknown))}.")
    for host in (host for group in hosts.values() for host in group):
        if not re.fullmatch(r"\S+:\d{1,5}", host):
            raise InputError(f"A machine of --worker_hosts or TF_CONFIG must be HOST:PORT. Received: {host!r}.")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(hosts), task_type=task["type"], task_id=int(task["index"]), rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _tpu_strategy(tpu):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        if tpu != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:  # OSError: nobody to ask for the name
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"There is no TPU to be had as --tpu={tpu} ({first}); "
            "look with `python -m tfbert.run --mode=preflight --doctor`."
        ) from None
    return tf.distribute.TPUStrategy(resolver)


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        have = len(tf.config.list_logical_devices("CPU"))
        if have != count:
            raise InputError(
                f"--virtual_devices={count} comes too late: TensorFlow runs already, with {have}. Start a new process."
            ) from None
