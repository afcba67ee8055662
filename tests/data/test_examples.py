"""The store of tokenised examples: in memory and in a file alike, and of bounded memory."""

import os
import subprocess
import sys

import numpy as np
import tensorflow as tf

from tests.conftest import ROOT, random_texts, rows_of, tiny_vocabulary
from tfbert.data import examples as tokenized
from tfbert.data import number_column as columns
from tfbert.models.tokenizers.wordpiece import BertTokenizer

TOKENIZER = BertTokenizer(tiny_vocabulary(), lowercase=True)


def test_file_and_memory_give_the_same(monkeypatch):
    rows = rows_of(random_texts(3000), pairs=random_texts(3000, seed=2))
    in_memory = tokenized.tokenize_examples(rows, TOKENIZER, 48)
    monkeypatch.setattr(columns, "_MEMORY_BYTES", 10_000)
    in_file = tokenized.tokenize_examples(rows, TOKENIZER, 48)
    assert in_file._pieces._file and not in_memory._pieces._file
    indices = tf.constant(np.random.default_rng(0).permutation(3000)[:500])
    (windows, firsts, _), (windows_2, firsts_2, _) = in_memory.windows(indices), in_file.windows(indices)
    assert windows.to_list() == windows_2.to_list()
    np.testing.assert_array_equal(firsts, firsts_2)


def test_share_of_texts_that_are_cut():
    rows = rows_of(["the " * 10, "the", "the " * 6, "the " * 7])
    assert tokenized.tokenize_examples(rows, TOKENIZER, 8).cut_share == 0.5


def test_lone_surrogates_are_dropped():
    rows = rows_of(["the\ud800 printer"])
    windows, *_ = tokenized.tokenize_examples(rows, TOKENIZER, 8).windows(tf.constant([0], tf.int64))
    assert windows.to_list() == [[TOKENIZER.cls_id, *TOKENIZER(["the printer"]).to_list()[0], TOKENIZER.sep_id]]


MEASURE = """
import sys
sys.path.insert(0, {root!r})
from tests.conftest import tiny_vocabulary
from tfbert.data import examples as tokenized
from tfbert.data import number_column as columns
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.data.sources import read_examples
from tfbert.data.batches import ExampleDataset
tokenizer = BertTokenizer(tiny_vocabulary(), lowercase=True)
columns._MEMORY_BYTES = 2**18
examples = tokenized.tokenize_examples(read_examples({path!r}), tokenizer, 128)
dataset = ExampleDataset(examples, 32, 128, True, 0)
count = sum(1 for _ in dataset.shares(0, 300))
kept = next(line for line in open("/proc/self/status") if line.startswith("RssAnon"))
print(examples.size, count, int(kept.split()[1]) / 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Thirty times the rows, 1 against 37 MB of text, at most 20 MB more memory: labels and offsets, not pieces."""
    line = " ".join(random_texts(40, seed=5, longest=12)) + "\n"
    found = []
    for rows in (1000, 30_000):
        path = tmp_path / f"{rows}.txt"
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{number} {line}" for number in range(rows))
        script = MEASURE.format(root=str(ROOT), path=str(path))
        # One heap: how many more glibc makes for the threads is chance, and worth half of the bound.
        one_heap = os.environ | {"MALLOC_ARENA_MAX": "1"}
        command = [sys.executable, "-c", script]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=one_heap)
        size, steps, kept = result.stdout.split()
        assert (int(size), int(steps)) == (rows, 300)
        found.append(float(kept))
    assert path.stat().st_size > 30e6
    assert found[1] < found[0] + 20, found
