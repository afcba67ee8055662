"""What tools write from other files is not stale, and what they print can be read."""

import importlib
import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from tests.conftest import ROOT, SAMPLES


@pytest.fixture
def tool(monkeypatch):
    """Imports tools/NAME.py as Python does that runs it."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    return importlib.import_module


def test_tables_and_config_headers_are_what_was_measured(tool, tmp_path):
    for name in ("README.md", "README.zh.md", "docs", "configs"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    written = [*tmp_path.glob("*.md"), *(tmp_path / "docs").iterdir(), *(tmp_path / "configs").glob("*.*")]
    tool("write_docs").main(tmp_path)
    for path in written:
        original = ROOT / path.relative_to(tmp_path)
        assert path.read_text("utf-8") == original.read_text("utf-8"), f"{original} is stale: tools/write_docs.py"


def test_every_table_of_the_docs_is_written(tool, tmp_path):
    """A marker that no table has, or a table that no page shows, was forgotten."""
    pages = [path.read_text("utf-8") for path in tool("write_docs").documents(ROOT)]
    opened = sorted(name for page in pages for name in re.findall(r"<!-- (?!/|run: |not run: )(.+?) -->", page))
    closed = sorted(name for page in pages for name in re.findall(r"<!-- /(.+?) -->", page))
    assert opened == closed
    studies = tool("results").read_all()
    shown = {f"{study.about['kind']} {name}" for name, study in studies.items() if study.about.get("kind") == "sweep"}
    assert {name for name in shown if "few_samples" not in name} <= set(opened)


def test_what_the_quickstart_prints_is_shortened_in_the_middle(tool):
    lines = [f"line {number} " + "x" * 200 for number in range(20)]
    shown = tool("quickstart_output").transcript("$ a command\n" + "\n".join(lines) + "\n").splitlines()
    assert shown[:5] == ["<!-- run: quickstart -->", "```bash", "a command", "```", "```text"]
    assert [line.split(" x")[0] for line in shown[5:-1]] == [
        "line 0", "line 1", "line 2", "…", "line 16", "line 17", "line 18", "line 19"]  # fmt: skip
    assert all(len(line) <= 100 for line in shown) and shown[5].endswith("…")


def test_spread_is_mean_and_sample_deviation(tool):
    assert tool("write_docs").spread([0.5, None, 0.6, 0.7]) == "60.0 ± 10.0"


def test_results_come_back_as_they_were_written(tool, tmp_path):
    """Provenance stands once where it is the same; scores that are missing and settings with commas are no trouble."""
    results = tool("results")
    rows = [
        {"setting": "a, b=1", "seed": 0, "failed": False, "test_f1": 0.123456789},
        {"setting": "as configured", "seed": 1, "failed": True, "test_f1": None},
    ]
    rows = [row | {"measured": "2026-01-01, one; tf 2"} for row in rows]
    results.write("x", results.Study({"kind": "sweep", "command": "run --a: b"}, rows), tmp_path)
    lines = (tmp_path / results.RESULTS / "x.csv").read_text("utf-8").splitlines()
    assert lines == [
        "# kind: sweep", "# command: run --a: b", "# measured: 2026-01-01, one; tf 2", "setting,seed,failed,test_f1",
        '"a, b=1",0,false,0.12345679', "as configured,1,true,",
    ]  # fmt: skip
    study = results.read("x", tmp_path)
    assert study.about == {"kind": "sweep", "command": "run --a: b"}
    assert study.rows == [rows[0] | {"test_f1": 0.12345679}, rows[1]]
    again = study.rows[0] | {"measured": "2026-02-02, two; tf 2"}
    results.write("x", study.replace([again], "setting"), tmp_path)
    text = (tmp_path / results.RESULTS / "x.csv").read_text("utf-8")
    assert "# measured 1: 2026-01-01, one; tf 2\n# measured 2: 2026-02-02, two; tf 2\n" in text
    assert results.read("x", tmp_path).rows == [rows[1], again]


def test_every_measured_trial_can_be_read(tool):
    for name, study in tool("results").read_all().items():
        places = {row["measured"] for row in study.rows}
        assert places and all(re.match(r"\d{4}-\d\d-\d\d, .+; tensorflow ", place) for place in places), name
        assert study.about.get("kind") in ("seeds", "sweep", "run", None), name
        if study.about.get("kind"):
            assert (ROOT / "configs" / f"{name}.yaml").exists(), name
            assert study.about["command"].startswith("python -m tfbert.run")


def test_steps_are_timed_in_turn_beside_a_control(tool, capsys):
    """Each variant comes first once; where the second plain one takes longer than the first, nothing is said."""
    bench = tool("bench")

    class Steps(bench.Steps):
        def __init__(self, seconds):
            self.args, self.variants = types.SimpleNamespace(only=["ema"], rounds=3), {}
            self.done, self._times = [], seconds

        def advance_of(self, name):
            return name

        def _seconds(self, name):
            self.done.append(name)
            return self._times[name]

    steps = Steps({"plain": 1.0, "control": 1.01, "ema": 1.5})
    steps.print_ratios()
    names = ["plain", "control", "ema"]
    assert steps.done == names + ["control", "ema", "plain", "ema", "plain", "control"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["variant"], line["ratio"]) for line in lines] == [("plain", 1.0), ("control", 1.01), ("ema", 1.5)]
    with pytest.raises(SystemExit, match="the machine is too busy"):
        Steps({"plain": 1.0, "control": 2.2, "ema": 1.5}).print_ratios()


def test_every_shape_of_the_batches_is_met_before_the_clock_runs(tool):
    def shares(first, last):
        return [({"token_ids": np.zeros((rows, 8))}, np.zeros(4), np.zeros(4)) for rows in (3, 2, 3, 2, 1)[first:last]]

    assert tool("bench").steps_of_shapes(types.SimpleNamespace(shares=shares), 5) == [0, 1, 4]


def test_bench_prints_one_json_line(tiny, tmp_path):
    rows = (SAMPLES / "support_desk_dev.tsv").read_text("utf-8").splitlines()
    header, rows = rows[0].split("\t"), [row.split("\t") for row in rows[1:41]]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(dict(zip(header, row))) + "\n" for row in rows), "utf-8")
    result = subprocess.run(
        [sys.executable, "tools/bench.py", f"--model={tiny}", f"--train={path}", f"--dev={path}", "--epochs=1",
         "--batch=8", "--max_len=64"],
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
