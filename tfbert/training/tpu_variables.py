"""What a TPU needs before TensorFlow starts: that it exists, and environment variables."""

import glob
import importlib.util
import os
import pathlib
import re
import socket

from tfbert.core.errors import InputError
from tfbert.core.network import why_silent

_METADATA = "http://metadata.google.internal/computeMetadata/v1/"
# Seconds that an address may take to answer.
_PATIENCE = 5.0


def tpu_chips():
    """Returns the device files of this machine's TPU chips, sorted: list of str."""
    return sorted(glob.glob("/dev/accel[0-9]*") + glob.glob("/dev/vfio/[0-9]*"))


def prepare_tpu(tpu):
    """Sets the environment variables that a TPU needs, and prints them; InputError if there is no such TPU.

    Args:
        tpu: str, as `check_tpu` takes it.
    """
    check_tpu(tpu)
    variables = tpu_variables(tpu)
    os.environ.update(variables)
    print("Set for the TPU:", ", ".join(f"{name}={value}" for name, value in variables.items()) or "nothing")


def check_tpu(tpu):
    """Raises InputError if there is no such TPU, in seconds, where TensorFlow and libtpu take minutes to say so.

    Args:
        tpu: str. "local", a TPU's name, which Google Cloud's metadata server knows, or an address, grpc://HOST:PORT.
    """
    address = re.fullmatch(r"grpc://([^/\s]+):(\d{1,5})", tpu)
    if tpu == "local":
        missing = not tpu_chips() and "this machine has no TPU chips (/dev/accel*, /dev/vfio/*)"
        remedy = "run it on a Cloud TPU VM, or leave --tpu out"
    elif address:
        missing, remedy = _why_closed(address[1], int(address[2])), "check the address and the firewall"
    else:
        reason = why_silent(_METADATA, {"Metadata-Flavor": "Google"})
        missing = reason and f"the name is looked up by Google Cloud's metadata server, which does not answer: {reason}"
        remedy = "run it on a machine of Google Cloud, or give the TPU's address, grpc://HOST:8470"
    if missing:
        raise InputError(f"There is no TPU to be had as --tpu={tpu}: {missing}; {remedy}.")


def _why_closed(host, port):
    """Returns why nobody listens at an address, in words; None if somebody does."""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        return f"nobody listens there ({error.strerror or error})"
    return None


def tpu_variables(tpu, environ=os.environ):
    """Returns the variables that are missing for a TPU: dict of str.

    Args:
        tpu: str. "local": the chips of this machine, through libtpu's PJRT interface. Else a name or address: a pod
            slice or another machine, whose chips this process must not claim.
        environ: mapping of str. The environment; variables already set take precedence.

    Source: Cloud TPU's guides to TensorFlow on a TPU VM and on a pod slice.
    """
    if tpu == "local":
        wanted = {"NEXT_PLUGGABLE_DEVICE_USE_C_API": "true", "TF_PLUGGABLE_DEVICE_LIBRARY_PATH": _libtpu()}
    else:
        wanted = {"TPU_NAME": tpu, "TPU_LOAD_LIBRARY": "0"}
    return {name: value for name, value in wanted.items() if value and name not in environ}


def _libtpu():
    """Returns the path of libtpu.so: that of the installed package, else of the TPU VM, else None."""
    spec = importlib.util.find_spec("libtpu")
    folders = list(spec.submodule_search_locations or []) if spec else []
    return next(
        (str(path) for folder in (*folders, "/lib") if (path := pathlib.Path(folder, "libtpu.so")).exists()), None
    )
