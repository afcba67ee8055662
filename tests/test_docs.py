"""The documentation: every block is run here or says why not, links lead somewhere, flags exist.

The blocks run as printed in a folder of small files (`tests.documents.sandbox`), with a tiny random BERT in place of
minilm and for a few steps; what else differs stands in CASES. With --mode=inspect a training reads its settings and its
data, and does not train: other tests do that.
"""

import json
import re

import pytest

from tests.conftest import ROOT
from tests.documents import PAGES, SHOWN, blocks_named, blocks_of, run_python, run_shell, sandbox
from tfbert.config.load import FIELDS

SHORT = ["--max_seq_length=32", "--max_steps=2"]
# Case -> flags that it gets beside those printed; none where its YAML says all.
CASES = {
    "settings": ["--mode=inspect"],
    "probe": SHORT[:1],
    "features": SHORT[:1],
    "multilabel": ["--mode=inspect"],
    "tagging": SHORT,
    "span": ["--max_seq_length=64", "--max_query_length=16", "--max_steps=2"],
    "folds": ["--mode=inspect"],
    "sweep": [*SHORT, "--evaluations=1", "--sweep={bias_correction: [true]}"],
    "long_texts": ["--mode=inspect", "--max_seq_length=16"],
    "stages": SHORT,
    "vocabulary": SHORT,
}
ELSEWHERE = {"quickstart": "tests/test_readme.py", "own_file": "tests/test_readme.py"}
TOGETHER = {"keras", "python", "predict", "serving", "tagging_python", "span_python"}


def test_every_block_is_run_or_says_why_not():
    for page in PAGES:
        for block in blocks_of(page):
            if block.language in SHOWN:
                continue
            assert block.language in ("bash", "python", "yaml") and block.mark, f"{page.name}: {block.text[:80]}"
            if block.mark == "run":
                assert block.name in {*CASES, *ELSEWHERE, *TOGETHER}, f"{page.name}: no test runs {block.name}"


def test_no_test_runs_what_is_not_there():
    found = {block.name for page in PAGES for block in blocks_of(page) if block.mark == "run"}
    assert found == {*CASES, *ELSEWHERE, *TOGETHER}


@pytest.mark.parametrize("name", CASES)
def test_the_commands_of(name, tiny, tmp_path):
    """A YAML block is written to the file that its first line names."""
    folder = sandbox(tmp_path)
    for block in blocks_named(name):
        if block.language == "yaml":
            path = folder / block.text.splitlines()[0].lstrip("# ")
            path.write_text(block.text.replace("preset: minilm", f"preset: {tiny}"), "utf-8")
        else:
            block = block.__class__(block.page, "run", name, "bash", block.text.replace("=minilm", f"={tiny}"))
            preset = [f"--preset={tiny}"] if "quickstart.yaml" in block.text else []
            run_shell(block, folder, [*CASES[name], *preset])
    assert "--mode=inspect" in CASES[name] or list((folder / "runs").iterdir())
    if name == "span":
        [block] = blocks_named("span_python")
        assert "'alternatives': [" in run_python(block.text, folder)
    if name == "tagging":
        [block] = blocks_named("tagging_python")
        assert "'tokens': ['中', '国', '在', '亚', '洲', '。']" in run_python(block.text, folder)


# What must be true at the end of README's, and at that of docs/getting_started.md's.
README_AFTER = """
import keras
again = keras.models.load_model("urgent.keras")
print("README", int(again.optimizer.iterations.numpy()), steps, len(train))
"""
DOCS_AFTER = """
import json
again = keras.models.load_model("my_model.keras")
print("DOCS" + json.dumps({
    "results": results["dev"],
    "scores": tfbert.evaluate(model, dev),
    "steps": [int(again.optimizer.iterations.numpy()), int(optimizer.iterations.numpy()), steps],
    "rates": [float(optimizer.learning_rate.numpy()), float(again.optimizer.learning_rate.numpy())],
}))
tfbert.save_model(model, "runs/mine/model")
"""


def test_the_python(minilm, tiny, tmp_path):
    """All of it in one process, README's with minilm; serving.md's model is the one that getting_started.md trains.

    There an epoch in Keras, the second in the loop, the learning rate at 0 with the last step; what was saved loads.
    """
    folder = sandbox(tmp_path)
    [keras] = blocks_named("keras", [ROOT / "README.md"])
    start, vectors = blocks_named("python")
    [serving], [predict] = blocks_named("serving"), blocks_named("predict")
    docs = start.text.replace("max_steps=20", f"max_steps=2, preset={tiny!r}, max_seq_length=48")
    docs = docs.replace("max_seq_length=128", "max_seq_length=48") + DOCS_AFTER + vectors.text + serving.text
    docs = docs.replace('pooling="mean"', 'pooling="mean", max_seq_length=48')
    docs = docs.replace("shuffle=False", "shuffle=False, max_seq_length=48")
    docs = docs.replace("build_model(encoder, task)", "build_model(encoder, task, max_seq_length=48)")
    docs = docs.replace('"minilm"', repr(tiny)) + "print(vectors.shape)\n"
    printed = run_python(keras.text + README_AFTER + docs, folder)
    assert re.search(r"^\[\{'label': '(urgent|normal)', 'probabilities': \{'normal': 0\.\d+", printed, re.MULTILINE)
    assert "\nREADME 9 9 3\n" in printed
    found = json.loads(re.search(r"^DOCS(.*)$", printed, re.MULTILINE)[1])
    steps = found["steps"][2]
    assert found["steps"] == [steps // 2, steps, steps]
    assert found["rates"][0] == 0 < found["rates"][1]
    assert "accuracy" in found["results"] and 0 <= found["scores"]["roc_auc"] <= 1
    assert printed.rstrip().endswith("(1, 32)") and printed.count("{'normal': ") >= 4
    run_shell(predict, folder, [])
    assert len((folder / "runs" / "mine" / "predictions.jsonl").read_text("utf-8").splitlines()) == 40


def anchors(page):
    """Returns the names of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES + [ROOT / "BUILD.md", ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_are_named_exist(page):
    """But for those of commands of tools/, and of the Trainer's program."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    codes = [code for code in re.findall(r"`([^`]+)`", text) if "tools/" not in code]
    named = {name for code in codes for name in re.findall(r"--(\w+)", code)}
    unknown = {name for name in named if name not in FIELDS and name.removeprefix("no") not in FIELDS}
    assert unknown <= {"config", "group", "bf16", "no"}  # --no-deps is pip's


def test_nothing_needs_the_developers_folder():
    pages = [*PAGES, *(ROOT / "configs").rglob("*.*"), ROOT / "CHANGELOG.md"]
    assert not [page.name for page in pages if "../shared" in page.read_text("utf-8")]
