"""Changed copies of texts: what each augmentation does, and what a run trains on."""

import re

import numpy as np
import pytest

from tests.conftest import command, file_flags, random_texts, rows_of, tiny_vocabulary
from tfbert import InputError
from tfbert.config.load import load_config
from tfbert.data.augmentation import AUGMENTATIONS, drop_stop_words, find_augmentation, with_copies
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.modes.build import datasets_of, task_of

TEXTS = ["The printer, on floor 3, is down!", "  打印机坏了，请快来。 ", "", "x", "don't -- stop", *random_texts(200)]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("probability", [0.1, 1.0])
def test_what_is_left_was_there(name, probability):
    for number, text in enumerate(TEXTS):
        rng = np.random.default_rng(number)
        changed = AUGMENTATIONS[name](text, rng, probability)
        if name == "swap_words":
            assert sorted(changed) == sorted(text) and len(changed.split()) == len(text.split())
        elif name == "insert_words":
            characters = iter(changed)
            assert all(character in characters for character in text)
            assert set(changed) <= {*text, " "} and (changed != text) == bool(text.strip())
        else:
            characters = iter(text)
            assert all(character in characters for character in changed)  # a subsequence
        assert changed.strip() or not text.strip() or name.startswith("drop")


def test_each_does_what_its_name_says():
    one = np.random.default_rng
    assert AUGMENTATIONS["drop_punctuation"]("Don't, 请！ (ok)", one(0), 1.0) == "Dont 请 ok"
    assert drop_stop_words("The printer is not there, I'm sure", one(0), 1.0) == "printer , I'm sure"
    assert drop_stop_words("打印机坏了，我们的目的是修。 It is", one(0), 1.0) == "打印机坏，目的修。 "
    assert AUGMENTATIONS["insert_words"]("ab", one(0), 0.1) == "ab ab"
    assert AUGMENTATIONS["insert_words"]("印", one(0), 1.0) == "印印"
    assert len(AUGMENTATIONS["insert_words"]("a b c d", one(0), 0.5).split()) == 6
    assert AUGMENTATIONS["swap_words"]("a  b", one(0), 0.1) == "b  a"
    assert AUGMENTATIONS["swap_words"]("打 印", one(0), 0.1) == "印 打"
    text = "the printer 打印机 is down today"
    left = [len(AUGMENTATIONS["delete_words"](text, one(seed), 0.25).replace(" ", "")) > 0 for seed in range(50)]
    assert all(left)
    kept = sum("打" in AUGMENTATIONS["delete_words"](text, one(seed), 0.25) for seed in range(2000))
    assert kept / 2000 == pytest.approx(0.75, abs=0.04)


def test_copies_follow_their_row_and_come_from_the_seed_alone():
    rows = rows_of(TEXTS, labels=[f"{number}" for number in range(len(TEXTS))])
    names = ["delete_words", "swap_words"]
    found = list(with_copies(rows, names, 2, 0.3, seed=1))
    assert found[::3] == rows and [row["label"] for row in found] == [row["label"] for row in rows for _ in range(3)]
    assert found == list(with_copies(rows, names, 2, 0.3, seed=1)) != list(with_copies(rows, names, 2, 0.3, seed=2))
    other = list(with_copies(rows, names, 2, 0.3, seed=1, epoch=1))
    assert other[::3] == rows and other != found
    assert found[: 3 * 50] == list(with_copies(rows[:50], names, 2, 0.3, seed=1))
    assert sum(a["text"] != b["text"] for a, b in zip(found[1::3], found[2::3])) > 100
    pairs = rows_of(["a b c"], ["x"], ["d e f"])
    copy = list(with_copies(pairs, ["swap_words"], 1, 0.1, seed=0))[1]
    assert copy["text"] != "a b c" and copy["text_pair"] != "d e f"


def test_nlpaug():
    swap = find_augmentation("nlpaug:word.RandomWordAug")
    text = "the printer on the third floor is down again today"
    found = {swap(text, np.random.default_rng(seed), 0.1) for seed in range(5)}
    assert len(found) > 1 and text not in found
    assert swap(text, np.random.default_rng(0), 0.1) == swap(text, np.random.default_rng(0), 0.1)
    assert swap("", np.random.default_rng(0), 0.1) == ""
    with pytest.raises(InputError, match="nlpaug:word.NoSuchAug cannot be created: AttributeError"):
        find_augmentation("nlpaug:word.NoSuchAug")
    with pytest.raises(InputError, match="nlpaug:music.Aug: No module"):
        find_augmentation("nlpaug:music.Aug")


def test_a_users_own_function():
    rows = rows_of(["my account", "中文"], ["x", "y"])
    found = list(with_copies(rows, ["tests.reference.augmenters:shout"], 1, 0.5, seed=0))
    assert found[1]["text"].startswith("MY ACCOUNT") and found[3]["text"].startswith("中文")
    with pytest.raises(InputError, match="test, line 1: --augment=.*:broken fails: ZeroDivisionError"):
        list(with_copies(rows, ["tests.reference.augmenters:broken"], 1, 0.5, seed=0))
    with pytest.raises(InputError, match="must return a text. Received: None"):
        list(with_copies(rows_of(["down"], ["x"]), ["tests.reference.augmenters:broken"], 1, 0.5, seed=0))
    with pytest.raises(InputError, match="--augment takes delete_words, .* or MODULE:FUNCTION. Received: 'shuffle'"):
        find_augmentation("shuffle")
    with pytest.raises(InputError, match="--augment=nowhere:f cannot be imported: ModuleNotFoundError"):
        find_augmentation("nowhere:f")


def test_a_run_trains_on_them_and_is_tested_on_none(tiny, tmp_path):
    flags = [f"--preset={tiny}", *file_flags(tmp_path), "--max_seq_length=32", "--max_steps=2", "--augment_copies=2",
             "--augment=delete_words", "--augment=tests.reference.augmenters:shout"]  # fmt: skip
    found = command(*flags, f"--output_dir={tmp_path}/out", check=0)
    assert "183 train, 21 dev (including 2 augmented copies of each training row)" in found.stdout
    assert re.search(r"^train +61 ", found.stdout, re.MULTILINE)
    found = command(*flags[:-1], "--augment=shuffle", f"--output_dir={tmp_path}/bad", check=1)
    assert "Error: --augment takes delete_words" in found.stderr and not (tmp_path / "bad").exists()


def test_copies_stay_on_their_side_of_a_fold(tiny, tmp_path):
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{n} a b c\t{n % 2}\n" for n in range(40)))
    config = load_config(preset=tiny, train_file=f"{tmp_path}/train.tsv", folds=4, fold=2, augment=["swap_words"],
                         augment_copies=3, output_dir="x")  # fmt: skip
    tokenizer = BertTokenizer(tiny_vocabulary(), True)
    datasets = datasets_of(config, tokenizer, task_of(config), ("train", "test"))
    assert (datasets["train"].examples.size, datasets["test"].examples.size) == (30 * 4, 10)
    numbers = {}
    for split, dataset in datasets.items():
        pieces, _, _ = dataset.examples.windows(np.arange(dataset.examples.size))
        rows = ([tokenizer.vocabulary[piece].strip("#") for piece in row] for row in pieces.to_list())
        numbers[split] = {"".join(piece for piece in row if piece.isdigit()) for row in rows}
    assert len(numbers["test"]) == 10 and not numbers["train"] & numbers["test"]


def test_every_epoch_has_copies_of_its_own(tiny, tmp_path):
    """The rows stay, and a run that begins in the middle takes what a whole one takes there."""
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{n} a b c d e\t{n % 2}\n" for n in range(20)))
    config = load_config(preset=tiny, train_file=f"{tmp_path}/train.tsv", augment=["swap_words"], train_batch_size=8,
                         folds=2, fold=1, output_dir="x")  # fmt: skip
    train = datasets_of(config, BertTokenizer(tiny_vocabulary(), True), task_of(config), ("train",))["train"]
    assert train.steps_per_epoch == 3
    epochs = list(train.phases(0, 8))
    assert [last_step for _, last_step in epochs] == [3, 6, 8]
    pieces = [dataset.examples.windows(np.arange(20))[0].to_list() for dataset, _ in epochs]
    assert pieces[0][::2] == pieces[1][::2] == pieces[2][::2]
    assert pieces[0][1::2] != pieces[1][1::2] != pieces[2][1::2]
    assert all((dataset.examples.labels == train.examples.labels).all() for dataset, _ in epochs)

    def batches(first_step):
        found = []
        for dataset, last_step in train.phases(first_step, 8):
            shares = dataset.shares(first_step, last_step)
            found += [features["token_ids"].numpy().tolist() for features, _, _ in shares]
            first_step = last_step
        return found

    assert batches(4) == batches(0)[4:] and len(batches(0)) == 8
