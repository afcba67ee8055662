"""Rows of train_file that are held out: told, kept, the same for every use of a run, and never trained on."""

import json

import numpy as np
import pytest

import tfbert
from tests.conftest import command, random_texts
from tfbert import InputError, load_config, make_strategy, run
from tfbert.data.splits import text_key
from tfbert.modes.build import task_of, training_parts
from tfbert.modes.rows import split_of

FAST = {"max_seq_length": 32, "train_batch_size": 8, "learning_rate": 3e-3, "max_steps": 6}


def rows_of_file(count=150):
    """Texts, each of some twice, once in another case; a rare label."""
    texts = [f"{text} {number}" for number, text in enumerate(random_texts(count, longest=8))]
    rows = [(text, "ja" if number % 7 == 0 else "nein") for number, text in enumerate(texts)]
    return rows + [(text.upper() + "  ", label) for text, label in rows[:20]]


def split_for(**settings):
    config = load_config(**FAST | settings)
    return split_of(config, task_of(config))


def write_rows(path, rows):
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows), "utf-8")


@pytest.fixture(scope="module")
def rows():
    return rows_of_file()


@pytest.fixture(scope="module")
def finished(tiny, rows, tmp_path_factory):
    """A finished run whose rows were split: (folder, settings, results, what was printed)."""
    folder = tmp_path_factory.mktemp("split")
    write_rows(folder / "data.tsv", rows)
    settings = {"preset": tiny, "train_file": f"{folder}/data.tsv", "dev_share": 0.1, "test_share": 0.2, **FAST}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    said = command(*flags, f"--output_dir={folder}/run", check=0).stdout
    return folder, settings, json.loads((folder / "run" / "eval_results.json").read_text()), said


def test_it_is_told_and_kept(finished, rows):
    folder, _, _, said = finished
    kept = json.loads((folder / "run" / "split.json").read_text())
    dev, test = (kept["held_out"][split] for split in ("dev", "test"))
    assert f"Split: {170 - len(dev) - len(test)} rows for training, {len(dev)} for evaluation, {len(test)} for" in said
    assert abs(len(dev) - 17) <= 1 and abs(len(test) - 34) <= 1 and not set(dev) & set(test)
    splits = [{rows[row - 1][0].lower().strip() for row in part} for part in (dev, test)]
    train = {text.lower().strip() for row, (text, _) in enumerate(rows, 1) if row not in {*dev, *test}}
    assert not splits[0] & splits[1] and not train & (splits[0] | splits[1])
    for part in (dev, test):
        assert sum(rows[row - 1][1] == "ja" for row in part) / len(part) == pytest.approx(1 / 7, abs=0.06)
    assert kept["rows"] == 170


def test_the_data_are_those_of_files_of_these_rows(finished, rows, tiny, tmp_path):
    folder, settings, results, _ = finished
    held_out = json.loads((folder / "run" / "split.json").read_text())["held_out"]
    parts = {split: [rows[row - 1] for row in numbers] for split, numbers in held_out.items()}
    used = {row for numbers in held_out.values() for row in numbers}
    parts["train"] = [row for number, row in enumerate(rows, 1) if number not in used]
    for split, part in parts.items():
        write_rows(tmp_path / f"{split}.tsv", part)
    files = {f"{split}_file": f"{tmp_path}/{split}.tsv" for split in parts}
    config = load_config(preset=tiny, output_dir=f"{tmp_path}/run", **files, **FAST)
    datasets = training_parts(config, make_strategy("one_device")).datasets
    assert {split: dataset.examples.fingerprint for split, dataset in datasets.items()} == results["data"]


def test_evaluate_takes_the_same_rows(finished, tmp_path):
    folder, settings, results, _ = finished
    asked = {name: settings[name] for name in ("train_file", "dev_share", "test_share")}
    found = run(load_config(mode="evaluate", preset=f"{folder}/run/model", output_dir=str(tmp_path), **asked))
    for split in ("dev", "test"):
        assert found[split] == pytest.approx(results[split], abs=1e-5)
    with pytest.raises(InputError, match="split.json was made with .*--dev_share=0.1; received .*--dev_share=0.3"):
        run(load_config(mode="evaluate", output_dir=f"{folder}/run", **asked | {"dev_share": 0.3}))


def test_a_model_that_knows_no_split_has_none(finished, tiny, tmp_path):
    folder, settings, _, _ = finished
    model = tfbert.build_model(tfbert.load_encoder(tiny), tfbert.TASKS["classification"](["a", "b"]), max_seq_length=9)
    tfbert.save_model(model, tmp_path / "run" / "model")
    asked = {"train_file": settings["train_file"], "dev_share": 0.1, "output_dir": f"{tmp_path}/run"}
    with pytest.raises(InputError, match="run has no split.json: this model was not trained with --dev_share"):
        run(load_config(mode="evaluate", **asked))


def test_a_changed_file_is_refused(finished, rows, tiny, tmp_path):
    folder, settings, _, _ = finished
    write_rows(tmp_path / "data.tsv", [*rows[:-1], (rows[-1][0], "ja")])
    changed = {"train_file": f"{tmp_path}/data.tsv", "dev_share": 0.1, "test_share": 0.2}
    message = r"train_file has changed since its rows were split \(170 rows then, 170 now\)"
    with pytest.raises(InputError, match=message):
        run(load_config(mode="evaluate", output_dir=f"{folder}/run", **changed))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "split.json").write_bytes((folder / "run" / "split.json").read_bytes())
    with pytest.raises(InputError, match=message):
        run(load_config(**settings | changed, output_dir=f"{tmp_path}/run"))
    split_for(**settings | changed, output_dir=f"{tmp_path}/run", overwrite=True)
    (tmp_path / "run" / "split.json").write_text('{"rows": 3, "digest": "", "held_out": {"dev": [7]}}')
    with pytest.raises(InputError, match="split.json is damaged"):
        split_for(**settings | changed, output_dir=f"{tmp_path}/run")


def test_seeds_of_training_leave_it_alone(finished):
    _, settings, _, _ = finished
    changes = [{}, {"seed": 1}, {"max_seq_length": 16}]
    same = [split_for(**settings | change) for change in changes]
    other = split_for(**settings, split_seed=1)
    for split in ("dev", "test"):
        first, *others = (found.held_out[split].tolist() for found in same)
        assert others == [first, first] and other.held_out[split].tolist() != first


def test_changed_copies_are_of_rows_to_train_alone(finished, tmp_path, monkeypatch):
    folder, settings, _, _ = finished
    texts = tmp_path / "seen.txt"
    (tmp_path / "watching.py").write_text(
        f"def watch(text, rng):\n    open({str(texts)!r}, 'a').write(text + '\\n')\n    return text\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = load_config(**settings, augment="watching:watch", output_dir=f"{tmp_path}/run")
    parts = training_parts(config, make_strategy("one_device"))
    lines = (folder / "data.tsv").read_text("utf-8").splitlines()[1:]
    scored = {lines[row].split("\t")[0] for rows in parts.split.held_out.values() for row in rows}
    seen = set(texts.read_text().splitlines())
    assert len(seen) > 50 and not seen & scored
    assert parts.datasets["dev"].examples.size == len(parts.split.held_out["dev"])


TASKS = [("multilabel", lambda n: ["a,b", "b", "c"][n % 3]), ("regression", lambda n: n / 7)]


@pytest.mark.parametrize("task,label", TASKS)
def test_other_tasks(tmp_path, task, label):
    rows = [(f"the printer {n}", label(n)) for n in range(60)]
    write_rows(tmp_path / "data.tsv", rows)
    dev = split_for(train_file=f"{tmp_path}/data.tsv", dev_share=0.2, task=task).held_out["dev"]
    assert len(dev) == 12
    if task == "regression":
        assert {row // 6 for row in dev} == set(range(10))  # tenths of the numbers
    else:
        assert sorted(rows[row][1] for row in dev) == ["a,b"] * 4 + ["b"] * 4 + ["c"] * 4


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"dev_share": 0.1}, "--dev_share=0.1 needs --train_file, whose rows are split"),
        ({"dev_share": 0.1, "dev_file": "a"}, "--dev_share=0.1 and --dev_file=a exclude each other"),
        ({"test_share": 0.1, "test_file": "a"}, "--test_share=0.1 and --test_file=a exclude each other"),
        ({"dev_share": 0.1, "folds": 3}, "--dev_share=0.1 and --folds=3 exclude each other"),
        ({"dev_share": 0.6, "test_share": 0.4}, "must be less than 1 together"),
        ({"dev_share": 1.0}, "--dev_share must be a number > 0.0 and < 1.0. Received: 1.0"),
        ({"dev_share": 0.1, "task": "masked_lm"}, "--dev_share=0.1 has no effect with --task=masked_lm"),
        ({"split_seed": 3}, "--split_seed=3 needs --dev_share or --test_share"),
        ({"dev_share": 0.1, "halve_dev": True}, "--halve_dev needs --dev_file"),
    ],
)
def test_what_does_not_go_together(settings, message):
    train_file = {} if "needs --train_file" in message else {"train_file": "t"}
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        load_config(**train_file, **settings)


def test_what_needs_rows_to_evaluate_has_them():
    load_config(train_file="t", dev_share=0.1, tune_threshold="f1", patience=2, best_metric="f1", evaluations=3)


def test_too_few_rows(tiny, tmp_path):
    write_rows(tmp_path / "data.tsv", [("the printer", "a"), ("thanks", "b")] * 4)
    with pytest.raises(InputError, match="--dev_share=0.1 of 8 rows with 2 different texts is not a single"):
        run(load_config(preset=tiny, train_file=f"{tmp_path}/data.tsv", dev_share=0.1, output_dir=f"{tmp_path}/run"))


def test_raw_text_of_an_earlier_stage_cannot_hold_them_out():
    stages = [{"a": {"task": "masked_lm", "train_file": "raw.txt"}}, {"b": {"train_file": "t", "dev_share": 0.1}}]
    with pytest.raises(InputError, match="--dev_share"):
        load_config(preset="p", stages=stages).stages()


def test_keys_of_texts_have_64_bits():
    keys = np.array([text_key((f"text {number}",)) for number in range(100)], np.uint64)
    assert len(set(keys.tolist())) == 100 and keys.max() > 2**63
