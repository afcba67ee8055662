"""Configurations of pre-trained BERTs: what may be left out, and what is refused by name."""

import json

import pytest

from tests.conftest import write_tiny
from tfbert import TASKS, InputError, build_model, load_encoder
from tfbert.models.checkpoint_config import check_config
from tfbert.models.presets import find_preset

REFUSED = {
    "relative positions": ({"position_embedding_type": "relative_key_query"}, "position_embedding_type='relative_key"),
    "a decoder": ({"is_decoder": True}, "is_decoder=True"),
    "cross-attention": ({"add_cross_attention": True}, "add_cross_attention=True"),
    "pruned heads": ({"pruned_heads": {"0": [1]}}, "pruned_heads={'0'"),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config="),
    "code of its own": ({"auto_map": {"AutoModel": "x.Y"}}, "auto_map"),
    "activation": ({"hidden_act": "silu"}, "hidden_act='silu'; it must be one of gelu, gelu_new, relu"),
    "heads": ({"num_attention_heads": 5}, "hidden_size=32, which must be a multiple of num_attention_heads=5"),
    "a billion layers": ({"num_hidden_layers": 10**9}, "num_hidden_layers=1000000000; it must be a whole number"),
    "a trillion wide": ({"hidden_size": 10**12}, "hidden_size=1000000000000"),
    "more weights than memory": ({"hidden_size": 99_996, "num_hidden_layers": 999}, "weights; tfbert supports"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads=0"),
    "negative": ({"intermediate_size": -64}, "intermediate_size=-64"),
    "text": ({"vocab_size": "101"}, "vocab_size='101'"),
    "fraction": ({"hidden_size": 32.0}, "hidden_size=32.0"),
    "boolean": ({"num_hidden_layers": True}, "num_hidden_layers=True"),
    "dropout": ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob=1.5"),
    "no number": ({"attention_probs_dropout_prob": float("nan")}, "attention_probs_dropout_prob=nan"),
    "epsilon": ({"layer_norm_eps": 0}, "layer_norm_eps=0"),
    "list": ({"hidden_act": ["gelu"]}, r"hidden_act=\['gelu'\]"),
    "missing": ({"hidden_size": None}, "lacks hidden_size"),
}


def folder_with(folder, **changes):
    """Writes a tiny BERT whose configuration is changed; None takes a setting out."""
    config = json.loads((write_tiny(folder) / "config.json").read_text()) | changes
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return str(folder)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    changes, reason = REFUSED[name]
    with pytest.raises(InputError, match=reason):
        find_preset(folder_with(tmp_path, **changes))


def test_what_may_be_left_out_is_told(tmp_path, capsys):
    settings = ("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "type_vocab_size")
    settings += ("layer_norm_eps",)
    encoder = load_encoder(folder_with(tmp_path, **dict.fromkeys(settings)))
    assert (encoder.activation, encoder.dropout_rate, encoder.attention_dropout_rate) == ("gelu", 0.1, 0.1)
    assert encoder.backbone.num_segments == 2 and encoder.layer_norm_epsilon == 1e-12
    told = capsys.readouterr().out
    assert told.count("does not set") == 1 and all(setting in told for setting in settings)
    assert "hidden_dropout_prob (0.1)" in told
    load_encoder(str(write_tiny(tmp_path)))
    assert capsys.readouterr().out == ""


def test_attention_has_a_dropout_of_its_own(tmp_path):
    folder = folder_with(tmp_path, attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.3)
    encoder = load_encoder(folder)
    assert (encoder.dropout_rate, encoder.attention_dropout_rate) == (0.3, 0.0)
    encoder = load_encoder(folder, dropout=0.2)
    assert (encoder.dropout_rate, encoder.attention_dropout_rate) == (0.2, 0.2)


def test_a_configuration_that_its_weights_cannot_fill(tmp_path):
    folder = folder_with(tmp_path, hidden_size=8_000, num_hidden_layers=12)
    with pytest.raises(InputError, match=r"does not fit its configuration, which is that of 3,\d+,\d+,\d+ weights"):
        load_encoder(folder)


def test_pairs_need_two_segments(tmp_path):
    """Otherwise their rows are looked up beyond the table, of which XLA says nothing."""
    encoder = load_encoder(str(write_tiny(tmp_path, segments=1)))
    task = TASKS["classification"](["no", "yes"])
    build_model(encoder, task, max_seq_length=16)
    with pytest.raises(InputError, match="type_vocab_size 1"):
        build_model(encoder, task, max_seq_length=16, text_columns=("a", "b"))


def test_equal_configurations_of_google_need_no_epsilon():
    sizes = {"vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 4}
    rest = {"max_position_embeddings": 8, "type_vocab_size": 2, "hidden_dropout_prob": 0, "hidden_act": "gelu_new"}
    rest |= {"attention_probs_dropout_prob": 0}
    assert check_config(sizes | rest, "x", silent=("layer_norm_eps",)).notes == []
