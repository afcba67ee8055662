"""Recipes of several trainings: further pre-training, then fine-tuning, each resumable, and what is refused."""

import json
import re
import signal
import time

import pytest
import yaml

from tests.conftest import command, file_flags, finish, random_texts, workers
from tests.modes.test_resume import newest_step
from tfbert import InputError, load_config, load_model


@pytest.fixture(scope="module")
def recipe(tiny, tmp_path_factory):
    """A YAML of two stages: its path, and its content."""
    folder = tmp_path_factory.mktemp("recipe")
    train, dev = (flag.partition("=")[2] for flag in file_flags(folder))
    texts = [text or "empty" for text in random_texts(200, seed=5, longest=12)]
    (folder / "corpus.txt").write_text("\n\n".join("\n".join(texts[i : i + 20]) for i in range(0, 200, 20)), "utf-8")
    content = {
        "preset": tiny, "max_seq_length": 32, "train_batch_size": 8, "learning_rate": "3e-3",
        "save_checkpoints_steps": 4,
        "stages": [
            {"pretrain": {"task": "masked_lm", "train_file": f"{folder}/corpus.txt", "max_steps": 24,
                          "whole_word_masking": True, "leaks": "remove"}},
            {"finetune": {"train_file": train, "dev_file": dev, "max_steps": 12, "eval_steps": 6}},
        ],
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "recipe.yaml", content


def models_of(output):
    return [(output / stage / "model" / "model.safetensors").read_bytes() for stage in ("pretrain", "finetune")]


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "out"
    result = command(f"--config={recipe[0]}", f"--output_dir={output}", check=0)
    return output, result


def test_the_second_stage_starts_from_the_first(whole, recipe):
    output, result = whole
    assert "Stage pretrain: " in result.stdout and "Stage finetune: " in result.stdout
    found = [json.loads((output / stage / "eval_results.json").read_text()) for stage in ("pretrain", "finetune")]
    assert found[0]["steps"] == 24 and found[1]["dev"]["accuracy"] > 0
    assert re.search(r"(?s)\nmodel +\S+/pretrain/model\n.*\naccuracy .*\nmodel +\S+/finetune/model\n", result.stdout)
    settings = yaml.safe_load((output / "finetune" / "config.yaml").read_text())
    assert settings["preset"] == f"{output}/pretrain/model" and settings["learning_rate"] == 3e-3
    assert load_model(str(output / "pretrain" / "model")).task.name == "masked_lm"
    assert load_model(str(output / "finetune" / "model")).task.name == "classification"


def test_a_stage_that_has_finished_is_not_run_again(whole, recipe, tmp_path):
    output, _ = whole
    before = models_of(output)
    changed = (output / "pretrain" / "metrics.jsonl").stat().st_mtime_ns
    result = command(f"--config={recipe[0]}", f"--output_dir={output}", check=0)
    assert result.stdout.count("already finished") == 2 and models_of(output) == before
    assert (output / "pretrain" / "metrics.jsonl").stat().st_mtime_ns == changed
    refused = command(f"--config={recipe[0]}", f"--output_dir={output}", "--seed=3", check=1)
    assert "finished run with other settings: seed was 0, is 3" in refused.stderr


def test_killed_in_either_stage(whole, recipe, tmp_path):
    output = tmp_path / "killed"
    for stage in ("pretrain", "finetune"):
        process = workers([f"--config={recipe[0]}"], output, 1)[0]
        while newest_step(output / stage) < 4 and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    outputs = finish(workers([f"--config={recipe[0]}"], output, 1))
    assert "Stage pretrain: already finished" in outputs[0] and "Resuming from the newest" in outputs[0]
    assert models_of(output)[0] == models_of(whole[0])[0]
    assert models_of(output)[1] == models_of(whole[0])[1]


@pytest.mark.parametrize(
    "stages,message",
    [
        ([{"a": {"learning_rat": 1}}], "Did you mean 'learning_rate'"),
        ([{"a": {"seed": "x"}}], "--seed must be a whole number"),
        ([{"a": {"tpu": "local"}}], "'a' cannot have its own tpu"),
        ([{"a": {}}, {"a": {}}], "a different name"),
        ([{"a/b": {}}], "must be usable as a folder name"),
        ([{"a": {}, "b": {}}], "takes a list of stages"),
        ([{"a": None}], "takes a list of stages"),
    ],
)
def test_mistakes_in_a_recipe(stages, message):
    with pytest.raises(InputError, match=message):
        load_config(stages=stages)


def test_a_mistake_in_the_last_stage_is_told_before_the_first(recipe, tmp_path):
    path, content = recipe
    for stage, message in (
        (
            {"task": "masked_lm", "pooling": "mean", "train_file": "x"},
            "In the stage 'last': --pooling=mean has no effect",
        ),
        ({"max_steps": 3}, "needs --train_file"),
    ):
        (tmp_path / "recipe.yaml").write_text(
            yaml.safe_dump(content | {"stages": [content["stages"][0], {"last": stage}]})
        )
        result = command(f"--config={tmp_path}/recipe.yaml", f"--output_dir={tmp_path}/out", check=1)
        assert message in result.stderr and not (tmp_path / "out").exists()


def test_a_stage_after_new_weights_needs_no_vocabulary():
    """It has that of the model before it."""
    stages = [{"a": {"task": "masked_lm", "train_file": "x"}}, {"b": {"train_file": "y"}}]
    config = load_config(preset="config:x.json", vocab_file="v.txt", output_dir="out", stages=stages)
    assert [stage.model.vocab_file for _, stage in config.stages()] == ["v.txt", None]


def test_dev_texts_in_the_corpus(recipe, tmp_path):
    """They are refused before anything is trained, or removed and counted."""
    path, content = recipe
    dev = content["stages"][1]["finetune"]["dev_file"]
    leaked = [line.split("\t")[0] for line in open(dev, encoding="utf-8").read().splitlines()[1:]]
    leaked = next(text for text in leaked if len(text.split()) > 10)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(f"{leaked.upper()}\nthe printer\n\nis down\n" + "\nplease\n" * 3, "utf-8")
    changed = {"train_file": str(corpus), "max_steps": 1, "leaks": "refuse"}
    first = {"pretrain": content["stages"][0]["pretrain"] | changed}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content | {"stages": [first, content["stages"][1]]}))
    flags = [f"--config={tmp_path}/recipe.yaml", f"--output_dir={tmp_path}/out"]
    result = command(*flags, check=1)
    assert "held-out texts occur in the training text" in result.stderr and "Traceback" not in result.stderr
    first["pretrain"]["leaks"] = "remove"
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content | {"stages": [first, content["stages"][1]]}))
    result = command(*flags, check=0)
    assert "Of 21 held-out texts" in result.stdout and "sentences are removed" in result.stdout


def test_short_sequences_first(recipe, tmp_path):
    """Two stages on raw text: the second goes on with the head of the first."""
    path, content = recipe
    pretrain = content["stages"][0]["pretrain"]
    lengths = ({"max_seq_length": 16, "max_steps": 9}, {"max_seq_length": 32, "max_steps": 1, "learning_rate": 1e-9})
    stages = [{f"length{own['max_seq_length']}": pretrain | own} for own in lengths]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content | {"stages": stages}))
    result = command(f"--config={tmp_path}/recipe.yaml", f"--output_dir={tmp_path}/out", check=0)
    assert result.stdout.count("no masked-word head; it starts from new weights") == 1
    first, second = (load_model(str(tmp_path / "out" / name / "model")).head for name in ("length16", "length32"))
    assert abs(first.kernel.numpy() - second.kernel.numpy()).max() < 1e-6
    assert abs(first.bias.numpy()).max() > 1e-3
