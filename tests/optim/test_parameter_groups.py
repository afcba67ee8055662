"""Which variable is trained how: values worked out by hand, on a real encoder's paths."""

import pytest

from tfbert import TASKS, InputError, build_model, layer_decay, load_encoder
from tfbert.optim.adam_weight_decay import AdamWeightDecay
from tfbert.optim.parameter_groups import HEAD, describe_groups, freeze, gradual_unfreezing, match_all, pretrained

EMBEDDINGS = ("token_embedding", "position_embedding", "segment_embedding", "embeddings_layer_norm")


@pytest.fixture(scope="module")
def model(minilm):
    return build_model(load_encoder(minilm), TASKS["classification"]([0, 1]))


def by_part(pairs, model, default=1.0):
    """Returns each part's value; all variables of a part must agree."""
    paths = [variable.path for variable in model.trainable_variables]
    found = {}
    for path, value in zip(paths, match_all(pairs, paths, default)):
        part = path.split("/")[0]
        part = "embeddings" if part in EMBEDDINGS else part.replace("transformer_layer_", "layer ")
        assert found.setdefault(part, value) == value, path
    assert len(found) == 9  # embeddings, six layers, pooler, head
    return found


def test_layer_decay_by_hand(model):
    found = by_part(layer_decay(model.encoder, 0.5), model)
    assert found == {
        "embeddings": 1 / 64, "layer 0": 1 / 32, "layer 1": 1 / 16, "layer 2": 1 / 8, "layer 3": 1 / 4,
        "layer 4": 1 / 2, "layer 5": 1.0, "pooled_dense": 1.0, "head": 1.0,
    }  # fmt: skip


def test_layer_decay_with_the_heads_own_rate(model):
    found = by_part([(HEAD, 10.0), *layer_decay(model.encoder, 0.95)], model)
    assert found["head"] == 10.0 and found["pooled_dense"] == 1.0 and found["layer 5"] == 1.0
    assert found["layer 4"] == pytest.approx(0.95) and found["layer 0"] == pytest.approx(0.7737809375)
    assert found["embeddings"] == pytest.approx(0.735091890625)


@pytest.mark.parametrize(
    "arguments,frozen",
    [
        ({}, []),
        ({"part": "embeddings"}, ["embeddings"]),
        ({"layers": 2}, ["embeddings", "layer 0", "layer 1"]),
        ({"part": "encoder"}, ["embeddings", *(f"layer {i}" for i in range(6)), "pooled_dense"]),
    ],
    ids=str,
)
def test_freeze(model, arguments, frozen):
    found = by_part(freeze(model.encoder, **arguments), model)
    assert [part for part, value in found.items() if value == 0] == frozen


def test_freeze_refuses_layers_that_are_not_there_or_new(model):
    with pytest.raises(InputError, match="--freeze_layers must be at most 6, .* Received: 7"):
        freeze(model.encoder, layers=7)
    with pytest.raises(InputError, match="--freeze_layers must be at most 4, .* Received: 5"):
        freeze(model.encoder, layers=5, reinit_layers=2)


def test_gradual_unfreezing_by_hand(model):
    found = by_part(gradual_unfreezing(model.encoder, 10), model, default=0)
    assert found == {"embeddings": 70, "layer 0": 60, "layer 1": 50, "layer 2": 40, "layer 3": 30, "layer 4": 20,
                     "layer 5": 10, "pooled_dense": 0, "head": 0}  # fmt: skip


def test_what_is_pretrained(model):
    def old(**arguments):
        pairs = [(pattern, True) for pattern in pretrained(model.encoder, **arguments)]
        return [part for part, value in by_part(pairs, model, default=False).items() if value]

    layers = [f"layer {i}" for i in range(6)]
    assert old() == ["embeddings", *layers, "pooled_dense"]
    assert old(reinit_layers=2) == ["embeddings", *layers[:4], "pooled_dense"]
    assert old(reinit_layers=6, reinit_pooler=True) == ["embeddings"]


def test_layers_above_a_poolings_own_are_left_out(minilm):
    """With --pooling=layer:3 they have nothing to train, and no pattern may ask for them."""
    model = build_model(load_encoder(minilm), TASKS["classification"]([0, 1]), pooling="layer:3")
    paths = [variable.path for variable in model.trainable_variables]
    for pairs in (layer_decay(model.encoder, 0.9), freeze(model.encoder, layers=5),
                  gradual_unfreezing(model.encoder, 2), [(p, True) for p in pretrained(model.encoder)]):  # fmt: skip
        assert len(match_all(pairs, paths, None)) == len(paths) and "_4/" not in str(pairs)


def test_the_table_of_groups(model):
    optimizer = AdamWeightDecay(
        lr_multipliers=[*freeze(model.encoder, layers=5), (HEAD, 2.0)],
        prior_weight_decay=pretrained(model.encoder),
        start_steps=[("pooled_dense/.*", 7)],
    )
    optimizer.build(model.trainable_variables)
    rows = describe_groups(optimizer.groups())
    assert rows[0] == ["weights such as", "variables", "weights", "lr multiplier", "decay", "toward", "from step"]
    assert ["token_embedding/embeddings", "85", "20,790,912", "frozen", "", "", ""] in rows
    assert ["head/kernel", "1", "768", "2", "0.01", "0", "0"] in rows
    assert ["pooled_dense/kernel", "1", "147,456", "1", "0.01", "start", "7"] in rows
    assert sum(int(row[1]) for row in rows[1:]) == len(model.trainable_variables)


def test_the_table_leaves_out_what_was_not_asked_for(model):
    optimizer = AdamWeightDecay()
    optimizer.build(model.trainable_variables)
    assert describe_groups(optimizer.groups())[0] == ["weights such as", "variables", "weights", "decay"]
