"""What a data set is like: against plain Python on the same rows, on real text, and on many rows in little memory."""

import collections
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT, command, random_texts, rows_of, tiny_vocabulary
from tfbert import TASKS
from tfbert.data.examples import tokenize_examples
from tfbert.data.inspection import advice, doubles, findings, inspect_examples, overview, shared
from tfbert.data.windows import LongText
from tfbert.models.tokenizers.wordpiece import BertTokenizer

TOKENIZER = BertTokenizer(tiny_vocabulary(), lowercase=True)
TASK = TASKS["classification"](["其他", "紧急"])


def inspect(texts, labels=None, pairs=None, max_seq_length=32):
    labels = labels if labels is not None else [TASK.labels[len(text) % 2] for text in texts]
    examples = tokenize_examples(rows_of(texts, labels, pairs), TOKENIZER, max_seq_length, TASK.encode_label)
    return inspect_examples(examples, TOKENIZER)


def test_counts_are_those_of_plain_python():
    texts = random_texts(300, longest=6) + ["", " ", "the ☃ is ☃"]
    labels = [TASK.labels[number % 3 == 0] for number in range(len(texts))]
    found = inspect(texts, labels)
    pieces = [tuple(row) for row in TOKENIZER(texts).to_list()]
    assert found.lengths.tolist() == [len(row) + 2 for row in pieces]
    assert found.empty == sum(not row for row in pieces) >= 2
    flat = [piece for row in pieces for piece in row]
    assert (
        found.unknown_share == pytest.approx(flat.count(TOKENIZER.unknown_id) / len(flat)) and found.unknown_share > 0
    )
    repeated, conflicts = doubles(found)
    assert repeated == len(pieces) - len(set(pieces)) > 0
    rows = collections.defaultdict(list)
    for number, row in enumerate(pieces):
        rows[row].append(number)
    expected = [same for same in rows.values() if len({labels[number] for number in same}) > 1]
    assert sorted(same.tolist() for same in conflicts) == sorted(expected)
    assert len(set(found.fingerprints)) == len(set(pieces))


def test_texts_in_two_files_and_order_of_words():
    train = inspect(["the printer is down", "my account", "中文 很好"])
    dev = inspect(["down is printer the", "The  PRINTER is down", "好很 文中", "中文 很好", "my"])
    assert shared(train, dev).tolist() == [1, 3]
    lines = "\n".join(findings(TASK, {"train": train, "dev": dev}))
    assert "dev: 2 rows (40.0%) repeat a text of the training data" in lines


def test_texts_that_differ_beyond_the_cut_are_told_apart_by_their_length():
    found = inspect(["my " * 40, "my " * 41, "my " * 40])
    assert found.lengths.tolist() == [42, 43, 42] and found.cut_share == 1 and doubles(found)[0] == 1


@pytest.mark.parametrize("pairs", [None, ["the account"] * 3])
def test_lengths_are_those_of_the_texts_not_of_their_windows(pairs):
    """Windows that overlap, each with special pieces and the other side of a pair, count no piece twice."""
    rows = rows_of(["the printer is down " * 30, "", "my account"], [TASK.labels[0]] * 3, pairs)
    plain, windows = (
        inspect_examples(tokenize_examples(rows, TOKENIZER, 32, TASK.encode_label, long_text), TOKENIZER)
        for long_text in (LongText(), LongText("mean", max_windows=3, stride=5))
    )
    special, other = (2, 0) if pairs is None else (3, 2)
    assert plain.lengths.tolist() == [pieces + special + other for pieces in (120, 0, 2)] == windows.lengths.tolist()
    assert plain.empty == windows.empty == (pairs is None)


def test_findings_name_what_is_wrong():
    texts = ["the printer"] * 30 + [""] * 5 + ["☃ ☃ ☃ the"] * 5
    found = inspect(texts, [TASK.labels[number % 2] for number in range(40)])
    lines = "\n".join(findings(TASK, {"train": found}))
    assert "5 texts are empty: is --text_column the right one?" in lines
    assert "of the tokens are unknown to the vocabulary" in lines and "37 rows repeat" in lines
    assert "3 texts have more than one label, such as rows " in lines
    assert "30 of 40 training rows have the same text" in lines
    many = TASKS["classification"](range(30))
    assert "30 labels in 40 rows: does --label_column hold numbers or names?" in "\n".join(
        findings(many, {"train": found})
    )


def test_overview_has_a_row_a_data_set():
    found = {"train": inspect(["my " * 40, "my", "my my"]), "dev": inspect(["the printer"])}
    head, rows = overview(found, 32)
    assert head == ["", "rows", "tokens: median", "95 %", "longest", "cut at 32"]
    assert rows == [["train", "3", "4", "38", "42", "33.3%"], ["dev", "1", "4", "4", "4", "0.0%"]]


RARE = [TASK.labels[number < 8] for number in range(100)]


def test_advice_has_its_reason():
    rare = inspect(random_texts(100, longest=8), RARE)
    lines = "\n".join(advice(TASK, rare, 12, 64, 128))
    for part in ("--max_seq_length=16, as 99 %", "--train_batch_size=16 or 32, as 100 rows", "as 12 steps are few",
                 "--best_metric=f1 or average_precision, as 8.0% of the rows are '紧急'", "--tune_threshold=f1",
                 "--class_weights=balanced", "Several seeds"):  # fmt: skip
        assert part in lines
    first = inspect(random_texts(100), [TASK.labels[number >= 8] for number in range(100)])
    assert "--best_metric=f1_macro, as 8.0% of the rows are '其他'" in "\n".join(advice(TASK, first, 1000, 16, 64))
    cut = inspect(random_texts(100), max_seq_length=16)
    assert "--max_seq_length=48 or --long_text=head_tail, as " in "\n".join(advice(TASK, cut, 1000, 16, 16))


@pytest.mark.parametrize(
    "given,gone",
    [
        ("max_seq_length", "--max_seq_length"),
        ("train_batch_size", "--train_batch_size"),
        ("max_steps", "are few"),
        ("num_train_epochs", "are few"),
        ("folds", "Several seeds"),
        ("best_metric", "--best_metric"),
        ("tune_threshold", "--tune_threshold"),
        ("class_weights", "--class_weights"),
        ("oversample", "--class_weights"),
        ("loss", "--class_weights"),
    ],
)
def test_no_advice_about_what_is_given(given, gone):
    rare = inspect(random_texts(100, longest=8), RARE)
    lines = advice(TASK, rare, 12, 64, 128)
    assert [line for line in lines if gone not in line] == advice(TASK, rare, 12, 64, 128, {given}) != lines


def test_no_advice_that_would_do_nothing():
    rare = inspect(random_texts(100, longest=8), RARE)
    assert "--max_seq_length" not in "\n".join(advice(TASK, rare, 12, 64, 128, packed=True))
    lines = "\n".join(advice(TASK, rare, 12, 64, 128, scored=False))
    assert "--best_metric" not in lines and "--tune_threshold" not in lines and "--class_weights" in lines
    cut = inspect(random_texts(100), max_seq_length=16)
    ways = [advice(TASK, cut, 1000, 16, 16, given)[0] for given in ({"long_text"}, {"max_seq_length"})]
    assert ways[0].startswith("--max_seq_length=48, as ") and ways[1].startswith("--long_text=head_tail, as ")
    assert "of the texts are cut" not in "\n".join(advice(TASK, cut, 1000, 16, 16, {"long_text", "max_seq_length"}))


def test_real_text(shared, minilm):
    """The sets' manifest counts the exact duplicates."""
    folder = shared / "data" / "chnsenticorp"
    found = command("--mode=inspect", f"--preset={minilm}", f"--train_file={folder}/dev.jsonl",
                    f"--dev_file={folder}/test.jsonl", "--label_column=label_name", check=0).stdout  # fmt: skip
    assert "Labels: negative (607, 50.6%), positive (593, 49.4%)." in found and re.search(r"train +1,200 ", found)
    assert "unknown to the vocabulary" in found  # an English one


MANY = """
import resource, sys
sys.path.insert(0, "tests")
from tests.data.test_inspection import TASK, TOKENIZER
from tfbert.data.inspection import doubles, inspect_examples
from tfbert.data.examples import tokenize_examples

def rows(count):
    for number in range(count):
        yield {"text": f"the printer {number % (count - 500)} is down", "label": "其他", "where": ("made", number)}

def grown(count):
    found = inspect_examples(tokenize_examples(rows(count), TOKENIZER, 32, TASK.encode_label), TOKENIZER)
    assert doubles(found)[0] == 500 and len(found.lengths) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = grown(2_000)
print(grown(200_000) - before)
"""


def test_many_rows_in_little_memory():
    """200,000 rows of about 12 pieces: their pieces alone are 10 MB, their texts as Python holds them 20."""
    found = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, cwd=ROOT, check=True)
    assert float(found.stdout.split()[-1]) < 150
