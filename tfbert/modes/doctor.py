"""Checks the environment: versions, devices, variables, Keras settings and the bucket, each finding with a remedy.

TensorFlow is not imported before the versions have been checked: with a wrong libtpu the import aborts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping

from tfbert.core.errors import InputError
from tfbert.core.keras_setup import keras_problems
from tfbert.core.network import check_storage
from tfbert.modes.preflight.pins import TPU_PINS
from tfbert.training.tpu_variables import tpu_chips

_PACKAGES = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu", "libtpu", "tensorflow-text", "keras", "keras-hub")


@dataclasses.dataclass(frozen=True)
class Finding:
    """A problem and its remedy.

    Attributes:
        problem: str.
        remedy: str. A command, or what to do.
    """

    problem: str
    remedy: str

    def __str__(self):
        return f"{self.problem}\n    Remedy: {self.remedy}"


@dataclasses.dataclass(frozen=True)
class Environment:
    """The environment that is checked.

    Attributes:
        versions: dict of package -> version, for installed packages.
        variables: dict of the environment variables.
        bucket: str or None. The gs:// folder to write to.
        has_tpu: bool. Whether this machine has TPU chips.
    """

    versions: dict
    variables: dict
    bucket: str | None
    has_tpu: bool


def doctor(
    versions: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    bucket: str | None = None,
    has_tpu: bool | None = None,
    say: Callable[[str], None] = print,
) -> list[Finding]:
    """Checks an environment against version sets known to work; prints and returns the problems.

    For the current environment, it also prints the devices of the machine, and those that TensorFlow can use.

    Args:
        versions: dict package -> version; None: what is installed.
        variables: dict; None: os.environ.
        bucket: str. A gs:// folder that a run will write to, or None.
        has_tpu: bool. Whether the machine has TPU chips; None: whether this one has.
        say: callable (str).

    Returns:
        list of Finding, empty if there are no problems.

    Example:
        >>> both = {"tensorflow": "2.21.0", "tensorflow-tpu": "2.20.0"}
        >>> found = tfbert.doctor(both, {}, has_tpu=True, say=lambda line: None)
        >>> len(found) > 0
        True
    """
    environment = Environment(
        installed_versions() if versions is None else versions,
        os.environ if variables is None else variables,
        bucket,
        bool(tpu_chips()) if has_tpu is None else has_tpu,
    )
    say(" ".join(f"{package}=={version}" for package, version in environment.versions.items()) or "No TensorFlow.")
    findings = [finding for check in CHECKS for finding in check(environment)]
    if versions is None:
        findings += _look_at_devices(say, usable=not findings)
    if bucket and not findings:
        findings = _check_bucket(bucket)
    elif bucket:
        say(f"{bucket} was not checked: fix the other problems first.")
    for finding in findings:
        say(f"- {finding}")
    say(f"{len(findings)} finding{'s' * (len(findings) > 1)}." if findings else "No problems found.")
    return findings


def check_environment(output_dir=None):
    """Does what --mode=preflight --doctor does: `doctor`, on the bucket if `output_dir` is in one.

    Raises:
        InputError: something is wrong.
    """
    findings = doctor(bucket=output_dir if output_dir and output_dir.startswith("gs://") else None)
    if findings:
        raise InputError(f"This environment has problems: {findings[0].problem} ({len(findings)} in total, see above).")
    return {"findings": []}


def installed_versions(path=None):
    """Returns the versions of the relevant packages: dict of package -> version.

    Args:
        path: list of str. Folders to search; None: Python's import path.
    """
    found = importlib.metadata.distributions(**({} if path is None else {"path": path}))
    versions = {}
    for distribution in found:  # Python imports the first one on the path
        versions.setdefault(re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower(), distribution.version)
    return {package: versions[package] for package in _PACKAGES if package in versions}


def _one_tensorflow(environment):
    """tensorflow-text and keras-hub depend on plain tensorflow, whose files overwrite those of tensorflow-tpu."""
    plain = [name for name in ("tensorflow", "tensorflow-cpu") if name in environment.versions]
    if plain and "tensorflow-tpu" in environment.versions:
        yield Finding(
            f"{plain[0]} {environment.versions[plain[0]]} overwrites tensorflow-tpu "
            f"{environment.versions['tensorflow-tpu']}: the TPU is not seen, or the import fails.",
            f"pip uninstall -y {' '.join(plain)} tensorflow-tpu && tools/install_tpu",
        )
    elif environment.has_tpu and "tensorflow-tpu" not in environment.versions:
        yield Finding("This machine has TPUs, but tensorflow-tpu is not installed.", "tools/install_tpu")


def _known_set(environment):
    """tensorflow-tpu's own requirement lets pip take any newer libtpu, with which the import aborts."""
    version = environment.versions.get("tensorflow-tpu")
    if version is None:
        return
    pins = next((pins for pins in TPU_PINS.values() if version in pins["tensorflow-tpu"]), None)
    if pins is None:
        known = ", ".join(pins["tensorflow-tpu"][0] for pins in TPU_PINS.values())
        yield Finding(f"tensorflow-tpu {version} is in no version set known to work ({known}).", "tools/install_tpu")
        return
    minor, good = _minor(version), pins["libtpu"]
    libtpu = environment.versions.get("libtpu")
    if libtpu is None:
        yield Finding("tensorflow-tpu is installed, but libtpu is not.", f"pip install libtpu=={good[0]}")
    elif libtpu not in good:
        newer = _numbers(libtpu) > max(map(_numbers, good))
        yield Finding(
            f"libtpu {libtpu} is too {'new' if newer else 'old'} for tensorflow-tpu {version}"
            + (": the process aborts at import." if newer else "."),
            f"pip install libtpu=={good[0]}  (known good with {minor}: {', '.join(good)})",
        )


def _text_matches(environment):
    """tensorflow-text's operations are compiled against one minor version of TensorFlow."""
    versions = environment.versions
    main = next((name for name in ("tensorflow-tpu", "tensorflow", "tensorflow-cpu") if name in versions), None)
    if main is None:
        yield Finding(
            "TensorFlow is not installed.", "in tfbert's checkout: tools/install_tpu on a TPU, else pip install -e ."
        )
        return
    text, minor = versions.get("tensorflow-text"), _minor(versions[main])
    pins = TPU_PINS.get(minor) if main == "tensorflow-tpu" else None
    wanted = f"=={pins['tensorflow-text'][0]}" if pins else f"=={minor}.*"
    remedy = f"pip install --no-deps 'tensorflow-text{wanted}'"
    if text is None:
        yield Finding("tensorflow-text is not installed.", remedy)
    elif text == "2.21.0":
        yield Finding("tensorflow-text 2.21.0 is broken.", "pip install --no-deps tensorflow-text==2.21.1")
    elif _minor(text) != minor:
        yield Finding(f"tensorflow-text {text} does not match {main} {versions[main]}: its import fails.", remedy)


def _variables(environment):
    """Missing variables, and those left over from discontinued runtimes."""
    variables = environment.variables
    if "COLAB_TPU_ADDR" in variables:
        yield Finding(
            f"COLAB_TPU_ADDR={variables['COLAB_TPU_ADDR']} is left over from Colab's discontinued TPU nodes; "
            "TensorFlow would wait for an address that does not answer.",
            "unset COLAB_TPU_ADDR (in a notebook: os.environ.pop('COLAB_TPU_ADDR')), before TensorFlow is imported",
        )
    if "tensorflow-tpu" not in environment.versions or environment.has_tpu:
        return
    if variables.get("TPU_SKIP_MDS_QUERY") != "1":
        yield Finding(
            "TPU_SKIP_MDS_QUERY is not set, and this machine has no TPU: libtpu asks a metadata server that only "
            "Google's machines have, and hangs for minutes.",
            "export TPU_SKIP_MDS_QUERY=1",
        )


def _keras(environment):
    """Keras settings, from the environment or keras.json."""
    for problem, remedy in keras_problems(environment.variables):
        yield Finding(f"{problem}.", remedy)


CHECKS = (_one_tensorflow, _known_set, _text_matches, _variables, _keras)


# Run in a separate process: a TensorFlow that does not match its GPUs or its TPU may abort.
_LIST_DEVICES = """
import tensorflow as tf
print(*(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices()), sep=", ")
"""


def _look_at_devices(say, usable):
    """Prints the devices; returns a finding if TensorFlow cannot use the GPUs of this machine.

    Args:
        say: callable (str).
        usable: bool. Whether TensorFlow can be imported.
    """
    gpus, chips = _gpus(), tpu_chips()
    say(f"CPU: {_cpu()}, {os.cpu_count()} cores")
    say(f"GPUs: {', '.join(gpus) or 'none'}")
    say(f"TPU chips: {', '.join(chips) or 'none'}")
    if not usable:
        return []
    asked = subprocess.run(
        [sys.executable, "-c", _LIST_DEVICES], capture_output=True, text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "TPU_SKIP_MDS_QUERY": "1"},
    )  # fmt: skip
    if asked.returncode:
        said = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        return [Finding(f"TensorFlow cannot be imported: {said}", "install it again, in a new environment")]
    say(f"TensorFlow can use: {asked.stdout.strip()}")
    if gpus and "GPU:" not in asked.stdout:
        remedy = "pip install 'tensorflow[and-cuda]', in the version that is installed, and look at nvidia-smi"
        return [Finding("This machine has GPUs, but TensorFlow cannot use them.", remedy)]
    return []


def _cpu():
    """Returns the name of this machine's processor."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus():
    """Returns the names of this machine's NVIDIA GPUs, as its driver reports them: list of str."""
    texts = [pathlib.Path(path).read_text() for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))]
    return [model[1] for text in texts if (model := re.search(r"Model:\s*(.+)", text))]


def _check_bucket(bucket):
    """Writes a small file and deletes it."""
    try:
        check_storage(bucket)
    except InputError as error:
        return [Finding(str(error), "check the network and the proxy of this machine")]
    import tensorflow as tf

    path = f"{bucket.rstrip('/')}/tfbert-doctor-{uuid.uuid4().hex}"
    try:
        with tf.io.gfile.GFile(path, "w") as file:
            file.write("May tfbert write here?")
        tf.io.gfile.remove(path)
    except (tf.errors.OpError, OSError) as error:
        bucket_name = re.match(r"gs://[^/]*|.*", bucket)[0]
        return [
            Finding(
                f"{bucket} cannot be written to: {' '.join(str(error).split())[:200]}.",
                "gcloud auth application-default login, or grant the TPU's service account access: gcloud storage "
                f"buckets add-iam-policy-binding {bucket_name} --member=serviceAccount:EMAIL "
                "--role=roles/storage.objectAdmin",
            )
        ]
    return []


def _minor(version):
    return ".".join(version.split(".")[:2])


def _numbers(version):
    return tuple(int(part) for part in re.findall(r"\d+", version))
