"""Every public name shows how it is used, and the example runs as printed."""

import doctest
import importlib

import pytest

import tfbert
from tests.conftest import ROOT


@pytest.mark.parametrize("name", [name for name in tfbert.__all__ if name != "TASKS"])
def test_example(name, tmp_path, monkeypatch):
    (tmp_path / "tfbert").symlink_to(ROOT / "tfbert")  # the samples stand in it
    monkeypatch.chdir(tmp_path)
    text = getattr(importlib.import_module(f"tfbert.{tfbert._HOME[name]}"), name).__doc__
    example = doctest.DocTestParser().get_doctest(text, {"tfbert": tfbert}, name, None, None)
    assert example.examples, f"{name} has no example"
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not result.failed, "".join(said)
