"""README: its size, its Chinese twin, and its commands, run as printed but for what is said here.

The samples are smaller (`tests.documents.sandbox`), and a tiny random BERT is trained in place of minilm, for 4 steps.
tests/test_docs.py runs the Python.
"""

import re

from tests.conftest import ROOT
from tests.documents import blocks_named, blocks_of, run_shell, sandbox

README, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"


def test_the_front_page_stays_small():
    assert len(README.read_bytes()) <= 8192


def test_the_chinese_page_says_the_same():
    """The same blocks, marks, links and numbers."""
    pages = [path.read_text("utf-8") for path in (README, CHINESE)]
    assert [block.text for block in blocks_of(README)] == [block.text for block in blocks_of(CHINESE)]
    assert len({tuple(re.findall(r"<!--.*?-->", page)) for page in pages}) == 1
    links = [sorted(set(re.findall(r"\]\(([^)]+)\)", page)) - {"README.md", "README.zh.md"}) for page in pages]
    assert links[0] == links[1]
    english, chinese = (
        sorted(re.findall(r"\d[\d.,]*\d|\d", re.sub(r"```.*?```|<!--.*?-->", "", page, flags=re.DOTALL)))
        for page in pages
    )
    assert english == chinese


def test_the_commands(tiny, tmp_path):
    folder = sandbox(tmp_path)
    flags = [f"--preset={tiny}", "--max_seq_length=48", "--max_steps=4"]
    train, predict, head = blocks_named("quickstart", [README])
    printed = run_shell(train, folder, flags)
    assert "runs/quickstart" in printed and (folder / "runs" / "quickstart" / "report.html").exists()
    printed = run_shell(predict, folder, []) + run_shell(head, folder, [])
    assert printed.count('{"label": ') == 2
    [own] = blocks_named("own_file", [README])
    inspect, train, evaluate, predict = own.text.strip().splitlines()
    for line, extra in ((inspect, flags[:2]), (train, flags), (evaluate, []), (predict, [])):
        run_shell(own.__class__(own.page, "run", "own_file", "bash", line), folder, extra)
    assert len((folder / "runs" / "mine" / "predictions.jsonl").read_text("utf-8").splitlines()) == 40
