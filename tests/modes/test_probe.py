"""--mode=probe: from rows to the score of each layer and pooling, and their curve."""

import json

import numpy as np
import pytest

from tests.conftest import command, random_texts
from tfbert import load_encoder
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.inference.layer_probe import COMBINED, TOKENS, LayerVectors, probe_layers, share_of_most_frequent
from tfbert.training.evaluation import Evaluator

TEXTS = ["the printer is down", "中文很好", "please " * 60]


def test_vectors_are_those_of_the_layers(tiny):
    """Against a call of the encoder on one text at a time."""
    encoder = load_encoder(tiny)
    examples = tokenize_examples([{"text": text} for text in TEXTS], encoder.tokenizer, 16)
    batches = ExampleBatches(examples, 8, 16, shuffle=False, seed=0)
    found = Evaluator(LayerVectors(encoder)).outputs(batches).reshape(len(TEXTS), -1, 32)
    assert found.shape[1] == 3 * len(TOKENS) + 1
    for number, text in enumerate(TEXTS):
        alone = tokenize_examples([{"text": text}], encoder.tokenizer, 16)
        [(features, *_)] = ExampleBatches(alone, 1, 16, shuffle=False, seed=0).shares(0, 1)
        pieces = features["window_ids"][0].numpy() > 0
        layers = [layer[0].numpy()[pieces] for layer in encoder(features)]
        expected = [vector for layer in layers for vector in (layer[0], layer.mean(axis=0), layer.max(axis=0))]
        expected.append(np.maximum(-1, encoder.pool(layers[-1][:1])[0]))
        np.testing.assert_allclose(found[number], expected, atol=1e-5)


def test_a_probe_finds_the_layer_that_knows():
    """Two layers of noise, but for one number of the second one's mean, which is the label."""
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(300, 3 * len(TOKENS) + 1, 4)).astype(np.float32), rng.integers(0, 2, 300)
    vectors[:, 2 * len(TOKENS) + TOKENS.index("mean"), 2] += 4 * labels
    scores = probe_layers((vectors[:200], labels[:200]), (vectors[200:], labels[200:]))
    assert list(scores) == [
        *(f"{token}, layer {layer}" for token in TOKENS for layer in range(3)), *COMBINED, "pooler"
    ]  # fmt: skip
    assert max(scores, key=scores.get) == "mean, layer 2" and scores["mean, layer 2"] > 0.9
    assert share_of_most_frequent(np.array([1, 1, 0]), np.array([1, 0, 0, 0])) == 0.25


@pytest.fixture
def flags(tiny, tmp_path):
    found = ["--mode=probe", f"--preset={tiny}", "--max_seq_length=32", f"--output_dir={tmp_path}/probe"]
    for split, count in (("train", 400), ("dev", 100)):
        texts = [text for text in random_texts(count, seed=count) if text]
        rows = "".join(json.dumps({"text": text, "label": int("printer" in text)}) + "\n" for text in texts)
        (tmp_path / f"{split}.jsonl").write_text(rows)
        found.append(f"--{split}_file={tmp_path}/{split}.jsonl")
    return found


def test_from_the_command_line(flags, tmp_path):
    """A second time, nothing is computed again, and the numbers are the same."""
    first = command(*flags, check=0)
    output = tmp_path / "probe"
    found = json.loads((output / "layer_probe.json").read_text())
    second = command(*flags, check=0)
    assert "more rows" in first.stdout and "more rows" not in second.stdout
    assert json.loads((output / "layer_probe.json").read_text()) == found
    assert len(found["accuracy"]) == 3 * 3 + 7 and all(0 <= score <= 1 for score in found["accuracy"].values())
    # Whether "printer" is among the words is what the maximum over the words' own vectors shows.
    assert found["accuracy"]["max, layer 0"] > found["most_frequent_label"] + 0.1
    assert "<svg" in (output / "layer_probe.svg").read_text()
    assert len(list(output.glob("vectors_*.npy"))) == 2 and len(list(output.iterdir())) == 4


@pytest.mark.parametrize(
    "options,message",
    [
        (("--task=regression",), "--mode=probe needs --task=classification. Received: --task=regression"),
        (("--long_text=mean",), "--mode=probe needs --long_text=head, tail or head_tail"),
        (("--max_seq_length=128",), "must be at most 64"),
    ],
)
def test_what_it_cannot_do(flags, tmp_path, options, message):
    result = command(*flags, *options, check=1)
    assert message in result.stderr and "Traceback" not in result.stderr and not (tmp_path / "probe").exists()
