"""The README's Python examples, as they are printed there, one after the other."""

import json
import os
import re
import subprocess
import sys

from tests.conftest import ROOT

# What must be true at its end.
AFTER = """
import json, keras
again = keras.models.load_model("my_model.keras")
print(json.dumps({
    "results": results["dev"],
    "scores": tfbert.evaluate(model, dev),
    "steps": [int(again.optimizer.iterations.numpy()), int(optimizer.iterations.numpy()), steps],
    "vectors": list(vectors.shape),
    "rates": [float(optimizer.learning_rate.numpy()), float(again.optimizer.learning_rate.numpy())],
}))
"""


def test_the_examples_do_what_they_say(minilm, tmp_path):
    """An epoch in Keras, the second in the loop, the learning rate at 0 with the last step; what was saved loads."""
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    for name in ("configs", "tfbert"):
        (tmp_path / name).symlink_to(ROOT / name)
    result = subprocess.run(
        [sys.executable, "-c", "".join(examples) + AFTER], capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    printed = result.stdout.splitlines()
    found = json.loads(printed[-1])
    steps = found["steps"][2]
    assert found["steps"] == [steps // 2, steps, steps]
    assert found["rates"][0] == 0 < found["rates"][1]
    assert found["vectors"] == [1, 384]
    assert found["results"]["accuracy"] > 0.8 and found["scores"]["roc_auc"] > 0.7
    assert "'label': 'urgent'" in printed[-2] or "'label': 'normal'" in printed[-2]
