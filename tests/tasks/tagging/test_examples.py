"""Windows of sentences: every word keeps its place, and is answered once, where it has most context."""

import numpy as np
import pytest
import tensorflow as tf

from tests.tasks.tagging.sentences import LABELS, random_sentences, rows_of
from tfbert import TASKS, InputError, load_tokenizer
from tfbert.data.batches import ExampleBatches
from tfbert.tasks.tagging.examples import TaggedExamples, windows_with_context

TASK = TASKS["tagging"](LABELS)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    return load_tokenizer(tiny)


def examples_of(tokenizer, sentences, length=16):
    return TaggedExamples(rows_of(sentences), tokenizer, length, TASK.encode_label)


def test_each_word_has_the_window_with_most_context():
    """Against the definition, tried for every window, for many sizes."""
    rng = np.random.default_rng(0)
    for size in [*range(40), 100, 333]:
        for room in (2, 3, 7, 14):
            places = np.flatnonzero(rng.random(size) < 0.7)
            starts, owners = windows_with_context(size, places, room)
            assert starts[0] == 0 and starts[-1] == max(size - room, 0) and (np.diff(starts) <= room).all()
            for place, owner in zip(places, owners):
                contexts = [min(place - start, start + room - 1 - place) for start in starts]
                assert 0 <= contexts[owner] == max(contexts)
                if size > room:
                    edge = min(place, size - 1 - place)  # nearer to the sentence's end there is no more
                    assert contexts[owner] >= min(edge, room // 4 - 1)


HARD = [
    (["\ufe0f"], ["O"]),
    ([], []),
    (["x" * 90, "the", "\ufe0f", "printer"], ["O", "O", "O", "B-LOC"]),
    (["my"] * 50, ["O"] * 50),
    (["\ufe0f", "\ufe0f"], ["O", "B-PER"]),
]


def test_words_keep_their_place(tokenizer):
    """Words without tokens, words that fill several windows, empty sentences."""
    examples = examples_of(tokenizer, HARD)
    lengths = [len(words) for words, _ in HARD]
    assert examples.rows == 5 and [len(tags) for tags in examples.labels] == lengths
    assert examples.window_lengths.max() == 16 and examples.size > 5
    dataset = ExampleBatches(examples, 2, 16, False, 0)
    found, tags = [], []
    for features, labels, weight in dataset.shares(0, dataset.steps_per_epoch):
        tokens = tf.gather(tf.reshape(features["token_ids"], [-1]), features["target_at"])
        found += tokens.numpy()[weight > 0].tolist()
        tags += labels.numpy()[weight > 0].tolist()
    pieces = [tokenizer([word]).to_list()[0] for words, _ in HARD for word in words]
    assert found == [tokens[0] for tokens in pieces if tokens]
    expected = [LABELS.index(tag) for _, row in HARD for tag in row]
    assert tags == [tag for tag, tokens in zip(expected, pieces) if tokens]
    outputs = np.arange(len(found) * 5, dtype=np.float32).reshape(-1, 5)
    by_row = examples.of_rows(outputs)
    assert [len(row) for row in by_row] == lengths
    flat = np.concatenate(by_row)
    np.testing.assert_array_equal(flat[np.array(list(map(bool, pieces)))], outputs)
    assert flat[0].tolist() == [0.0] + [-np.inf] * 4  # certainly O


def test_a_subset_is_what_its_rows_make(tokenizer):
    sentences = [*HARD, *random_sentences(20, longest=40)]
    rows = np.array([7, 2, 1, 20, 11])
    some, again = examples_of(tokenizer, sentences).subset(rows), examples_of(tokenizer, [sentences[i] for i in rows])
    np.testing.assert_array_equal(some.window_lengths, again.window_lengths)
    np.testing.assert_array_equal(some.lengths, again.lengths)
    assert [tags.tolist() for tags in some.labels] == [tags.tolist() for tags in again.labels]
    assert some.numbers.tolist() == rows.tolist()
    batches = [ExampleBatches(each, 100, 16, False, 0) for each in (some, again)]
    (one, tags, _), (other, same, _) = (next(iter(each.shares(0, 1))) for each in batches)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_array_equal(tags, same)
    outputs = np.random.default_rng(0).normal(size=(len(tags), 5)).astype(np.float32)
    for left, right in zip(some.of_rows(outputs), again.of_rows(outputs)):
        np.testing.assert_array_equal(left, right)
    assert some.subset(np.array([4, 0])).numbers.tolist() == [11, 7]


def test_the_fingerprint_is_of_words_and_tags(tokenizer):
    sentences = random_sentences(5, 3)
    one = examples_of(tokenizer, sentences).fingerprint
    assert one == examples_of(tokenizer, sentences).fingerprint
    words, tags = next(pair for pair in sentences if pair[0])
    where = sentences.index((words, tags))
    changed = [*sentences[:where], (words, ["B-PER", *tags[1:]]), *sentences[where + 1 :]]
    assert examples_of(tokenizer, changed).fingerprint != one
    joined = [*sentences[:where], ([*words, "\ufe0f"], [*tags, "O"]), *sentences[where + 1 :]]
    assert examples_of(tokenizer, joined).fingerprint != one


def test_static_shapes_have_the_same_words(tokenizer):
    examples = examples_of(tokenizer, [*random_sentences(30, longest=5), *random_sentences(2, longest=40)])
    plain = ExampleBatches(examples, 6, 16, True, 1)
    static, shapes = plain.with_shapes(True), set()
    rows = static.static_rows(plain.steps_per_epoch, 1)
    assert rows < 6
    for own in (None, rows):
        both = zip(plain.shares(0, plain.steps_per_epoch), static.shares(0, plain.steps_per_epoch, rows=own))
        for (_, tags, weight), (features, same, padded) in both:
            np.testing.assert_array_equal(tags.numpy()[weight > 0], same.numpy()[padded > 0])
            shapes.add((own, features["token_ids"].shape, features["target_at"].shape, same.shape, padded.shape))
            assert not same.numpy()[padded == 0].any()
    assert len(shapes) == 2
    for _, tokens, places, *_ in shapes:
        assert places[0] <= tokens[0] * tokens[1]  # no more words than tokens


def test_unknown_tags_and_missing_ones_are_told(tokenizer):
    with pytest.raises(InputError, match="the label 'B-ORG' is not among those of the training data"):
        examples_of(tokenizer, [(["a"], ["B-ORG"])])
    with pytest.raises(InputError, match="every example needs text and label"):
        TaggedExamples([{"text": "a", "words": ["a"]}], tokenizer, 16, TASK.encode_label)
    with pytest.raises(InputError, match="no examples"):
        TaggedExamples([], tokenizer, 16)
