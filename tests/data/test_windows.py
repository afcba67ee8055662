"""Windows against google-research/bert's own truncation, one piece at a time."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import rows_of, tiny_vocabulary
from tfbert import InputError, LongText, load_config, load_model, make_dataset, predict, save_model
from tfbert.data.examples import tokenize_examples
from tfbert.data.windows import make_windows
from tfbert.models.tokenizers.wordpiece import BertTokenizer

CLS, SEP = 101, 102


def truncate_seq_pair(a, b, room):
    """google-research/bert run_classifier.py, `_truncate_seq_pair`, as described there: pop from the longer one."""
    a, b = list(a), list(b)
    while len(a) + len(b) > room:
        (a if len(a) > len(b) else b).pop()
    return a, b


@pytest.mark.parametrize("max_seq_length", [4, 5, 8, 9, 16])
def test_pairs_of_all_lengths(max_seq_length):
    lengths = [(a, b) for a in range(13) for b in range(13)]
    first = [list(range(1000, 1000 + a)) for a, _ in lengths]
    second = [list(range(2000, 2000 + b)) for _, b in lengths]
    ragged = [tf.ragged.constant(side, dtype=tf.int32, ragged_rank=1) for side in (first, second)]
    made = make_windows(*ragged, max_seq_length, CLS, SEP)
    windows = made.pieces.to_list()
    for number, (a, b) in enumerate(zip(first, second)):
        kept_a, kept_b = truncate_seq_pair(a, b, max_seq_length - 3)
        assert windows[number] == [CLS, *kept_a, SEP, *kept_b, SEP]
        assert made.first_lengths[number] == len(kept_a) + 2
        assert made.lost[number] == len(a) + len(b) - len(kept_a) - len(kept_b)


@pytest.mark.parametrize("pieces", [0, 1, 509, 510, 511, 2000])
def test_single_texts_keep_510_pieces(pieces):
    text = tf.ragged.constant([list(range(1000, 1000 + pieces))], dtype=tf.int32, ragged_rank=1)
    made = make_windows(text, None, 512, CLS, SEP)
    assert made.pieces.to_list() == [[CLS, *range(1000, 1000 + min(pieces, 510)), SEP]]
    assert made.first_lengths.numpy().tolist() == [min(pieces, 510) + 2]
    assert made.lost.numpy().tolist() == [max(0, pieces - 510)] and made.counts.numpy().tolist() == [1]


TEXT = list(range(1000, 2000))


@pytest.mark.parametrize(
    "long_text,kept",
    [
        (LongText("head"), TEXT[:510]),
        (LongText("tail"), TEXT[-510:]),
        (LongText("head_tail"), TEXT[:128] + TEXT[-382:]),
        (LongText("head_tail", 500), TEXT[:500] + TEXT[-10:]),
        (LongText("head_tail", 510), TEXT[:510]),
    ],
    ids=str,
)
def test_what_is_kept_of_a_thousand_pieces(long_text, kept):
    """Sun et al. keep 128 + 382 of them; what fits is kept whole, whatever the strategy."""
    texts = [TEXT, TEXT[:510], TEXT[:511], [], TEXT[:1]]
    ragged = tf.ragged.constant(texts, dtype=tf.int32, ragged_rank=1)
    made = make_windows(ragged, None, 512, CLS, SEP, long_text)
    found = [window[1:-1] for window in made.pieces.to_list()]
    assert found[0] == kept and found[1] == TEXT[:510] and found[3:] == [[], TEXT[:1]]
    assert len(found[2]) == 510 and set(found[2]) < set(TEXT[:511])
    assert made.lost.numpy().tolist() == [490, 0, 1, 0, 0]
    assert all(window[0] == CLS and window[-1] == SEP for window in made.pieces.to_list())


def keep(pieces, most, strategy):
    """The strategies, spelt out for one text."""
    if len(pieces) <= most:
        return pieces
    head = {"head": most, "tail": 0, "head_tail": -(-most // 4)}[strategy]
    return pieces[:head] + pieces[len(pieces) - (most - head) :]


@pytest.mark.parametrize("strategy", ["head", "tail", "head_tail"])
@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
def test_which_side_of_a_pair_is_cut(truncation, strategy):
    room = 9
    lengths = [(a, b) for a in range(14) for b in range(14)]
    first, second = (
        [list(range(base, base + pair[side])) for pair in lengths] for side, base in ((0, 1000), (1, 2000))
    )
    ragged = [tf.ragged.constant(side, dtype=tf.int32, ragged_rank=1) for side in (first, second)]
    made = make_windows(*ragged, room + 3, CLS, SEP, LongText(strategy, None, truncation))
    windows = made.pieces.to_list()
    for number, (a, b) in enumerate(zip(first, second)):
        most = {
            "longest_first": tuple(map(len, truncate_seq_pair(a, b, room))),
            "only_first": (max(room - len(b), 0), room),
            "only_second": (room, max(room - len(a), 0)),
        }[truncation]
        kept_a, kept_b = keep(a, most[0], strategy), keep(b, most[1], strategy)
        assert windows[number] == [CLS, *kept_a, SEP, *kept_b, SEP]
        assert made.first_lengths[number] == len(kept_a) + 2
        assert made.lost[number] == len(a) + len(b) - len(kept_a) - len(kept_b)


@pytest.mark.parametrize("stride", [None, 510, 300, 1])
@pytest.mark.parametrize("pieces", [0, 1, 509, 510, 511, 810, 811, 1020, 1021, 1530, 5000])
def test_windows_of_one_text(pieces, stride):
    """Windows of 510 pieces begin every `stride` ones until the text is read, or three are full."""
    text, step = list(range(1000, 1000 + pieces)), stride or 510
    expected = [text[:510]]
    while len(expected) < 3 and (len(expected) - 1) * step + 510 < pieces:
        expected.append(text[len(expected) * step :][:510])
    ragged = tf.ragged.constant([[7], text, []], dtype=tf.int32, ragged_rank=1)
    made = make_windows(ragged, None, 512, CLS, SEP, LongText("mean", max_windows=3, stride=stride))
    assert made.pieces.to_list() == [[CLS, *part, SEP] for part in ([7], *expected, [])]
    assert made.counts.numpy().tolist() == [1, len(expected), 1]
    assert made.lost.numpy().tolist() == [0, len(set(text) - set().union(*expected)), 0]
    assert made.first_lengths.numpy().tolist() == [len(part) + 2 for part in ([7], *expected, [])]


@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("stride", [None, 3])
def test_windows_of_pairs(truncation, stride):
    """The side that would be cut is spread over the windows; the other one stands in each."""
    room = 9
    lengths = [(a, b) for a in range(0, 32, 3) for b in range(0, 32, 2)]
    first, second = (
        [list(range(base, base + pair[side])) for pair in lengths] for side, base in ((0, 1000), (1, 2000))
    )
    ragged = [tf.ragged.constant(side, dtype=tf.int32, ragged_rank=1) for side in (first, second)]
    long_text = LongText("max", None, truncation, max_windows=3, stride=stride)
    made = make_windows(*ragged, room + 3, CLS, SEP, long_text)
    windows, first_lengths = iter(made.pieces.to_list()), iter(made.first_lengths.numpy())
    for number, (a, b) in enumerate(zip(first, second)):
        over_second = {"longest_first": len(b) >= len(a), "only_first": False, "only_second": True}[truncation]
        spread, other = (b, a) if over_second else (a, b)
        beside = other if len(a) + len(b) <= room else other[: max(room // 2, room - len(spread))]
        width = room - len(beside)
        step = min(stride or width, width)
        seen = set(beside)
        for window in range(made.counts[number]):
            part = spread[window * step :][:width]
            assert part or not spread
            seen |= set(part)
            kept = (beside, part) if over_second else (part, beside)
            assert next(windows) == [CLS, *kept[0], SEP, *kept[1], SEP]
            assert next(first_lengths) == len(kept[0]) + 2
        assert made.lost[number] == len(set(a + b) - seen) and made.text_lengths[number] == len(a) + len(b) + 3
        assert made.counts[number] == 3 or not made.lost[number] or len(beside) < len(other)
    assert next(windows, None) is None


def test_a_document_of_100000_words():
    """Only the pieces of its windows are kept, and documents are tokenised few at a time."""
    tokenizer = BertTokenizer(tiny_vocabulary(), lowercase=True)
    rows = rows_of(["the printer is not down " * 20_000, "ok", "", "中文" * 10])
    examples = tokenize_examples(rows, tokenizer, 64, long_text=LongText("attention", max_windows=5))
    assert examples.window_counts.tolist() == [5, 1, 1, 1] and examples.most_windows == 5
    assert examples.lost.tolist() == [100_000 - 5 * 62, 0, 0, 0] and examples.window_lengths.max() == 64
    assert examples.cut_share == 0.25
    again = examples.subset(np.array([3, 0]))
    assert again.window_counts.tolist() == [1, 5] and again.lost.tolist() == [0, 100_000 - 5 * 62]
    assert examples.text_lengths.tolist() == [100_002, 4, 2, 22] and again.text_lengths.tolist() == [22, 100_002]
    pieces, _, counts = again.windows(tf.constant([1, 0], tf.int64))
    whole, _, _ = examples.windows(tf.constant([0, 3], tf.int64))
    assert counts.numpy().tolist() == [5, 1] and pieces.to_list() == whole.to_list()


def test_a_saved_model_cuts_as_it_was_trained(tiny, tmp_path):
    from tfbert import TASKS, build_model, load_encoder

    text = "urgent " + "the " * 60 + "thanks"
    model = build_model(
        load_encoder(tiny), TASKS["classification"](["no", "yes"]), max_seq_length=16, long_text=LongText("tail")
    )
    save_model(model, str(tmp_path))
    loaded = load_model(str(tmp_path))
    assert loaded.long_text == LongText("tail")
    end = " ".join(text.split()[-14:])
    assert predict(loaded, [text]) == predict(loaded, [end]) != predict(loaded, [text[:60]])
    rows = [{"text": text, "label": "no", "where": ("test", 1)}]
    tokens = [
        next(iter(make_dataset(rows, model.tokenizer, model.task, 1, 16, long_text=LongText(strategy))))[0]["token_ids"]
        for strategy in ("head", "tail")
    ]
    urgent, thanks = (model.tokenizer.vocabulary.index(word) for word in ("urgent", "thanks"))
    assert tokens[0][0, 1] == urgent and tokens[1][0, 14] == thanks


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"head_pieces": 10}, "--head_pieces=10 needs --long_text=head_tail. Received: --long_text=head"),
        ({"long_text": "head_tail", "head_pieces": 127}, "--head_pieces must be at most 126"),
        ({"long_text": "middle"}, "--long_text must be head | tail | head_tail | mean | max | attention. Received"),
        ({"window_stride": 10}, "needs --long_text=mean, max or attention. Received: --long_text=head"),
        ({"long_text": "mean", "window_stride": 127}, "--window_stride must be at most 126"),
        ({"long_text": "mean", "max_windows": 1}, "--max_windows must be"),
        ({"truncation": "both"}, "--truncation must be longest_first | only_first | only_second"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        load_config(**settings)
