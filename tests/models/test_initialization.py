"""New top layers: which, with what values, from which seed."""

import numpy as np
import pytest

from tfbert import TASKS, InputError, build_model, load_encoder, reinitialize


def values(encoder):
    return {v.path: v.numpy() for v in encoder.backbone.trainable_variables}


def renewed(preset, **arguments):
    """Returns the values before and after."""
    encoder = load_encoder(preset)
    encoder.backbone.pooled_dense.bias.assign_add(np.ones(encoder.hidden_dim))  # minilm's is 0, as a new one is
    before = values(encoder)
    reinitialize(encoder, **arguments)
    return before, values(encoder)


@pytest.mark.parametrize("layers,pooler", [(2, True), (3, False), (0, True), (0, False)])
def test_only_what_was_asked_for_changes(minilm, layers, pooler):
    before, after = renewed(minilm, layers=layers, pooler=pooler)
    parts = {f"transformer_layer_{number}" for number in range(6 - layers, 6)} | ({"pooled_dense"} if pooler else set())
    for path in before:
        assert (path.split("/")[0] in parts) == (not np.array_equal(before[path], after[path])), path


def test_values_are_those_of_an_untrained_bert(minilm):
    """Truncated normal: cut at two standard deviations of 0.02, which leaves 0.8796 of the standard deviation."""
    _, after = renewed(minilm, layers=2, pooler=True)
    for path, value in after.items():
        if path.split("/")[0] not in ("transformer_layer_4", "transformer_layer_5", "pooled_dense"):
            continue
        if path.endswith("kernel"):
            assert np.abs(value).max() <= 0.04 and abs(value.mean()) < 5 * 0.0176 / np.sqrt(value.size)
            assert abs(value.std() / (0.02 * 0.87962566) - 1) < 0.01, path
        else:
            np.testing.assert_array_equal(value, np.ones_like(value) if path.endswith("gamma") else 0 * value)


def test_the_seed_decides_and_the_number_of_layers_does_not(tiny):
    one, again, other, more = (
        renewed(tiny, layers=layers, pooler=True, init_seed=seed)[1]
        for layers, seed in ((1, 3), (1, 3), (1, 4), (2, 3))
    )
    kernel = "transformer_layer_1/feedforward_output_dense/kernel"
    for path in (kernel, "pooled_dense/kernel"):
        np.testing.assert_array_equal(one[path], again[path])
        np.testing.assert_array_equal(one[path], more[path])
        assert np.abs(one[path] - other[path]).max() > 1e-3
    kernels = [value.ravel() for path, value in more.items() if path.startswith("tr") and path.endswith("kernel")]
    for number, first in enumerate(kernels):  # no two draw the same numbers
        assert all(abs(np.corrcoef(first[:1024], second[:1024])[0, 1]) < 0.15 for second in kernels[number + 1 :])


def test_the_head_has_a_stream_of_its_own(tiny):
    heads = []
    for layers in (0, 2):
        encoder = load_encoder(tiny)
        reinitialize(encoder, layers, pooler=bool(layers), init_seed=3)
        model = build_model(encoder, TASKS["classification"](range(32)), max_seq_length=16, init_seed=3)
        heads.append(model.head.kernel.numpy())
    np.testing.assert_array_equal(*heads)
    assert abs(np.corrcoef(heads[1].ravel(), encoder.backbone.pooled_dense.kernel.numpy().ravel())[0, 1]) < 0.15


@pytest.mark.parametrize("layers", [3, -1])
def test_layers_that_there_are_not(tiny, layers):
    with pytest.raises(InputError, match=f"--reinit_layers must be at most 2, .* Received: {layers}"):
        reinitialize(load_encoder(tiny), layers=layers)


def test_the_dtype_does_not_decide_the_weights(tiny):
    found = []
    for each in ("float32", "mixed_bfloat16"):
        encoder = load_encoder(tiny, dtype=each)
        reinitialize(encoder, layers=1, pooler=True, init_seed=3)
        found.append([v.numpy() for v in encoder.backbone.pooled_dense.weights])
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)
