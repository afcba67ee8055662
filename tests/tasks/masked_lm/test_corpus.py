"""Which texts are held out of a corpus."""

import json

import pytest

from tfbert import InputError
from tfbert.tasks.masked_lm.corpus import held_out_texts


@pytest.fixture()
def files(tmp_path):
    """Two files of other columns each, and a raw GLUE folder."""
    for name, column in (("one", "a"), ("other", "b")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({column: f"the text of {name}", "label": 0}) + "\n")
    folder = tmp_path / "RTE"
    folder.mkdir()
    for split in ("train", "dev", "test"):
        label = "" if split == "test" else "\tentailment"
        head = "index\tsentence1\tsentence2" + ("" if split == "test" else "\tlabel")
        (folder / f"{split}.tsv").write_text(f"{head}\n0\t{split} one\t{split} two{label}\n")
    return tmp_path


def test_each_file_by_its_own_column(files):
    """Stages of a recipe may differ in their columns."""
    found = held_out_texts([f"{files}/one.jsonl", f"{files}/other.jsonl"], ("a", "b"))
    assert found == ["the text of one", "the text of other"]
    with pytest.raises(InputError, match="there is no column 'c'. The columns are 'a', 'label'"):
        held_out_texts([f"{files}/one.jsonl"], ("c",))


def test_both_texts_of_all_scored_rows_of_glue(files):
    assert held_out_texts([f"{files}/RTE"], ("text",)) == ["dev one", "dev two", "test one", "test two"]
    assert held_out_texts([f"{files}/RTE:dev"], ("text", "other")) == ["dev one", "dev two"]
