"""Markup, control characters and white space, by hand; and that a model cleans as its training did."""

import json

import numpy as np
import pytest

from tests.conftest import command, random_texts
from tfbert import load_model, predict
from tfbert.models.tokenizers.cleaning import clean_text


@pytest.mark.parametrize(
    "text,expected",
    [
        ("A great film.<br /><br />Really.", "A great film. Really."),
        ("<p>un<b>know</b>n</p><p>next</p>", "unknown next"),
        ("fish &amp; chips &lt;3 &#20013;&nbsp;x", "fish & chips <3 中 x"),
        ("if a < b and b > c, <3 & co", "if a < b and b > c, <3 & co"),
        ("<!-- a note -->seen<script>var x = '<b>';</script><style>p {}</style> too", "seen too"),
        ("bell\x07, null\x00, tab\t, line\r\n\r\n, wide\u3000space \x85", "bell, null, tab , line , wide space"),
        ("打印机\u200b坏了，👩\u200d🔧来修。", "打印机\u200b坏了，👩\u200d🔧来修。"),
        ("an <unfinished tag", "an <unfinished tag"),
        ("wow <![sarcasm]> yes", "wow yes"),
        ("x <![1] y", "x <![1] y"),
        ("a <![CDATA[b]]> c", "a b c"),
        ("   ", ""),
        ("", ""),
    ],
)
def test_by_hand(text, expected):
    assert clean_text(text) == expected
    assert clean_text(expected) == expected or "<" in expected  # what has been decoded may look like markup


def test_a_model_cleans_as_its_training_did(tiny, tmp_path):
    """Training, evaluation, prediction from a file and from Python; the clean text needs no flag."""
    texts = [text or "printer" for text in random_texts(12)]
    for name, form in (("plain", "{}"), ("marked", "<p>{}</p><br/>")):
        rows = [{"text": form.format(text), "label": "printer" in text} for text in texts]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [f"--preset={tiny}", "--max_steps=4", "--train_batch_size=4", "--max_seq_length=32", "--learning_rate=1e-2"]
    weights = []
    for name, more in (("plain", []), ("marked", ["--clean_text"])):
        command(*flags, *more, f"--train_file={tmp_path}/{name}.jsonl", f"--output_dir={tmp_path}/{name}", check=0)
        weights.append((tmp_path / name / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    output = tmp_path / "marked"
    model, dirty = load_model(str(output / "model")), load_model(str(tmp_path / "plain" / "model"))
    assert model.tokenizer.clean and not dirty.tokenizer.clean
    assert predict(model, ["<p>the printer</p>"]) == predict(model, ["the printer"])
    assert predict(dirty, ["<p>the printer</p>"]) != predict(dirty, ["the printer"])
    command("--mode=predict", f"--output_dir={output}", f"--test_file={tmp_path}/marked.jsonl", check=0)
    found = [json.loads(line)["probabilities"] for line in (output / "predictions.jsonl").read_text().splitlines()]
    assert found == [row["probabilities"] for row in predict(model, texts)]


def test_a_corpus_is_cleaned(tiny, tmp_path):
    (tmp_path / "a.txt").write_text("the printer is down\nthanks\n\nmy account\nis gone\n")
    (tmp_path / "b.txt").write_text("<p>the <b>printer</b> is down\nthanks</p>\n\nmy account<br>\nis gone\n")
    flags = ["--task=masked_lm", f"--preset={tiny}", "--max_steps=1", "--max_seq_length=16", "--train_batch_size=2"]
    data = []
    for name, more in (("a", []), ("b", ["--clean_text"])):
        flags_of_run = [*flags, *more, f"--train_file={tmp_path}/{name}.txt", f"--output_dir={tmp_path}/{name}"]
        command(*flags_of_run, f"--cache_dir={tmp_path}/cache", check=0)
        data.append(json.loads((tmp_path / name / "eval_results.json").read_text())["data"])
    assert data[0] == data[1]


def test_features_of_a_pretrained_bert(tiny, tmp_path):
    (tmp_path / "rows.txt").write_text("<p>the printer</p>\nthe printer\n")
    command("--mode=predict", "--features=npy", f"--preset={tiny}", f"--test_file={tmp_path}/rows.txt", "--clean_text",
            "--max_seq_length=32",
            f"--output_dir={tmp_path}/out", check=0)  # fmt: skip

    one, other = np.load(tmp_path / "out" / "features.npy")
    np.testing.assert_allclose(one, other, atol=1e-6)  # two rows of one batch
