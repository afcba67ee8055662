"""tools/colab_tpu.ipynb, executed whole in a kernel of its own, but for fewer epochs."""

import pytest

from tests.conftest import ROOT


@pytest.mark.timeout(600)
def test_colab_notebook_runs_from_install_to_prediction(minilm, tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "tools" / "colab_tpu.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit the notebook without its outputs"
    for cell in notebook.cells:
        cell.source = cell.source.replace("num_train_epochs=6", "num_train_epochs=2")
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    assert "F1 on the test set:" in printed and "  Thanks, it works now." in printed
    assert (tmp_path / "runs" / "colab" / "model" / "model.safetensors").exists()
