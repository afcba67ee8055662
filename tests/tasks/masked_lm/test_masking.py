"""Masked words: shares over 100,000 tokens of real text, whole words, n-grams, and what they depend on."""

import jieba
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import tiny_vocabulary
from tests.reference.shared_texts import texts_of
from tfbert.data.windows import make_windows
from tfbert.models.tokenizers.wordpiece import BertTokenizer, read_vocabulary
from tfbert.tasks.masked_lm.masking import Masking, WordMasker

LENGTH = 128


@pytest.fixture(scope="module")
def windows_of(shared):
    """Windows of real text, as (tokenizer, RaggedTensor): 100,000 pieces in English, pairs, and some in Chinese."""

    def made(name, file, texts):
        tokenizer = BertTokenizer(read_vocabulary(shared / "data" / "vocab" / f"bert-base-{name}-vocab.txt"), True)
        pieces = tokenizer(texts_of(file)[: 2 * texts])
        made = make_windows(pieces[:texts], pieces[texts:], LENGTH, tokenizer.cls_id, tokenizer.sep_id)
        return tokenizer, made.pieces

    return {
        "english": made("uncased", "imdb/train.jsonl", 900),
        "chinese": made("chinese", "chnsenticorp/train.jsonl", 400),
    }


def masked(tokenizer, windows, masking, epoch=0, seed=0, indices=None):
    """Returns arrays: original and masked pieces [n, LENGTH], chosen bool [n, LENGTH], positions, ids, used."""
    masker = WordMasker(tokenizer, LENGTH, masking, seed)
    indices = tf.range(windows.nrows(), dtype=tf.int64) if indices is None else indices
    new, positions, ids, used = tf.function(masker)(windows, indices, tf.constant(epoch, tf.int64))
    chosen = np.zeros((int(windows.nrows()), LENGTH), bool)
    rows = np.nonzero(used.numpy())[0]
    chosen[rows, positions.numpy()[used.numpy()]] = True
    dense = [x.to_tensor(default_value=-1, shape=[None, LENGTH]).numpy() for x in (windows, new)]
    return *dense, chosen, positions.numpy(), ids.numpy(), used.numpy()


def words_of(tokenizer, row):
    """Returns the places of each word of a window: list of lists of int. Chinese ones are those of jieba."""
    pieces = (tokenizer.vocabulary[piece] for piece in row[row >= 0])
    begun = {start for _, start, _ in jieba.tokenize("".join(p if "一" <= p <= "鿿" else " " for p in pieces))}
    words = []
    for place, piece in enumerate(row[row >= 0]):
        text = tokenizer.vocabulary[piece]
        if text in ("[CLS]", "[SEP]"):
            words.append(None)
        elif words[-1] is not None and (text.startswith("##") or ("一" <= text <= "鿿" and place not in begun)):
            words[-1].append(place)
        else:
            words.append([place])
    return [word for word in words if word]


@pytest.mark.parametrize("language", ["english", "chinese"])
@pytest.mark.parametrize("whole_words", [False, True])
def test_shares_over_real_text(windows_of, language, whole_words):
    tokenizer, windows = windows_of[language]
    old, new, chosen, positions, ids, used = masked(tokenizer, windows, Masking(whole_words=whole_words))
    tokens = int((old >= 0).sum())
    assert tokens >= (100_000 if language == "english" else 40_000)
    lengths = (old >= 0).sum(axis=1)
    wanted = np.minimum(20, np.maximum(1, [round(0.15 * int(length)) for length in lengths]))
    np.testing.assert_array_equal(WordMasker(tokenizer, LENGTH).wanted(lengths), wanted)
    found = chosen.sum(axis=1)
    np.testing.assert_array_equal(used.sum(axis=1), found)
    assert (found <= wanted).all()
    if whole_words:  # a long word may not fit at the end
        assert found.sum() >= 0.995 * wanted.sum()
    else:
        np.testing.assert_array_equal(found, wanted)
    count = chosen.sum()
    special = np.isin(old, [tokenizer.cls_id, tokenizer.sep_id, -1])
    assert not chosen[special].any() and (old[~chosen] == new[~chosen]).all()
    np.testing.assert_array_equal(ids[used], np.take_along_axis(old, positions, axis=1)[used])
    assert (np.diff(positions, axis=1)[used[:, 1:]] > 0).all()
    assert not positions[~used].any() and not ids[~used].any()
    kept = (new == old) & chosen
    hidden = (new == tokenizer.mask_id) & chosen
    random = chosen & ~kept & ~hidden
    for share, expected in ((hidden, 0.8), (kept, 0.1), (random, 0.1)):
        assert abs(share.sum() / count - expected) < 4 * np.sqrt(expected * (1 - expected) / count)
    specials = [tokenizer.vocabulary.index(p) for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
    assert not np.isin(new[random], specials).any()
    values = new[random]  # uniform over the vocabulary: the mean of a uniform variable, in four standard deviations
    size = len(tokenizer.vocabulary)
    assert abs(values.mean() - size / 2) < 4 * size / np.sqrt(12 * len(values))


@pytest.mark.parametrize("language", ["english", "chinese"])
def test_whole_words_are_whole(windows_of, language):
    tokenizer, windows = windows_of[language]
    old, _, chosen, *_ = masked(tokenizer, windows, Masking(whole_words=True))
    several = 0
    for row, flags in zip(old, chosen):
        for word in words_of(tokenizer, row):
            assert len(set(flags[word])) == 1
            several += len(word) > 1 and flags[word[0]]
    assert several > 10
    *_, pieces, _, _, _ = masked(tokenizer, windows, Masking())
    assert any(len(set(flags[word])) > 1 for row, flags in zip(old, pieces) for word in words_of(tokenizer, row))


@pytest.mark.parametrize("whole_words", [False, True])
def test_chinese_words(windows_of, whole_words):
    """打印机 (printer), 非常 (very), 好用 (handy): of each all characters are hidden, or none."""
    tokenizer, _ = windows_of["chinese"]
    window = make_windows(tokenizer(["打印机非常好用"]), None, LENGTH, tokenizer.cls_id, tokenizer.sep_id).pieces
    chosen = masked(tokenizer, tf.tile(window, [300, 1]), Masking(share=0.4, whole_words=whole_words))[2]
    together = [len(set(flags[word])) == 1 for flags in chosen for word in (slice(1, 4), slice(4, 6), slice(6, 8))]
    assert all(together) == whole_words and 0 < chosen[:, 1].mean() < 1
    english, windows = windows_of["english"]
    masker = WordMasker(english, LENGTH, Masking(whole_words=True))
    assert not masker._chinese.continues(windows[:20].to_tensor().numpy()).any()


def test_every_place_is_chosen_equally_often(windows_of):
    """Full windows only: 20 of 125 places each; the counts' spread is that of independent draws."""
    tokenizer, windows = windows_of["english"]
    full = tf.ragged.boolean_mask(windows, windows.row_lengths() == LENGTH)
    counts = np.zeros(LENGTH)
    for epoch in range(5):
        old, _, chosen, *_ = masked(tokenizer, full, Masking(), epoch=epoch)
        counts += chosen.sum(axis=0)
    free = ~np.isin(old, [tokenizer.cls_id, tokenizer.sep_id]).any(axis=0)
    rows = 5 * int(full.nrows())
    expected, spread = rows * 19 / 125, np.sqrt(rows * 19 / 125 * (1 - 19 / 125))
    assert abs(counts[free].mean() / expected - 1) < 0.02
    assert 0.8 < counts[free].std() / spread < 1.25


def test_ngrams(windows_of):
    """Of three lengths drawn with 6/11, 3/11 and 2/11, runs of neighbouring words are much more frequent."""
    tokenizer, windows = windows_of["english"]
    runs = {}
    for longest in (1, 3):
        old, _, chosen, *_ = masked(tokenizer, windows, Masking(whole_words=True, longest_ngram=longest))
        lengths = []
        for row, flags in zip(old, chosen):
            words = words_of(tokenizer, row)
            assert all(len(set(flags[word])) == 1 for word in words)
            together = "".join("x" if flags[word[0]] else " " for word in words)
            lengths += [len(run) for run in together.split()]
        runs[longest] = lengths
        wanted = WordMasker(tokenizer, LENGTH).wanted((old >= 0).sum(axis=1)).numpy()
        assert (chosen.sum(axis=1) <= wanted).all() and chosen.sum() > 0.99 * wanted.sum()
    # Mean length of what is drawn: 1 and (6 + 2 * 3 + 3 * 2) / 11 = 1.64; neighbours lengthen both alike.
    assert 1.35 < np.mean(runs[3]) / np.mean(runs[1]) < 1.75
    limits = WordMasker(tokenizer, LENGTH, Masking(longest_ngram=3))._ngram_limits
    np.testing.assert_allclose(limits, [6 / 11, 9 / 11], rtol=1e-6)


def test_depends_on_seed_epoch_and_example_alone(windows_of):
    tokenizer, windows = windows_of["english"]
    some = windows[:64]
    indices = tf.range(100, 164, dtype=tf.int64)
    whole = masked(tokenizer, some, Masking(), epoch=3, seed=7, indices=indices)
    order = np.random.default_rng(0).permutation(64)
    for part in (order[:1], order[1:20], order[20:]):
        found = masked(tokenizer, tf.gather(some, part), Masking(), 3, 7, tf.gather(indices, part))
        for a, b in zip(whole, found):
            np.testing.assert_array_equal(a[part], b)
    others = [
        masked(tokenizer, some, Masking(), epoch=4, seed=7, indices=indices),
        masked(tokenizer, some, Masking(), epoch=3, seed=8, indices=indices),
        masked(tokenizer, some, Masking(), epoch=3, seed=7, indices=indices + 64),
    ]
    for other in others:  # as often chosen in both as chance has it
        both = (whole[2] & other[2]).sum() / whole[2].sum()
        assert abs(both - 0.15) < 0.05
    static = [masked(tokenizer, some, Masking(dynamic=False), epoch, 7, indices) for epoch in (0, 5)]
    for a, b in zip(*static):
        np.testing.assert_array_equal(a, b)


def test_odd_windows():
    """No windows at all, windows without words, and one word that is longer than the predictions allow."""
    tokenizer = BertTokenizer(tiny_vocabulary(), True)
    masker = WordMasker(tokenizer, LENGTH, Masking(whole_words=True))
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    new, positions, _, used = masker(empty, tf.zeros([0], tf.int64), tf.constant(0, tf.int64))
    assert new.nrows() == 0 and positions.shape == (0, 20) and used.shape == (0, 20)
    pieces = tokenizer(["", "abcdefgh"])
    windows = make_windows(pieces, None, LENGTH, tokenizer.cls_id, tokenizer.sep_id).pieces
    new, _, _, used = masker(windows, tf.range(2, dtype=tf.int64), tf.constant(0, tf.int64))
    assert new.to_list() == windows.to_list() and not used.numpy().any()


def test_ngrams_stay_in_their_segment():
    """Of one word before seven, two predictions in pairs: a and b together by chance, (1/7 + 2/3 · 1/7) / 8."""
    tokenizer = BertTokenizer(tiny_vocabulary(), True)
    count = 4000
    pieces = (tokenizer(["a"] * count), tokenizer(["b c d e f g h"] * count))
    windows = make_windows(*pieces, LENGTH, tokenizer.cls_id, tokenizer.sep_id).pieces
    _, _, chosen, *_ = masked(tokenizer, windows, Masking(longest_ngram=2, most=2))
    expected = (1 / 7 + 2 / 3 / 7) / 8
    both = (chosen[:, 1] & chosen[:, 3]).mean()
    assert abs(both - expected) < 4 * np.sqrt(expected * (1 - expected) / count)
