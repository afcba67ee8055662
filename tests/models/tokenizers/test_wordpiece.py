"""BertTokenizer against Hugging Face's BertTokenizer (golden, made by tools/make_golden.py)."""

import json

import pytest
import tensorflow as tf

from tests.conftest import ROOT, tiny_vocabulary
from tests.reference.shared_texts import text_files, texts_of
from tfbert import InputError
from tfbert.models.tokenizers.added_tokens import AddedToken
from tfbert.models.tokenizers.wordpiece import BertTokenizer, read_vocabulary
from tools.make_golden import ADDED, OPTIONS, VOCABULARIES, digest, option_texts

GOLDEN = json.loads((ROOT / "tests" / "golden" / "tokens.json").read_text())
COMBINATIONS = sorted(GOLDEN["ids"])


def tokenizer_of(shared, combination):
    vocabulary, _, case = combination.partition("-")
    path = shared / "data" / "vocab" / f"bert-base-{vocabulary}-vocab.txt"
    return BertTokenizer(read_vocabulary(str(path)), lowercase=case == "lower")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_hard_texts(shared, combination):
    found = tokenizer_of(shared, combination)(GOLDEN["hard_texts"]).to_list()
    for text, ids, golden in zip(GOLDEN["hard_texts"], found, GOLDEN["ids"][combination]["hard"], strict=True):
        assert ids == golden, repr(text)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_text_in_shared_data(shared, combination):
    tokenizer = tf.function(tokenizer_of(shared, combination), input_signature=[tf.TensorSpec([None], tf.string)])
    files = GOLDEN["ids"][combination]["files"]
    assert sorted(files) == text_files()
    for file, digests in files.items():
        texts = texts_of(file)
        for number, golden in enumerate(digests):
            part = texts[number * 1000 : (number + 1) * 1000]
            assert digest(tokenizer(tf.constant(part)).to_list()) == golden, f"{file}, texts {number * 1000} and after"


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_option_over_real_texts(shared, vocabulary):
    """Accents, ideographs and added tokens, with either case."""
    golden = json.loads((ROOT / "tests" / "golden" / "tokenizer_options.json").read_text())
    pieces = read_vocabulary(str(shared / "data" / "vocab" / f"bert-base-{vocabulary}-vocab.txt"))
    new = [text for text, _ in ADDED if text not in pieces]
    tokens = [
        AddedToken(text, (pieces + new).index(text), normalized, in_vocabulary=text in pieces)
        for text, normalized in ADDED
    ]
    for number, options in enumerate(OPTIONS):
        own = {"lowercase": options["do_lower_case"], **{name: options[name] for name in list(options)[1:]}}
        added = (number + VOCABULARIES.index(vocabulary)) % 2 == 0  # half of them: each takes a while to build
        tokenizer = BertTokenizer(pieces + new * added, added_tokens=tokens if added else (), **own)
        found = tokenizer(option_texts()).to_list()
        assert digest(found) == golden[f"{vocabulary} {number} {added}"], (options, added)


def test_names_of_special_pieces_are_plain_text():
    tokenizer = BertTokenizer(tiny_vocabulary(), lowercase=True)
    ids = tokenizer(["[MASK]"]).to_list()[0]
    assert tokenizer.mask_id not in ids and len(ids) > 1


def test_works_inside_tf_data():
    tokenizer = BertTokenizer(tiny_vocabulary(), lowercase=True)
    texts = ["the printer", "中文 é", "", "x" * 101]
    piped = tf.data.Dataset.from_tensor_slices(texts).batch(3).map(tokenizer)
    assert [ids for batch in piped for ids in batch.to_list()] == tokenizer(texts).to_list()


def test_vocabulary_without_a_special_piece():
    with pytest.raises(InputError, match=r"has no \[MASK\]"):
        BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"], lowercase=True)


def test_vocabulary_with_a_piece_twice():
    with pytest.raises(InputError, match="'the' twice"):
        BertTokenizer([*tiny_vocabulary(), "the"], lowercase=True)


@pytest.mark.parametrize("piece", ["\ud800", "a\0b", "y" * 300])
@pytest.mark.parametrize("chinese", [True, False])
def test_vocabulary_with_a_piece_that_cannot_be(piece, chinese):
    with pytest.raises(InputError, match="token that TensorFlow Text does not support"):
        BertTokenizer([*tiny_vocabulary(), piece], lowercase=True, tokenize_chinese_chars=chinese)


def test_added_tokens_that_cannot_be_told_apart():
    size, texts = len(tiny_vocabulary()), ["<A>", "<a>"]
    tokens = [AddedToken(text, size + number, normalized=True) for number, text in enumerate(texts)]
    with pytest.raises(InputError, match="'<A>', '<a>' are the same text"):
        BertTokenizer([*tiny_vocabulary(), *texts], lowercase=True, added_tokens=tokens)
    BertTokenizer([*tiny_vocabulary(), *texts], lowercase=False, added_tokens=tokens)


def test_vocabulary_that_is_no_text(tmp_path):
    (tmp_path / "vocab.txt").write_bytes(b"[PAD]\n\xff\xfe\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_vocabulary(str(tmp_path / "vocab.txt"))
