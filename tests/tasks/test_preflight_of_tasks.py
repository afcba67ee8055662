"""The step of each task over tokens as one program for eight chips, by the real TPU compiler."""

import json

import pytest

from tests.modes.test_preflight import compiles, usual_flags  # noqa: F401
from tests.tasks.tagging.sentences import random_sentences, write_conll
from tfbert import load_config, run
from tfbert.modes.preflight import search as search_module

pytestmark = pytest.mark.timeout(1200)


@compiles
def test_a_step_of_tagging(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_EXAMPLES", 8)
    write_conll(tmp_path / "train.conll", random_sentences(40))
    settings = {"task": "tagging", "train_file": str(tmp_path / "train.conll"), "max_seq_length": 16}
    assert preflight(tiny, tmp_path, settings)["padding_share"] < 0.6


@compiles
def test_a_step_of_spans(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_EXAMPLES", 8)
    context = " ".join(["the printer is down"] * 12)
    row = {"question": "what is down", "context": context, "answers": [{"text": "printer", "answer_start": 4}]}
    (tmp_path / "train.jsonl").write_text((json.dumps(row) + "\n") * 20)
    settings = {"task": "span", "train_file": str(tmp_path / "train.jsonl"), "max_seq_length": 32}
    preflight(tiny, tmp_path, settings | {"max_query_length": 8, "doc_stride": 10})


def preflight(tiny, folder, settings):
    """Compiles a step for eight chips; returns what the mode found."""
    own = {"mode": "preflight", "preset": tiny, "topology": "v5e-8", "train_batch_size": 64}
    found = run(load_config(**own | settings, output_dir=str(folder / "out")))
    assert found["would_run"] and found["chips"] == 8 and found["all_reduced_bytes"] > 0
    return found
