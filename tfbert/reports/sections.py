"""What the reports of runs, folds and sweeps share: common parts in HTML, and writing the file."""

import html
import importlib.metadata
import json
import os
import platform
import re

import tensorflow as tf

from tfbert.core.extras import DISTRIBUTION
from tfbert.core.files import write_whole
from tfbert.reports.page import page

_FLAG = re.compile(r"--\w+(=[\w.]*\w)?")
_PACKAGES = (DISTRIBUTION, "tensorflow", "tensorflow-text", "keras", "keras-hub", "numpy")


def verdict(text, bad=False, unsure=False):
    """Returns the box at the head of a report, with the verdict in a sentence or two: HTML -> HTML."""
    return f'<div class="verdict{" bad" if bad else " unsure" if unsure else ""}">{text}</div>'


def with_flags(line):
    """Returns a sentence whose flags, such as --seed=1, stand out: str -> HTML."""
    return _FLAG.sub(r"<code>\g<0></code>", html.escape(line))


def command_section(meaning, command):
    """Returns a command to copy, which wraps only between its flags: str, str -> HTML."""
    words = " ".join(f"<span>{html.escape(word)}</span>" for word in command.split(" "))
    return f"<p class=quiet>{html.escape(meaning)}</p><pre class=command>{words}</pre>"


def settings_section(settings):
    """Returns the section with all settings that have a value: dict -> HTML."""
    rows = "\n".join(f"{name}: {text_of(value)}" for name, value in settings.items() if value not in (None, (), []))
    inside = f"<summary>All settings</summary><pre>{html.escape(rows)}</pre>"
    return f"<h2>Settings and versions</h2><details>{inside}</details>"


def versions(results):
    """Returns the versions of the packages and the hashes of the data: content of eval_results.json -> HTML."""
    versions = []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    hashes = "".join(f"<br>{split} data: sha256 {digest}" for split, digest in results.get("data", {}).items())
    return f"<p class=quiet>{', '.join(versions)}; Python {platform.python_version()}{hashes}</p>"


def text_of(value):
    """Returns a setting's value as it is written in YAML: str."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(text_of, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def read_metrics(folder):
    """Returns the lines of a run's metrics.jsonl: list of dict; empty if there is no file."""
    path = os.path.join(folder, "metrics.jsonl")
    if not tf.io.gfile.exists(path):
        return []
    with tf.io.gfile.GFile(path) as file:
        return [json.loads(line) for line in file.read().splitlines()]


def write_report(output_dir, title, body):
    """Writes report.html to a folder: title, list of its parts in HTML."""
    write_whole(os.path.join(output_dir, "report.html"), page(title, body).encode())
