"""tools/colab_tpu.ipynb, executed whole in one kernel whose Python lacks tfbert alone: its first cell installs it.

Shortened: a tiny random BERT in place of minilm, and 4 steps in place of 6 epochs.
"""

import json
import os
import subprocess
import sys
import sysconfig

import pytest

from tests.conftest import ROOT


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """The name of a kernel of a new environment, which finds this one's packages, but for editable ones."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    folder = tmp_path / "jupyter" / "kernels" / "fresh"
    folder.mkdir(parents=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    environment = {
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
        # The notebook's own address, but without a network.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{ROOT}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/tfbert/tfbert",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the other way round
    }
    about = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "env": environment}
    (folder / "kernel.json").write_text(json.dumps({"display_name": "fresh", "language": "python", **about}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    without = [sys.executable, "-c", "import tfbert"]
    assert "No module named 'tfbert'" in subprocess.run(
        [python, *without[1:]], capture_output=True, text=True, cwd=tmp_path, env=os.environ | environment
    ).stderr  # fmt: skip
    return "fresh"


@pytest.mark.timeout(600)
def test_colab_notebook_runs_from_install_to_prediction(kernel, tiny, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "tools" / "colab_tpu.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit the notebook without its outputs"
    for cell in notebook.cells:
        cell.source = cell.source.replace("num_train_epochs=6", "max_steps=4, max_seq_length=48")
        cell.source = cell.source.replace('preset="minilm"', f"preset={tiny!r}")
    work = tmp_path / "work"
    work.mkdir()
    resources = {"metadata": {"path": str(work)}}
    NotebookClient(notebook, timeout=500, kernel_name=kernel, resources=resources).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    assert "F1 on the test set:" in printed and "  Thanks, it works now." in printed
    assert (work / "runs" / "colab" / "model" / "model.safetensors").exists()
    assert [*(tmp_path / "venv").glob("lib/*/site-packages/tfbert/__init__.py")]
    assert [*(tmp_path / "venv").glob("lib/*/site-packages/tfbert_finetune-*.dist-info")]


def test_on_tpus_too_it_is_installed_for_the_process_that_runs():
    """An editable install takes effect in a new process only; there are no TPU wheels here to install for real."""
    tool = (ROOT / "tools" / "install_tpu").read_text("utf-8")
    commands = [line for line in tool.splitlines() if line.startswith("pip install") and " ." in line]
    assert commands and not any("--editable" in line or " -e " in line for line in commands)
