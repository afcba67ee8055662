"""CoNLL files, lists of words, and texts that are split: every word and its tag, in order."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from tfbert import InputError
from tfbert.data.given_texts import given_examples, given_sentences
from tfbert.data.sources import read_examples
from tfbert.data.words import word_spans, words_in


def rows_of(path, label="tags", **options):
    found = read_examples(str(path), "tokens", label_column=label, reads="words", **options)
    return [(row["words"], row.get("label")) for row in found]


def written(tmp_path, content, name="data.conll"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TWO = [(["John", "lives", "."], ["B-PER", "O", "O"]), (["Yes"], ["O"])]


@pytest.mark.parametrize(
    "content",
    [
        "John B-PER\nlives O\n. O\n\nYes O\n",
        "John\tB-PER\nlives\tO\n.\tO\n\n\n\nYes\tO",
        b"\xef\xbb\xbfJohn B-PER\r\nlives O\r\n. O\r\n \t\r\nYes O\r\n\r\n",
        "-DOCSTART- -X- O O\n\nJohn NNP I-NP B-PER\nlives V B O\n. . O O\n\n-DOCSTART- -X- O O\nYes X X O\n\n",
        "# id 1\nJohn  B-PER\n lives   O\n. O\n\n# sent_id = 2 of 2\nYes O\n",
        "#\tthis is a comment\nJohn\tNNP\tB-PER\nlives\tV\tO\n.\t.\tO\n\nYes\tX\tO\n",
    ],
    ids=["blanks", "tabs", "windows", "conll2003", "comments", "tab-comment"],
)
def test_forms_of_the_same_sentences(content, tmp_path):
    assert rows_of(written(tmp_path, content)) == TWO
    assert rows_of(written(tmp_path, content, "train.txt")) == TWO  # as CoNLL's files are often called
    for name in ("x.bio", "new.txt"):  # without asking for the tags
        assert [words for words, _ in rows_of(written(tmp_path, content, name), label=None)] == [row[0] for row in TWO]


def test_words_that_look_like_something_else(tmp_path):
    """Marks that begin a comment elsewhere, words with blanks between tabs, lone selectors, wide blanks, no letters."""
    content = "#photography\tO\n#\tO\nNew York\tB-LOC\n\ufe0f\tO\n\u3000\tO\n\tO\n"
    words = ["#photography", "#", "New York", "\ufe0f", "\u3000", ""]
    assert rows_of(written(tmp_path, content)) == [(words, ["O", "O", "B-LOC", "O", "O", "O"])]
    assert rows_of(written(tmp_path, "\ufe0f O\n\u3000 O\n\u00a0 O\n")) == [(["\ufe0f", "\u3000", "\u00a0"], ["O"] * 3)]


def test_one_column_has_words_alone(tmp_path):
    path = written(tmp_path, "# a comment\n#tag\nJohn\n\nYes\n")
    assert rows_of(path, label=None) == [(["#tag", "John"], None), (["Yes"], None)]
    with pytest.raises(InputError, match="line 2: the word '#tag' has no tag"):
        rows_of(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a O\nb c O\n", "line 2: 3 columns, 'b c O', but the first line has 2"),
        ("a O\nb\n", "line 2: the word 'b' has no tag"),
        ("a b c d O\n", "line 1: 5 columns, but CoNLL files have 1 to 4"),
        ("a\tO\nb\t\n", "line 2: the word 'b' has no tag"),
        ("\n\n", "holds no rows"),
    ],
)
def test_damaged_files(content, said, tmp_path):
    with pytest.raises(InputError, match=said):
        rows_of(written(tmp_path, content))


def test_other_tasks_do_not_read_them(tmp_path):
    with pytest.raises(InputError, match="--task=tagging reads"):
        list(read_examples(str(written(tmp_path, "a O\n")), "text"))


def test_lists_and_tables(tmp_path):
    """JSONL, Parquet and CSV hold the same rows; a line of plain text is left for the tokenizer."""
    lines = [{"tokens": words, "tags": tags, "id": number} for number, (words, tags) in enumerate(TWO)]
    path = written(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "data.jsonl")
    assert rows_of(path) == TWO
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(lines), tmp_path / "data.parquet")
    assert rows_of(tmp_path / "data.parquet") == TWO
    cells = "".join(f"{' '.join(words)},{' '.join(tags)}\n" for words, tags in TWO)
    assert rows_of(written(tmp_path, "tokens,tags\n" + cells, "data.csv")) == TWO
    (row,) = read_examples(str(written(tmp_path, "John lives.\n", "new.txt")), "tokens", reads="words")
    assert row["text"] == "John lives." and "words" not in row
    assert words_in(row) == (["John", "lives", "."], [(0, 4), (5, 10), (10, 11)])


def test_tfds(tmp_path, monkeypatch):
    """A real prepared dataset: class numbers become names, a sentence without words stays one."""
    import tensorflow_datasets as tfds

    rows = [{"tokens": words, "tags": tags} for words, tags in [*TWO, ([], [])]]

    class Tagged(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            tags = tfds.features.Sequence(tfds.features.ClassLabel(names=["O", "B-PER"]))
            words = tfds.features.Sequence(tfds.features.Text())
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"tokens": words, "tags": tags}))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(rows)

    Tagged(data_dir=str(tmp_path)).download_and_prepare()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    found = rows_of("tfds:tagged:train")
    assert sorted(map(repr, found)) == sorted(map(repr, [*TWO, ([], [])]))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "line 1: 2 words, but 1 tags"),
        ({"tokens": "a b", "tags": "O O O"}, "line 1: 2 words, but 3 tags"),
        ({"tokens": ["a"], "tags": None}, "'tags' is null"),
        ({"tokens": ["a"], "tags": 3}, "holds a int, 3, but a list of tags is needed"),
        ({"tokens": ["a", None], "tags": ["O", "O"]}, "'tokens' is null"),
        ({"words": ["a"], "tags": ["O"]}, "there is no column 'tokens'.*'words'"),
    ],
)
def test_rows_that_do_not_fit(line, said, tmp_path):
    with pytest.raises(InputError, match=said):
        rows_of(written(tmp_path, json.dumps(line), "data.jsonl"))


def test_rows_in_memory():
    rows = [(["a", "b"], ["O", "X"]), {"tokens": ["c"], "tags": ["O"]}]
    found = given_examples(rows, "tokens", None, "tags", "words")
    assert [(row["words"], row["label"]) for row in found] == [(["a", "b"], ["O", "X"]), (["c"], ["O"])]
    assert [row["text"] for row in given_sentences([["a", "b"], "c d", {"tokens": ["e"]}])] == ["a b", "c d", "e"]
    assert [row["words"] for row in given_sentences({"tokens": [["a"], []]})] == [["a"], []]
    for wrong, said in ((["a", 3], "must be a list of words, or a text"), ("a b", "must be a list of texts")):
        with pytest.raises(InputError, match=said):
            given_sentences(wrong)


def test_texts_are_split_as_berts_tokenizer_does():
    """Each word is what the tokenizer itself separates, so that a text has the same tokens whole and by word."""
    text = " Don't,  北京 is in 中国!\t(Zürich\u3000x-1) \n…😀 "
    spans = word_spans(text)
    words = [text[start:end] for start, end in spans]
    assert " ".join(words) == "Don ' t , 北 京 is in 中 国 ! ( Zürich x - 1 ) … 😀"
    assert word_spans("") == [] and word_spans("   ") == []


def test_split_texts_have_the_tokens_of_the_whole(shared, minilm):
    from tests.reference.shared_texts import texts_of
    from tfbert import load_tokenizer

    tokenizer = load_tokenizer(minilm)
    for name in ("wnut17/dev.jsonl", "chnsenticorp/dev.jsonl", "hate_stormfront/dev.jsonl"):
        for text in list(texts_of(shared / "data" / name))[:300]:
            words = [text[start:end] for start, end in word_spans(text)]
            by_word = tokenizer([tokenizer.encoded(word) for word in words]).flat_values.numpy() if words else []
            assert list(by_word) == list(tokenizer([tokenizer.encoded(text)]).flat_values.numpy()), text
