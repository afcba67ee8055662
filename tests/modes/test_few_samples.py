"""The few-sample techniques through the command line: all at once, on two devices, killed and resumed."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.conftest import command, random_texts

FLAGS = (
    "--max_seq_length=32", "--train_batch_size=8", "--eval_batch_size=32", "--learning_rate=3e-3",
    "--virtual_devices=2", "--reinit_layers=1", "--reinit_pooler", "--mixout=0.3", "--weight_decay=0.1",
    "--prior_weight_decay", "--layer_lr_decay=0.9", "--head_lr_multiplier=2", "--freeze=embeddings",
    "--unfreeze_steps=4", "--ema_decay=0.8", "--label_smoothing=0.1", "--schedule=slanted_triangular",
    "--warmup_steps=3", "--save_checkpoints_steps=4", "--save_summary_steps=4", "--eval_steps=8", "--init_seed=1",
    "--data_seed=2", "--keep_checkpoints=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def arguments(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    for split, count, seed in (("train", 64, 0), ("dev", 24, 1)):
        rows = [f"{text or 'empty'}\t{int('printer' in text)}\n" for text in random_texts(count, seed)]
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows), "utf-8")
    return (f"--preset={tiny}", f"--train_file={folder}/train.tsv", f"--dev_file={folder}/dev.tsv",
            f"--test_file={folder}/dev.tsv", *FLAGS)  # fmt: skip


def trained(arguments, output, *more):
    command(*arguments, f"--output_dir={output}", *more, check=0)
    return json.loads((output / "eval_results.json").read_text()), (output / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """A run of 16 steps."""
    output = tmp_path_factory.mktemp("whole") / "out"
    return output, *trained(arguments, output, "--max_steps=16")


def test_all_together(whole):
    output, results, _ = whole
    # The last score of the best model: the averages, put back from its folder.
    assert results["dev"] == pytest.approx(results["test"], abs=1e-6)
    state = load_file(output / "checkpoints" / "step-00000016.safetensors")
    names = {name.split("/")[-1] for name in state if name.startswith("optimizer/")}
    kernel = "transformer_layer_0_feedforward_output_dense_kernel"
    assert {f"{kernel}_{slot}" for slot in ("momentum", "velocity", "reference", "average")} <= names
    # Frozen: no slots. New: no reference. Never decayed: no reference.
    assert not any("embedding" in name for name in names)
    assert "head_kernel_momentum" in names and "head_kernel_reference" not in names
    assert not any(name.startswith("transformer_layer_1") and name.endswith("reference") for name in names)
    assert not any(name.endswith("bias_reference") for name in names)
    # The saved model is the average, not the last weights.
    saved = load_file(output / "model" / "model.safetensors")["classifier.weight"].T
    last, average = state["model/head/kernel"], state[next(n for n in state if n.endswith("head_kernel_average"))]
    if results["best_step"] == 16:
        np.testing.assert_array_equal(saved, average)
    assert np.abs(last - average).max() > 1e-5


def test_the_reference_is_the_pretrained_value(whole, tiny):
    state = load_file(whole[0] / "checkpoints" / "step-00000016.safetensors")
    pretrained = load_file(f"{tiny}/model.safetensors")["bert.encoder.layer.0.output.dense.weight"].T
    name = next(n for n in state if n.endswith("transformer_layer_0_feedforward_output_dense_kernel_reference"))
    np.testing.assert_array_equal(state[name], pretrained)
    mixed = next(n for n in state if n.startswith("model/mixout") and "layer_0_feedforward_output" in n)
    np.testing.assert_array_equal(state[mixed], pretrained)
    trained_value = state["model/transformer_layer_0/feedforward_output_dense/kernel"]
    assert np.abs(trained_value - pretrained).max() > 1e-4  # it joined at step 8


def test_a_resumed_run_is_the_same_bit_for_bit(whole, arguments, tmp_path):
    """What a kill after step 8 leaves: the checkpoint of step 8 and the best model until then."""
    first, results, metrics = whole
    output = pathlib.Path(shutil.copytree(first, tmp_path / "out"))
    (output / "eval_results.json").unlink()
    for path in (output / "checkpoints").iterdir():
        if path.name != "step-00000008.safetensors":
            path.unlink()
    again, again_metrics = trained(arguments, output, "--max_steps=16")
    assert again_metrics == metrics and again["dev"] == results["dev"]
    ours, theirs = (load_file(folder / "checkpoints" / "step-00000016.safetensors") for folder in (output, first))
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_warmup_longer_than_the_run_is_refused(arguments, tmp_path):
    result = command(*arguments, f"--output_dir={tmp_path}/out", "--max_steps=5", "--warmup_steps=6", check=1)
    assert "--warmup_steps must be at most 5, the steps of this run. Received: 6." in result.stderr
