"""Vectors of texts: from Python, and from the command line."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from tests.conftest import command, random_texts
from tfbert import (
    TASKS,
    InputError,
    LongText,
    build_model,
    extract_features,
    load_encoder,
    predict,
    save_model,
)

TEXTS = ["the printer is down", "中文很好", "", "please " * 60]


def test_vectors_of_an_encoder_are_those_of_its_layers(tiny):
    """Against a call of the encoder on one text at a time."""
    from tfbert.data.batches import ExampleDataset
    from tfbert.data.examples import tokenize_examples

    encoder = load_encoder(tiny)
    found = extract_features(encoder, TEXTS, max_seq_length=16)
    first = extract_features(encoder, TEXTS, "layer:0", max_seq_length=16)
    assert found.shape == (4, 32) and found.dtype == np.float32
    for number, text in enumerate(TEXTS):
        examples = tokenize_examples([{"text": text}], encoder.tokenizer, 16)
        features = next(iter(ExampleDataset(examples, 1, 16, False, 0)))[0]
        layers, pieces = encoder(features), features["window_ids"][0].numpy() > 0
        np.testing.assert_allclose(found[number], layers[-1][0].numpy()[pieces].mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(first[number], layers[1][0, 0], atol=1e-5)


def test_windows_merge_in_features_too(tiny):
    encoder = load_encoder(tiny)
    whole = extract_features(encoder, TEXTS[3:], "cls", max_seq_length=16, long_text=LongText("mean", max_windows=3))
    window = extract_features(encoder, ["please " * 14], "cls", max_seq_length=16)
    np.testing.assert_allclose(whole, window, atol=1e-5)  # three windows of the same pieces


def test_a_trained_models_vectors_are_what_its_head_reads(tiny):
    task = TASKS["classification"](["a", "b"])
    model = build_model(
        load_encoder(tiny), task, pooling="scalar_mix", max_seq_length=16, long_text=LongText("attention")
    )
    vectors = extract_features(model, TEXTS)
    logits = vectors @ model.head.kernel.numpy() + model.head.bias.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = [[row["probabilities"]["a"], row["probabilities"]["b"]] for row in predict(model, TEXTS)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(InputError, match="--pooling=cls cannot be merged by this model's attention"):
        extract_features(model, TEXTS, "cls")
    assert extract_features(model, []).shape == (0, 32)


def test_refusals(tiny):
    encoder = load_encoder(tiny)
    with pytest.raises(InputError, match="scalar_mix is learned in training"):
        extract_features(encoder, TEXTS, "scalar_mix", max_seq_length=16)
    with pytest.raises(InputError, match="--long_text=attention is learned in training"):
        extract_features(encoder, TEXTS, max_seq_length=16, long_text=LongText("attention"))
    with pytest.raises(InputError, match="max_seq_length must be at most 64"):
        extract_features(encoder, TEXTS, max_seq_length=65)
    with pytest.raises(TypeError, match="texts must be a list"):
        extract_features(encoder, "one text", max_seq_length=16)


@pytest.mark.parametrize("saved", [False, True], ids=["pre-trained", "saved"])
@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_the_command_line_writes_them(tiny, tmp_path, kind, saved):
    texts = [text or "ok" for text in random_texts(11)]
    rows = [{"id": f"中{n}", "text": text} for n, text in enumerate(texts)]
    del rows[4]["id"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), "utf-8")
    encoder = load_encoder(tiny)
    expected = extract_features(encoder, texts, "max", max_seq_length=16)
    preset = tiny
    if saved:
        model = build_model(encoder, TASKS["classification"](["a", "b"]), pooling="max", max_seq_length=16)
        preset = str(tmp_path / "model")
        save_model(model, preset)
    how = [] if saved else ["--pooling=max", "--max_seq_length=16"]
    flags = ["--mode=predict", f"--features={kind}", f"--preset={preset}", f"--test_file={tmp_path}/texts.jsonl"]
    result = command(*flags, f"--output_dir={tmp_path}/out", *how, check=0)
    path = tmp_path / "out" / f"features.{kind}"
    assert str(path) in result.stdout
    if kind == "npy":
        found = np.load(path)
    else:
        table = pyarrow.parquet.read_table(path)
        assert table["id"].to_pylist() == [row.get("id") for row in rows]
        found = np.array(table["vector"].to_pylist(), np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [f"features.{kind}"]
    again = command(*flags, f"--output_dir={tmp_path}/out", check=1)
    assert "already exists" in again.stderr
