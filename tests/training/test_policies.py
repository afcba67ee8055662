"""Training with weights of 16 and 64 bits: as with 32, as near as they can be."""

import keras
import numpy as np
import pytest

from tests.conftest import random_texts, rows_of
from tfbert import TASKS, AdamWeightDecay, InputError, build_model, load_encoder, train
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.windows import LongText


def losses_of(folder, dtype, pooling="pooler", long_text=LongText(), optimizer=AdamWeightDecay, **options):
    """Trains a tiny classifier for six steps, and returns each step's loss."""
    encoder = load_encoder(folder, dropout=0.0, dtype=dtype)
    model = build_model(
        encoder, TASKS["classification"](["no", "yes"]), pooling=pooling, max_seq_length=16, long_text=long_text
    )
    texts = random_texts(24)
    rows = rows_of(texts, labels=["yes" if "printer" in text else "no" for text in texts])
    examples = tokenize_examples(rows, model.tokenizer, 16, model.task.encode_label, long_text=long_text)
    dataset = ExampleBatches(examples, 8, 16, shuffle=False, seed=0)
    return train(model, dataset, optimizer(1e-3), steps=6, **options)


@pytest.mark.parametrize(
    "dtype,near,options",
    [
        ("mixed_bfloat16", 0.05, {"accumulation": 2}),
        ("mixed_bfloat16", 0.05, {"pooling": "scalar_mix", "long_text": LongText("attention")}),
    ],
)
def test_the_loop_trains_in_bfloat16(tiny, dtype, near, options):
    expected = losses_of(tiny, "float32", **options)
    found = losses_of(tiny, dtype, **options)
    np.testing.assert_allclose(found, expected, atol=near)
    assert found[-1] < found[0]


@pytest.mark.parametrize(
    "optimizer,message",
    [
        (keras.optimizers.AdamW, "tfbert.train takes AdamWeightDecay or Lamb; .* Received: AdamW"),
        (lambda rate: AdamWeightDecay(rate, gradient_accumulation_steps=2), "steps; pass accumulation= to train"),
        (lambda rate: AdamWeightDecay(rate, loss_scale_factor=2.0), "with loss_scale_factor; "),
        (lambda rate: AdamWeightDecay(rate, use_ema=True), "with use_ema; pass ema_decay= to the optimizer"),
    ],
)
def test_the_loop_refuses_an_optimizer_that_it_would_use_wrongly(tiny, optimizer, message):
    with pytest.raises(InputError, match=message):
        losses_of(tiny, "float32", optimizer=optimizer)
