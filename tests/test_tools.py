"""What tools write from other files is not stale, and what they print can be read."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, SAMPLES


def tool(name):
    """Returns tools/NAME.py as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_and_config_headers_are_what_was_measured(tmp_path):
    update = tool("update_readme")
    for name in ("README.md", "configs"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    update.ROOT = tmp_path
    update.main()
    for path in (tmp_path / "README.md", *sorted((tmp_path / "configs").glob("*.yaml"))):
        original = ROOT / path.relative_to(tmp_path)
        assert path.read_text("utf-8") == original.read_text("utf-8"), f"{original} is stale: tools/update_readme.py"


def test_spread_is_mean_and_sample_deviation():
    entry = {"scores": {"0": {"f1": 0.5}, "1": {"f1": 0.6}, "2": {"f1": 0.7}}}
    assert tool("update_readme").spread(entry, "f1") == "60.0 ± 10.0"


def test_bench_prints_one_json_line(minilm, tmp_path):
    rows = (SAMPLES / "support_desk_dev.tsv").read_text("utf-8").splitlines()
    header, rows = rows[0].split("\t"), [row.split("\t") for row in rows[1:41]]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(dict(zip(header, row))) + "\n" for row in rows), "utf-8")
    result = subprocess.run(
        [sys.executable, "tools/bench.py", f"--train={path}", f"--dev={path}", "--epochs=1", "--batch=8"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    numbers = json.loads(result.stdout.strip().splitlines()[-1])
    assert numbers["total_s"] > numbers["first_step_s"] > numbers["import_s"] > 0
    assert numbers["peak_rss_mb"] > 100 and 0 <= numbers["accuracy"] <= 1


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_says_what_it_gave(path):
    header = re.match(r"(#.*\n)+", path.read_text("utf-8"))[0]
    assert "python -m tfbert.run --config=configs/" + path.name in header or "not measured" in header
