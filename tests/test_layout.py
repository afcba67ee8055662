"""The shape of the code: which way imports point, what has a docstring, what a linter says."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# A room may import the rooms to its left. What stands before `data` may be imported by all.
ORDER = [
    "errors",
    "extras",
    "keras_setup",
    "paths",
    "strict_yaml",
    "folder_lock",
    "compiling",
    "files",
    "callable_module",
    "keras_names",
    "settings",
    "setting_groups",
    "combinations",
    "data",
    "tasks",
    "models",
    "optim",
    "training",
    "tpu",
    "process",
    "ending",
    "model_card",
    "statistics",
    "report_page",
    "report_quality",
    "report",
    "predict",
    "features",
    "fill_mask",
    "masked_words",
    "corpora",
    "parts",
    "training_run",
    "trainer",
    "cross_validation",
    "sweep",
    "doctor",
    "preflight",
    "modes",
    "run",
]
# Methods whose meaning is the base class's.
INHERITED = {"call", "build", "element_spec", "parse", "flag_type"}
FILES = sorted((ROOT / "tfbert").rglob("*.py"))


def room(module):
    return module.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    here = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        imported = [node.module] if isinstance(node, ast.ImportFrom) else []
        imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in imported:
            if not module or not module.startswith("tfbert"):
                continue
            if room(module) == "config":
                assert here in ("tfbert.run", "tfbert.__init__"), f"{here} imports the settings"
            elif room(here) != "__init__" and room(here) != "config":
                assert ORDER.index(room(module)) <= ORDER.index(room(here)), f"{here} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.read_text().strip():
        assert ast.get_docstring(tree), path
    nodes = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")]
    methods = [m for n in nodes if isinstance(n, ast.ClassDef) for m in n.body if isinstance(m, ast.FunctionDef)]
    methods = [method for method in methods if not method.name.startswith("_") and method.name not in INHERITED]
    for node in nodes + methods:
        assert ast.get_docstring(node), node.name
        first = ast.get_docstring(node).split("\n\n")[0].strip()
        assert first[-1] in ".:", f"{node.name}: the first line is no sentence"


def test_files_stay_small():
    long = [str(path) for path in FILES if path.read_text(encoding="utf-8").count("\n") > 400]
    assert not long
    assert (ROOT / "tfbert" / "run.py").read_text().count("\n") < 80


def test_linter():
    result = subprocess.run(
        [sys.executable, "-m", "flake8", "tfbert", "tests", "tools"], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout


def test_every_public_name_can_be_had():
    import tfbert

    for name in tfbert.__all__:
        assert getattr(tfbert, name).__doc__ or name == "TASKS", name
    with pytest.raises(AttributeError, match="has no attribute 'predicts'"):
        tfbert.predicts  # noqa: B018


def test_names_that_are_module_and_function():
    """Importing tfbert.predict or tfbert.run as modules leaves the functions of these names callable."""
    script = (
        "import tfbert, tfbert.predict, tfbert.run\n"
        "assert callable(tfbert.predict) and callable(tfbert.run)\n"
        "try: tfbert.run(tfbert.load_config())\n"
        "except tfbert.InputError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "--mode=train needs" in result.stdout, result.stderr


def test_top_level():
    allowed = {
        "README.md",
        "BUILD.md",
        "setup.cfg",
        "pyproject.toml",
        "tfbert",
        "configs",
        "tests",
        "tools",
        ".ci",
        ".gitignore",
    }
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT).stdout.split()
    assert {pathlib.PurePath(path).parts[0] for path in tracked} <= allowed


@pytest.mark.parametrize("given,expected", [(None, "1"), ("0", "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(given, expected):
    """TensorFlow reads the variable when it is loaded, which importing tfbert must not do."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    environment |= {"TF_ENABLE_ONEDNN_OPTS": given} if given else {}
    script = (
        "import os, sys, tfbert\n"
        "assert 'tensorflow' not in sys.modules\n"
        "print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert result.stdout.strip() == expected, result.stderr
