"""Tokenizers of folders against transformers (golden, made by tools/make_golden.py), and what is refused by name."""

import json

import pytest

from tests.conftest import ROOT
from tests.reference.tokenizer_folders import HONOURED, REFUSED, ROWS, TEXTS, VOCABULARY, N, bert, write_folder
from tfbert import InputError, load_encoder
from tfbert.models.presets import find_preset, load_tokenizer
from tfbert.models.tokenizers.checkpoint_tokenizer import read_tokenizer

GOLDEN = json.loads((ROOT / "tests" / "golden" / "tokenizer_folders.json").read_text())
CONFIG = {
    "model_type": "bert", "vocab_size": ROWS, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 8, "max_position_embeddings": 16,
}  # fmt: skip


@pytest.mark.parametrize("name", HONOURED)
def test_ids_are_those_of_transformers(tmp_path, name):
    write_folder(tmp_path, HONOURED[name], CONFIG)
    tokenizer = find_preset(str(tmp_path)).tokenizer()
    for text, ids, expected in zip(TEXTS, tokenizer(TEXTS).to_list(), GOLDEN[name], strict=True):
        assert ids == expected, (text, [tokenizer.vocabulary[index] for index in ids])


@pytest.mark.parametrize("name", REFUSED)
def test_other_tokenizers_are_refused_by_name(tmp_path, name):
    files, reason = REFUSED[name]
    write_folder(tmp_path, files, CONFIG)
    with pytest.raises(InputError, match=reason):
        find_preset(str(tmp_path)).encoder()


def test_what_transformers_would_take_otherwise_is_told(tmp_path):
    """Whether case matters, where only tokenizer.json or the vocabulary say so."""
    write_folder(tmp_path, {"vocab.txt": "\n".join(VOCABULARY) + "\n", "tokenizer_config.json": {}}, CONFIG)
    files = read_tokenizer(str(tmp_path), CONFIG)  # it holds "Cafe"
    assert not files.lowercase
    assert files.notes == (
        f"{tmp_path}/tokenizer_config.json does not set do_lower_case: false is used, judging by its vocabulary; "
        "transformers uses true.",
    )
    write_folder(tmp_path, HONOURED["added_tokens_decoder"], CONFIG)
    assert read_tokenizer(str(tmp_path), CONFIG).notes == ()


def test_case_is_overridden_and_accents_follow_it_where_nothing_is_said_of_them(tmp_path):
    for strip, expected in ((None, ["cafe"]), (False, ["café"])):
        settings = bert(do_lower_case=False, strip_accents=strip)
        write_folder(tmp_path, {"vocab.txt": "\n".join(VOCABULARY), "tokenizer_config.json": settings}, CONFIG)
        tokenizer = load_tokenizer(str(tmp_path), lowercase=True)
        assert [tokenizer.vocabulary[index] for index in tokenizer(["CAFÉ"]).to_list()[0]] == expected


def test_google_and_keras_folders_with_more_pieces_than_rows(tmp_path):
    config = {key: value for key, value in CONFIG.items() if key != "model_type"}
    (tmp_path / "bert_config.json").write_text(json.dumps(config | {"vocab_size": N - 1}))
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    with pytest.raises(InputError, match=f"{N} tokens, but the model only {N - 1} embeddings"):
        load_encoder(str(tmp_path))


def test_added_tokens_work_inside_tf_data_and_are_part_of_the_fingerprint(tmp_path):
    import tensorflow as tf

    from tfbert.tasks.masked_lm.corpus_cache import corpus_key

    write_folder(tmp_path, HONOURED["added_tokens_decoder"], CONFIG)
    tokenizer = load_tokenizer(str(tmp_path))
    piped = tf.data.Dataset.from_tensor_slices(TEXTS).batch(4).map(tokenizer)
    assert [ids for batch in piped for ids in batch.to_list()] == tokenizer(TEXTS).to_list()
    write_folder(tmp_path, HONOURED["case True accents None ideographs True"], CONFIG)
    plain = load_tokenizer(str(tmp_path))
    write_folder(tmp_path, HONOURED["case True accents False ideographs True"], CONFIG)
    keys = {corpus_key([["a"]], each) for each in (tokenizer, plain, load_tokenizer(str(tmp_path)))}
    assert len(keys) == 3
