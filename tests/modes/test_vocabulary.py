"""--mode=vocabulary: pieces learned from the texts of any data location."""

import pytest

from tests.conftest import command
from tfbert import InputError
from tfbert.models.tokenizers.vocabulary import learn_vocabulary
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES, BertTokenizer

TEXTS = ["the Printer is down", "the printer prints", "is the café down"] * 20


@pytest.mark.parametrize("lowercase", [True, False])
def test_every_word_of_the_text_can_be_written(lowercase):
    pieces = learn_vocabulary(TEXTS, 60, lowercase)
    assert tuple(pieces[:5]) == SPECIAL_PIECES and len(pieces) <= 60
    tokenizer = BertTokenizer(pieces, lowercase)
    assert tokenizer.unknown_id not in tokenizer(TEXTS).flat_values.numpy()
    assert ("Printer" in pieces, "printer" in pieces, "cafe" in pieces) == (not lowercase, True, lowercase)


def test_a_damaged_row_is_told_as_reading_tells_it():
    def texts():
        yield from TEXTS
        raise InputError("row 61 is damaged")

    with pytest.raises(InputError, match="row 61 is damaged"):
        learn_vocabulary(texts(), 60)
    with pytest.raises(InputError, match="learned from words, but these texts have none"):
        learn_vocabulary([" ", ""], 60)


def test_from_the_command_line(tmp_path):
    """Both texts of a pair are read, without markup where --clean_text says so; nothing is overwritten unasked."""
    rows = "".join(f"{text}\t<b>zebra</b>\n" for text in TEXTS)
    (tmp_path / "rows.tsv").write_text("text\tother\n" + rows, "utf-8")
    flags = ["--mode=vocabulary", f"--train_file={tmp_path}/rows.tsv", f"--output_dir={tmp_path}/out", "--clean_text",
             "--vocab_size=80", "--text_pair_column=other"]  # fmt: skip
    result = command(*flags, check=0)
    pieces = (tmp_path / "out" / "vocab.txt").read_text("utf-8").splitlines()
    assert {"printer", "zebra"} <= set(pieces) and "<" not in pieces
    assert f"{len(pieces)} tokens are in {tmp_path}/out/vocab.txt." in result.stdout
    assert "already exists; choose another --output_dir, or --overwrite" in command(*flags, check=1).stderr
    command(*flags, "--overwrite", "--do_lower_case=false", check=0)
    assert "Printer" in (tmp_path / "out" / "vocab.txt").read_text("utf-8").splitlines()
    wrong = command(*flags, f"--output_dir={tmp_path}/none", "--text_column=body", check=1)
    assert "body" in wrong.stderr and "Traceback" not in wrong.stderr and not (tmp_path / "none").exists()
