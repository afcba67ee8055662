"""Questions as windows: answers by their characters, offsets through accents and cases."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.reference.questions import QUESTIONS, write_answerer
from tfbert import InputError, load_tokenizer
from tfbert.data.batches import ExampleBatches
from tfbert.data.sources import read_examples
from tfbert.data.words import word_spans
from tfbert.models.tokenizers.word_tokens import tokens_of_words
from tfbert.tasks.span.examples import QuestionExamples
from tfbert.tasks.span.offsets import token_offsets


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answerer")
    write_answerer(folder)
    return load_tokenizer(folder)


def offsets_of(text, tokenizer):
    spans = word_spans(text)
    tokens, counts = tokens_of_words(tokenizer, [text[start:end] for start, end in spans])
    return token_offsets(text, spans, tokens, counts, tokenizer)


def test_offsets_are_those_of_transformers(tokenizer):
    golden = np.load(ROOT / "tests" / "golden" / "span.npz")
    for number, (_, context) in enumerate(QUESTIONS):
        np.testing.assert_array_equal(offsets_of(context, tokenizer), golden[f"offsets:{number}"])


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("Zürich", ["Z", "ü", "r", "i", "c", "h"]),
        ("e\u0301a", ["e\u0301", "a"]),  # the accent is a character of its own
        ("İx", ["İ", "x"]),
        ("a\u00adb", ["a\u00ad", "b"]),  # a soft hyphen vanishes
        ("x☃", ["x☃"]),  # [UNK]
    ],
)
def test_offsets_go_through_cases_and_accents(tokenizer, word, parts):
    text = f"in {word}, the"
    found = offsets_of(text, tokenizer)
    assert [text[start:end] for start, end in found] == ["in", *parts, ",", "the"]


def row(question, context, *answers):
    return {"text": question, "text_pair": context, "label": list(answers), "where": ("test", 1)}


LONG = " ".join(f"john {letter}" for letter in "abcdefghijklmnop") + " in New York"


def test_answers_are_where_their_characters_are(tokenizer):
    rows = [row("who", LONG, ("New York", LONG.index("New"))), row("what", LONG, ("f", LONG.index(" f") + 1)),
            row("none", LONG)]  # fmt: skip
    examples = QuestionExamples(rows, tokenizer, 16, stride=4, longest_question=4)
    assert examples.size == sum(len(each.starts) for each in examples.questions) > 9
    for question, text in zip(examples.questions, ("New York", "f", "")):
        held = 0
        for start, (first, last) in zip(question.starts, question.places):
            if (first, last) != (0, 0):
                held += 1
                begin, end = (place - question.first + start for place in (first, last))
                assert question.context[question.offsets[begin, 0] : question.offsets[end, 1]] == text
        assert held == 0 if not text else held >= 1
    batches = ExampleBatches(examples, 100, 16, False, 0)
    features, labels, weights = next(iter(batches.shares(0, 1)))
    np.testing.assert_array_equal(labels[: examples.size], np.concatenate([q.places for q in examples.questions]))
    tokens, segments = (tf.reshape(features[name], [-1]).numpy() for name in ("token_ids", "segment_ids"))
    pieces = tokenizer.vocabulary
    slots = zip(features["window_start"].numpy(), features["window_lengths"].numpy(), labels.numpy())
    for start, length, (first, last) in list(slots)[: examples.size]:
        window = [pieces[token] for token in tokens[start : start + length]]
        assert window[0] == "[CLS]" and window[-1] == "[SEP]" and window.count("[SEP]") == 2
        assert segments[start : start + length].tolist() == [int(n > window.index("[SEP]")) for n in range(length)]
        if first:
            assert window[first : last + 1] in (["new", "york"], ["f"])


def test_wrong_places_are_mended_and_missing_answers_told(tokenizer):
    rows = [row("who", "john lives in York", ("York", 3)), row("who", "john lives", ("mary", 0)), row("who", "john")]
    rows[1]["id"] = "q-17"
    train = QuestionExamples(rows, tokenizer, 24, longest_question=4, train=True)
    assert train.left_out == ["q-17"] and train.rows == 2 and train.numbers.tolist() == [0, 2]
    assert train.questions[0].places[0, 0] > 0
    dev = QuestionExamples(rows, tokenizer, 24, longest_question=4)
    assert dev.rows == 3 and dev.labels.tolist() == [("York",), ("mary",), ()]
    with pytest.raises(InputError, match="no questions with an answer"):
        QuestionExamples(rows[1:2], tokenizer, 24, longest_question=4, train=True)
    with pytest.raises(InputError, match="--max_seq_length=64 leaves no room"):
        QuestionExamples(rows, tokenizer, 64)


def test_a_subset_is_what_its_rows_make(tokenizer):
    rows = [row(f"who {n}", LONG[n:], ("New York", LONG[n:].index("New"))) for n in range(6)]
    some = QuestionExamples(rows, tokenizer, 16, 4, 4).subset(np.array([4, 1]))
    again = QuestionExamples([rows[4], rows[1]], tokenizer, 16, 4, 4)
    (one, labels, _), (other, same, _) = (
        next(iter(ExampleBatches(each, 50, 16, False, 0).shares(0, 1))) for each in (some, again)
    )
    np.testing.assert_array_equal(labels, same)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    outputs = np.random.default_rng(0).normal(size=(some.size, 32)).astype(np.float32)
    for left, right in zip(some.of_rows(outputs), again.of_rows(outputs)):
        assert left.question.text == right.question.text
        np.testing.assert_array_equal(left.logits, right.logits)


def test_real_answers_are_slices(shared, minilm):
    """Of SQuAD's answers only those that begin or end within a token differ."""
    location = str(shared / "data/squad_v1_dev/dev.json")
    rows = list(read_examples(location, "question", "context", "answers", reads="questions"))
    examples = QuestionExamples(rows, load_tokenizer(minilm), 384)
    differ = []
    for question, each in zip(examples.questions, rows):
        window = np.flatnonzero(question.places[:, 0])[0]
        first, last = question.places[window] - question.first + question.starts[window]
        found = question.context[question.offsets[first, 0] : question.offsets[last, 1]]
        differ += [(found, each["label"][0][0])] * (found != each["label"][0][0])
    assert len(rows) == 1397 and len(differ) == 7 and all(right in found for found, right in differ)


SQUAD = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "John lives here.", "qas": [
    {"id": "a", "question": "Who?", "answers": [{"text": "John", "answer_start": 0}], "is_impossible": False},
    {"id": "b", "question": "When?", "answers": [], "plausible_answers": [{"text": "here", "answer_start": 11}],
     "is_impossible": True}]}]}]}  # fmt: skip
CMRC = [{"context_id": "D", "context_text": "中国在亚洲。", "title": "t",
         "qas": [{"query_id": "Q", "query_text": "在哪里？", "answers": ["亚洲", "亚洲"]}]}]  # fmt: skip


def read(path, content):
    path.write_text(content, "utf-8")
    found = read_examples(str(path), "question", "context", "answers", "id", reads="questions")
    return [(each["id"], each["text"], each["text_pair"], each["label"]) for each in found]


def test_forms_of_questions(tmp_path):
    """SQuAD 1.1 and 2.0, DRCD, CMRC's own, and rows of JSON in several ways."""
    expected = [("a", "Who?", "John lives here.", [("John", 0)]), ("b", "When?", "John lives here.", [])]
    assert read(tmp_path / "squad.json", json.dumps(SQUAD)) == expected
    assert read(tmp_path / "pretty.json", json.dumps(SQUAD, indent=2)) == expected
    cmrc = read(tmp_path / "cmrc.json", json.dumps(CMRC, ensure_ascii=False))
    assert cmrc == [("Q", "在哪里？", "中国在亚洲。", [("亚洲", None), ("亚洲", None)])]
    for answers in ({"text": ["John"], "answer_start": [0]}, [{"text": "John", "answer_start": 0}]):
        line = {"id": "a", "question": "Who?", "context": "John lives here.", "answers": answers}
        assert read(tmp_path / "rows.jsonl", json.dumps(line)) == expected[:1]
        assert read(tmp_path / "rows.json", json.dumps([line])) == expected[:1]
    for answers, found in (("John", [("John", None)]), (["John"], [("John", None)]), ([], []), (None, []), ("", [])):
        line = {"id": "a", "question": "Who?", "context": "John lives here.", "answers": answers}
        assert read(tmp_path / "rows.jsonl", json.dumps(line))[0][3] == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"data": [{"paragraphs": [{"qas": [{"question": "x"}]}]}]}', "after question 0: not SQuAD's format"),
        ('{"id": 1, "question": "q", "context": "c", "answers": 7}', "'answers' holds 7, but answers are needed"),
        ('{"question": "q", "context": "c", "answers": {"text": ["a"], "answer_start": []}}', "answers are needed"),
        ('{"id": 1, "question": "q", "answers": []}', "no column 'context'"),
    ],
)
def test_damaged_questions(content, said, tmp_path):
    with pytest.raises(InputError, match=said):
        read(tmp_path / "x.json", content)
