"""What is said of names that are mistyped, wherever known ones are listed."""

import pytest

import tfbert
from tfbert import TASKS, InputError
from tfbert.core.names import did_you_mean
from tfbert.core.variants import Variants
from tfbert.data.augmentation import find_augmentation
from tfbert.data.sources import read_examples
from tfbert.modes.preflight.topologies import find_topology
from tfbert.tasks.labelled.balance import label_numbers

SAMPLE = "tfbert/data/samples/support_desk_dev.tsv"
LABELLED = TASKS["classification"](["other", "urgent"])


def test_a_close_name_is_found():
    assert did_you_mean("Learning-Rat", ["seed", "learning_rate"]) == " Did you mean 'learning_rate'?"
    assert did_you_mean("BERT_base", ["bert-base"]) == " Did you mean 'bert-base'?"
    assert did_you_mean("nonsense", ["seed", "learning_rate"]) == did_you_mean(None, ["seed"]) == ""
    assert did_you_mean("sed", []) == ""


def test_a_table_lists_its_names():
    table = Variants(linear="tfbert.core.names:did_you_mean")
    assert table["linear"] is did_you_mean
    with pytest.raises(InputError) as caught:
        table["liner"]
    assert str(caught.value) == "The known names are linear. Received: 'liner'. Did you mean 'linear'?"
    assert isinstance(caught.value, KeyError) and "liner" not in table and table.get("liner") is None


@pytest.mark.parametrize(
    "ask,message",
    [
        (lambda: find_augmentation("swap_word"), "Received: 'swap_word'. Did you mean 'swap_words'?"),
        (lambda: find_topology("v5e8"), "Received: 'v5e8'. Did you mean 'v5e-8'?"),
        (lambda: label_numbers("oversample", {"urgnt": 2}, LABELLED), "lacks. Did you mean 'urgent'? It has: other"),
        (lambda: next(read_examples(SAMPLE, "txt")), "there is no column 'txt'. Did you mean 'text'? The columns are"),
    ],
)
def test_close_names_are_suggested(ask, message):
    with pytest.raises(InputError) as caught:
        ask()
    assert message in str(caught.value)


def test_a_public_name_is_suggested():
    with pytest.raises(AttributeError, match="Did you mean 'build_model'?"):
        tfbert.bild_model  # noqa: B018
