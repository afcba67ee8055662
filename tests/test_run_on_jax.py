"""A command recorded, computed by JAX and replayed gives what the command gives: folds, thresholds, an ensemble."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, random_texts
from tfbert.core.extras import install_command

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason=f"needs jax: {install_command('preflight')}"
)


def python(*arguments, **environment):
    """Runs Python with these arguments from the root of the checkout; returns its output."""
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], env=os.environ | environment, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def test_folds_through_jax_are_the_folds_of_the_command(tiny, tmp_path):
    texts = random_texts(60)
    for split, rows in (("train", texts[:40]), ("test", texts[40:])):
        lines = [f"{text} {n}\t{int('printer' in text)}\n" for n, text in enumerate(rows)]
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(lines), "utf-8")
    settings = [
        f"--preset={tiny}", f"--train_file={tmp_path}/train.tsv", f"--test_file={tmp_path}/test.tsv",
        "--max_seq_length=32", "--train_batch_size=8", "--learning_rate=3e-3", "--max_steps=6", "--folds=2",
        "--tune_threshold=mcc",
    ]  # fmt: skip
    recorded, computed = tmp_path / "recorded", tmp_path / "computed"
    python("tools/run_on_jax.py", "record", recorded, *settings, f"--output_dir={tmp_path}/dry")
    python("tools/jax_device.py", recorded, JAX_PLATFORMS="cpu", XLA_FLAGS="")
    python("tools/run_on_jax.py", "replay", recorded, *settings, f"--output_dir={computed}")
    python("-m", "tfbert.run", *settings, "--xla=on", f"--output_dir={tmp_path}/run")

    folders = tmp_path / "run", computed
    expected, found = (json.loads((folder / "eval_results.json").read_text()) for folder in folders)
    for part in ("out_of_fold", "test"):
        assert expected[part]["loss"] == pytest.approx(found[part]["loss"], abs=1e-4)
    expected, found = (_probabilities(folder / "out_of_fold.jsonl") for folder in folders)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected) > 0.01  # else nothing was learnt, and any model would do
    assert "cpu" in (computed / "device.txt").read_text()


def _probabilities(path):
    return [list(json.loads(line)["probabilities"].values()) for line in path.read_text("utf-8").splitlines()]
