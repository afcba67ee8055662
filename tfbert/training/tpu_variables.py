"""Environment variables that TensorFlow needs before it starts on a Cloud TPU VM."""

import importlib.util
import os
import pathlib


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
