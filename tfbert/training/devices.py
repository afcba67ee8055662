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

# Seconds for which the chief waits for the others.
_LAST_WORDS = 2.0


@contextlib.contextmanager
def without_grappler():
    """Makes TensorFlow run graphs as traced, without Grappler, during a `with` block.

    Grappler rewrites each graph before its first step, which takes seconds and does not make later steps of BERT
    faster. This could not be tried on TPUs.
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
            device, the batch split among them. "multi_worker": the devices of several machines, each of which runs
            the same program; they are given by `worker_hosts` and `worker_index`, or else by the environment variable
            TF_CONFIG. "tpu": every core of a TPU. "auto": the first applicable one of tpu, multi_worker, mirrored,
            one_device.
        virtual_devices: int. Splits the CPU into this many devices; only possible before TensorFlow is used.
        tpu: str. "local" on a TPU VM, or a TPU's name or address.
        worker_hosts: sequence of str, "host:port". The same list, in the same order, on every machine.
        worker_index: int. Index of this machine in that list.

    Raises:
        InputError: the settings contradict each other, there is no such TPU, or TensorFlow has already been used, so
            that the CPU can no longer be split.

    Example:
        >>> tfbert.make_strategy("one_device").num_replicas_in_sync
        1
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
    # Virtual CPU devices share memory, so summing in one place suffices as a reduction.
    return tf.distribute.MirroredStrategy(devices, None if gpus else tf.distribute.ReductionToOneDevice())


def device_kind(strategy):
    """Returns "TPU", "GPU" or "CPU": the kind of devices of a strategy."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "TPU"
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def imitates_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Returns whether this machine's CPU has no bfloat16 instructions; False if this cannot be determined."""
    return bfloat16_instructions(cpuinfo) == []


def bfloat16_instructions(cpuinfo="/proc/cpuinfo"):
    """Returns the bfloat16 instructions of this machine's CPU, such as avx512_bf16 or amx_bf16: list of str.

    None if this cannot be determined.
    """
    try:
        with open(cpuinfo) as file:
            return sorted(set(re.findall(r"\b\w*bf16\b", file.read())))
    except OSError:
        return None


def compiles_all(strategy):
    """Returns whether the devices run only programs compiled by XLA: TPUs."""
    return device_kind(strategy) == "TPU"


def is_chief(strategy):
    """Returns whether this process is the one that writes the output folder."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    resolver = strategy.cluster_resolver
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return resolver.task_type == first and resolver.task_id == 0


def worker_values(strategy, value):
    """Gathers a number from each worker, waiting for all of them: number -> np.ndarray [replicas], equal on all."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return np.array([value])
    with lost_workers():
        return _gatherer(strategy)(tf.constant([value], tf.int64)).numpy()


@contextlib.contextmanager
def lost_workers():
    """Replaces TensorFlow's long errors about a lost worker by one sentence, in a `with` block.

    Raises:
        InputError: the communication between workers failed.
    """
    try:
        yield
    except tf.errors.OpError as error:
        gone = (tf.errors.UnavailableError, tf.errors.AbortedError)
        if not isinstance(error, gone) and "Collective ops is aborted" not in error.message:
            raise
        raise InputError(
            "Another machine has stopped responding, so this one stops, too; start the same command on all machines "
            f"again to resume from the last checkpoint. ({error.message.splitlines()[0]})"
        ) from None


def leave_together(strategy):
    """Waits for all workers at the end of a run; the chief, which coordinates them, leaves last.

    A lost worker no longer matters, as a worker that waits here has finished and saved everything.
    """
    with contextlib.suppress(InputError):
        worker_values(strategy, 0)
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and is_chief(strategy):
        time.sleep(_LAST_WORDS)


@functools.cache
def _gatherer(strategy):
    return tf.function(lambda value: strategy.gather(strategy.run(lambda: tf.identity(value)), axis=0))


def _cluster(worker_hosts, worker_index):
    """Returns {"cluster": …, "task": …} as in TF_CONFIG, or None if there is only this machine."""
    if worker_hosts:
        if worker_index is None or worker_index >= len(worker_hosts):
            raise InputError(
                f"--worker_index must be this machine's index in the {len(worker_hosts)} --worker_hosts, from 0. "
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
            "--strategy=multi_worker needs the list of machines: give --worker_hosts and --worker_index, or set "
            "TF_CONFIG."
        )
    hosts, task = cluster["cluster"], cluster["task"]
    unknown = set(hosts) - {"chief", "worker"}
    if unknown:
        raise InputError(f"TF_CONFIG may only name chief and worker machines. Received: {', '.join(sorted(unknown))}.")
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
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:  # OSError: the name cannot be resolved
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"No TPU is available as --tpu={tpu} ({first}); "
            "check with `python -m tfbert.run --mode=preflight --doctor`."
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
                f"--virtual_devices={count} comes too late: TensorFlow already runs with {have}. Start a new process."
            ) from None
