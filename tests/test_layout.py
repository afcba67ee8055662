"""The shape of the code: which way imports point, what has a docstring, what a linter says."""

import ast
import functools
import inspect
import os
import pathlib
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# A package imports those above it in this list, and itself. `config` is for the modes and the entry alone.
ORDER = [
    "core",
    "config",
    "data",
    "models",
    "optim",
    "training",
    "tasks",
    "inference",
    "reports",
    "modes",
    "run",
]
# Methods whose meaning is the base class's.
INHERITED = {"call", "build", "element_spec", "parse", "flag_type"}
BASE_CLASSES = (
    ("models/families/family.py", "Family"),
    ("tasks/task.py", "Task"),
    ("tasks/told.py", "Told"),
    ("tasks/labelled/labelled_task.py", "LabelledTask"),
)
FILES = sorted((ROOT / "tfbert").rglob("*.py"))


def package(module):
    return module.split(".")[1]


def imported_by(path):
    """Yields the modules of tfbert that a file imports, inside functions too, but for annotations alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in tree.body if isinstance(node, ast.If) and is_named(node.test, "TYPE_CHECKING")]
    for_annotations = {part for node in typing for part in node.body}
    for node in set(ast.walk(tree)) - for_annotations:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfbert"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tfbert"))


def methods_of_base_classes(path):
    """Returns the methods of the base classes that other files hold, which these document."""
    names = set()
    for place, name in BASE_CLASSES:
        if path != ROOT / "tfbert" / place:
            tree = ast.parse((ROOT / "tfbert" / place).read_text(encoding="utf-8"))
            node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
            names |= {method.name for method in node.body if isinstance(method, ast.FunctionDef)}
    return names


def test_the_root_holds_packages():
    names = {path.name for path in (ROOT / "tfbert").iterdir() if path.name != "__pycache__"}
    assert names == {"__init__.py", "__init__.pyi", "py.typed", "run.py", *ORDER[:-1]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    here = path.relative_to(ROOT).with_suffix("").parts[1]
    if here == "__init__":
        return
    for module in imported_by(path):
        there = package(module)
        assert ORDER.index(there) <= ORDER.index(here), f"{here} imports {module}"
        assert there != "config" or here in ("config", "modes", "run"), f"{here} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.read_text().strip():
        assert ast.get_docstring(tree), path
    nodes = [n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith("_")]
    methods = [m for n in nodes if isinstance(n, ast.ClassDef) for m in n.body if isinstance(m, ast.FunctionDef)]
    inherited = INHERITED | methods_of_base_classes(path)
    methods = [method for method in methods if not method.name.startswith("_") and method.name not in inherited]
    for node in nodes + methods:
        assert ast.get_docstring(node), node.name
        first = ast.get_docstring(node).split("\n\n")[0].strip()
        assert first[-1] in ".:", f"{node.name}: the first line is no sentence"


MODELS = {"EnsembleModel", "PretrainingModel", "SpanModel", "TaggingModel", "TextModel", "VectorModel"}
OUTSIDE = [path for path in FILES if path.relative_to(ROOT).parts[1] != "tasks"]


def questions(tree):
    """Yields the places where code asks what kind of task or model it has in hand: (line, what it asks)."""
    from tfbert.tasks import TASKS

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = {part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)}
            if named & set(TASKS):
                yield node.lineno, "a task's name"
            attributes = [side for side in sides if isinstance(side, ast.Attribute)]
            if any(side.attr == "name" and is_named(side.value, "task") for side in attributes):
                yield node.lineno, "a task's name"
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "isinstance":
            classes = {getattr(part, "id", getattr(part, "attr", None)) for part in ast.walk(node.args[1])}
            if classes & (MODELS | {place.rpartition(":")[2] for place in TASKS._places.values()}):
                yield node.lineno, "a model's or a task's class"
        elif isinstance(node, ast.Attribute) and node.attr in ("ndim", "dtype") and is_named(node.value, "labels"):
            yield node.lineno, f"the labels' {node.attr}"
        elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
            for part in ast.walk(node.test):
                if isinstance(part, ast.Attribute) and part.attr == "labels" and is_named(part.value, "task"):
                    yield node.lineno, "whether there are labels"


def is_named(node, name):
    """Says whether an expression is a variable or an attribute of that name."""
    return name in (getattr(node, "id", None), getattr(node, "attr", None))


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_tasks_ask_what_kind_of_task_there_is(path):
    assert not list(questions(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_questions_are_seen():
    """The test above looks for what it should."""
    asked = (
        "if model.task.name == other: pass",
        "x = kind in ('masked_lm', 'regression')",
        "isinstance(model, (int, TextModel))",
        "isinstance(task, tasks.Regression)",
        "if labels.ndim == 2: pass",
        "y = examples.labels.dtype.kind",
        "z = 1 if not model.task.labels else 2",
    )
    assert all(list(questions(ast.parse(line))) for line in asked)


def imports_on_loading(path):
    """Returns the files of tfbert that a file needs when it is loaded, thus not those its functions import later."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tfbert"):
            found |= {file_of(f"{node.module}.{alias.name}") or file_of(node.module) for alias in node.names}
    return found - {path}


def file_of(module):
    """Returns the file of a module; None where there is no such module."""
    place = ROOT.joinpath(*module.split("."))
    places = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in places if file.exists()), None)


@functools.cache
def longest_chain(path):
    """Returns the longest chain of files, each needed by the one before it: tuple of paths."""
    return path, *max(map(longest_chain, imports_on_loading(path)), key=len, default=())


def test_the_longest_chain_of_imports():
    chain = max(map(longest_chain, FILES), key=len)
    assert len(chain) <= 10, " -> ".join(str(path.relative_to(ROOT)) for path in chain)


def test_the_way_from_the_entry_to_the_update_of_the_weights():
    """Each file uses the next one: the first finds it in the table of modes."""
    from tfbert.modes import MODES

    way = ["run", "modes.train", "modes.training_run", "training.loop", "optim.adam_weight_decay"]
    assert MODES._places["train"].startswith(f"tfbert.{way[1]}:")
    files = [file_of(f"tfbert.{name}") for name in way[1:]]
    for user, used in zip(files, files[1:]):
        assert used in imports_on_loading(user)
    assert "def _backend_update_step" in files[-1].read_text()


# Attributes of keras-hub's backbones and of its layers.
KERAS_HUBS = {
    "token_embedding", "position_embedding", "segment_embedding", "embeddings", "embeddings_layer_norm",
    "transformer_layers", "pooled_dense", "_self_attention_layer", "_self_attention_layer_norm",
    "_feedforward_intermediate_dense", "_feedforward_output_dense", "_feedforward_layer_norm", "query_dense",
    "key_dense", "value_dense", "output_dense", "_query_dense", "_key_dense", "_value_dense", "_output_dense",
}  # fmt: skip


def internals(tree):
    """Yields the names of keras-hub's layers that code uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in KERAS_HUBS:
            owner = getattr(node.value, "attr", getattr(node.value, "id", None))
            if node.attr != "embeddings" or owner == "backbone":  # Parts and Keras' layers have `embeddings`, too
                yield node.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_families_know_what_keras_hub_is_made_of(path):
    if path.parent.name != "families":
        assert not list(internals(ast.parse(path.read_text(encoding="utf-8"))))


def test_the_internals_are_seen():
    code = "encoder.backbone.pooled_dense; backbone.embeddings; layer._self_attention_layer.query_dense; x.embeddings"
    assert len(list(internals(ast.parse(code)))) == 4


def test_files_stay_small():
    long = [str(path) for path in FILES if path.read_text(encoding="utf-8").count("\n") > 400]
    assert not long
    assert (ROOT / "tfbert" / "run.py").read_text().count("\n") < 90


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


def test_every_public_function_has_annotations():
    import tfbert

    for name in tfbert.__all__:
        known = getattr(tfbert, name)
        if name in ("TASKS", "InputError"):
            continue
        signature = inspect.signature(known.__init__ if inspect.isclass(known) else known)
        bare = [each.name for each in signature.parameters.values() if each.annotation is each.empty]
        assert set(bare) <= {"self"}, f"{name}: {bare}"
        assert signature.return_annotation is not signature.empty, name


def test_editors_see_every_public_name():
    import tfbert

    stub = (ROOT / "tfbert" / "__init__.pyi").read_text(encoding="utf-8")
    imported = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    assert {node.names[0].asname: node.module for node in imported} == {
        name: f"tfbert.{module}" for name, module in tfbert._HOME.items()
    }


def test_run_is_module_and_function():
    """Importing tfbert.run as a module leaves the function of this name callable, with its own signature."""
    script = (
        "import inspect, tfbert, tfbert.run\n"
        "assert list(inspect.signature(tfbert.run).parameters) == ['config']\n"
        "try: tfbert.run(tfbert.load_config())\n"
        "except tfbert.InputError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "--mode=train needs" in result.stdout, result.stderr


def test_top_level():
    allowed = {
        "README.md",
        "README.zh.md",
        "BUILD.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "LICENSE",
        "docs",
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
