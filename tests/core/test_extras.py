"""What is said about installing: it works wherever tfbert came from, and never names somebody else's package."""

import configparser
import re
import shlex
import subprocess

import pytest

from tests.conftest import ROOT
from tfbert.core.extras import EXTRAS, install_command

# `tfbert` of a package index: as a requirement with an extra, or as the argument of an installer. A path, a wheel or an
# address that has the word in it is none.
_INSTALLER = r"(?:pip3?|pipx|uv|poetry|pdm|conda|mamba|rye) (?:pip )?(?:install|add|run|download|wheel)"
ADVICE = re.compile(rf"\btfbert\[|{_INSTALLER}\b[^.;:|)`/]{{0,80}}?[\s'\"`]tfbert(?![\w./:*-])|\btwine upload\b")


def advice_in(text):
    return [match[0] for match in ADVICE.finditer(re.sub(r"[\s#\"']+", " ", text))]


@pytest.mark.parametrize(
    "text,wrong",
    [
        ("pip install tfbert", True),
        ("python -m pip install\n    # --upgrade tfbert", True),
        ("pip install 'tfbert[chinese]'", True),
        ("uv add tfbert", True),
        ("twine upload dist/*", True),
        ("pip install -e '.[chinese]'", False),
        ("pip install dist/tfbert-*.whl", False),
        ('"pip", "install", "./tfbert_repo"', False),
        ("pip install jieba, and tfbert.doctor() says", False),
    ],
)
def test_what_counts_as_such_advice(text, wrong):
    assert bool(advice_in(text)) == wrong


def test_nothing_says_to_install_tfbert_from_an_index():
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    found = {}
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if name != "tests/core/test_extras.py" and path.suffix not in (".npz", ".json", ".svg") and path.is_file():
            found |= {name: advice for advice in [advice_in(path.read_text("utf-8"))] if advice}
    assert not found


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
