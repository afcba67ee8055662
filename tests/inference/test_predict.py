"""Predictions from Python: the same as those of a file, traced once, of models that can be freed."""

import gc
import json
import weakref

import numpy as np
import pytest

from tests.conftest import random_texts
from tfbert import TASKS, LongText, build_model, load_encoder, predict
from tfbert.inference.predict import predict_file

TEXTS = [*random_texts(7, longest=40), "", "打印机坏了", "the printer " * 100]


def model_of(folder, long_text=LongText()):
    encoder = load_encoder(folder, dropout=0.0)
    return build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=16, long_text=long_text)


@pytest.mark.parametrize(
    "long_text,pairs,windows_per_step",
    [(LongText("tail"), False, None), (LongText("mean", max_windows=3), True, None), (LongText("mean"), False, 2)],
    ids=["one window", "pairs", "some windows at a time"],
)
def test_the_same_as_of_a_file(tiny, tmp_path, long_text, pairs, windows_per_step):
    model = model_of(tiny, long_text)
    model.windows_per_step = windows_per_step
    texts = list(zip(TEXTS, TEXTS[::-1])) if pairs else TEXTS
    rows = [{"text": text[0], "text_pair": text[1]} if pairs else {"text": text} for text in texts]
    path = tmp_path / "predictions.jsonl"
    assert predict_file(model, rows, str(path), batch_size=4) == len(texts)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    found = predict(model, texts, batch_size=4)
    assert [row["label"] for row in found] == [row["label"] for row in written]
    for row, other in zip(found, written):
        np.testing.assert_allclose(
            list(row["probabilities"].values()), list(other["probabilities"].values()), atol=1e-6
        )


def test_one_trace_for_any_number_of_texts(tiny):
    model = model_of(tiny)
    one = predict(model, TEXTS[:1])
    for count in (2, 5, len(TEXTS)):
        found = predict(model, TEXTS[:count], batch_size=4)
        assert len(found) == count and found[0]["label"] == one[0]["label"]
    assert predict(model, []) == []
    [(_, _, traced)] = vars(model)["_traced"].values()
    assert traced.experimental_get_tracing_count() == 1
    model.head.bias.assign([0.0, 9.0])
    assert predict(model, TEXTS[:1])[0]["label"] == "yes"  # the weights are not part of what is traced


def test_a_model_that_has_predicted_can_be_freed(tiny):
    model = model_of(tiny)
    predict(model, TEXTS[:1])
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_what_is_no_list_of_texts_is_refused(tiny):
    model = model_of(tiny)
    with pytest.raises(TypeError, match="texts must be a list of texts. Received: one str, 'the printer'"):
        predict(model, "the printer")
    with pytest.raises(TypeError, match="all single texts, or all pairs"):
        predict(model, ["the printer", ("is", "down")])
