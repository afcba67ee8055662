"""Weights, outputs and scores that are not finite: told in one sentence, kept nowhere, written in no file."""

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import file_flags, random_texts, rows_of
from tfbert import TASKS, InputError, evaluate, load_config, predict, run
from tfbert.core.errors import CannotWrite, Diverged
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.modes import sweep_study
from tfbert.modes.train import Trainer
from tfbert.training.run_log import RunLog

# A rate that makes weights so large that they are not finite after the first step, whose loss is.
TOO_LARGE = 1e38


@pytest.fixture(scope="module")
def settings(tiny, tmp_path_factory):
    files = dict(flag.lstrip("-").split("=", 1) for flag in file_flags(tmp_path_factory.mktemp("data")))
    return files | {"preset": tiny, "max_seq_length": 16, "train_batch_size": 8, "max_steps": 2, "eval_steps": 1,
                    "strategy": "one_device", "schedule": "constant", "warmup_proportion": 0.0,
                    "head_lr_multiplier": 100.0}  # fmt: skip


def strict(text):
    """Reads JSON as other programs do, to which NaN and Infinity are none."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("more", [{}, {"dev_file": None, "eval_steps": None, "max_steps": 1},
                                  {"save_checkpoints_steps": 1, "eval_steps": 2}])  # fmt: skip
def test_weights_that_are_not_finite_after_a_finite_loss(settings, tmp_path, more):
    """At an evaluation, at the end of a run without dev file, and where a checkpoint is due."""
    config = load_config(**(settings | more), learning_rate=TOO_LARGE, output_dir=str(tmp_path))
    with pytest.raises(Diverged, match="weights are not finite after step 1.* saved before is kept. Lower --learning"):
        run(config)
    assert not list(tmp_path.glob("checkpoints/*")) and not list(tmp_path.glob("model/*"))
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines() if (tmp_path / "metrics.jsonl").exists() else ():
        strict(line)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite(tiny_model, value):
    tiny_model.head.bias.assign([0.0, value])
    with pytest.raises(InputError, match=f"outputs are {value}.* its weights are damaged, or its training diverged"):
        predict(tiny_model, ["the printer"])
    rows = tokenize_examples(rows_of(random_texts(4), ["no", "yes"] * 2), tiny_model.tokenizer, 48,
                             tiny_model.task.encode_label)  # fmt: skip
    with pytest.raises(InputError, match=f"outputs are {value}"):
        evaluate(tiny_model, ExampleBatches(rows, 2, 48, shuffle=False, seed=0))


def test_a_score_that_is_not_finite_beats_nothing_and_is_beaten_by_all():
    is_better = TASKS["classification"].is_better
    assert is_better("accuracy", 0.1, np.nan) and not is_better("accuracy", np.nan, 0.1)
    assert is_better("loss", 9.0, np.nan) and is_better("loss", 9.0, np.inf) and not is_better("loss", -np.inf, 9.0)
    assert is_better("loss", np.nan, None) and is_better("loss", None, np.nan) and not is_better("loss", None, 1.0)


def test_a_sweep_with_a_point_that_diverges_ends(settings, tmp_path):
    config = load_config(**settings, mode="sweep", output_dir=str(tmp_path), best_metric="loss",
                         sweep=f"{{learning_rate: [{TOO_LARGE:.0e}, 1e-3]}}")  # fmt: skip
    results = run(config)
    assert results["trials"] == 2 and results["best"]["settings"] == {"learning_rate": 1e-3}
    trials = [strict(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert "weights are not finite after step 1" in trials[0]["failed"] and not trials[0]["results"]
    assert run(config)["trials"] == 2


def test_a_run_that_broke_off_leaves_nothing_to_the_next(settings, tmp_path, monkeypatch):
    """Both share one graph, which counts the answers of the training batches: those of two steps of 8."""
    trainer, counts = Trainer(tf.distribute.get_strategy()), []
    monkeypatch.setattr(RunLog, "log", lambda self, step, rate, norms, predicted: counts.append(predicted.sum()))
    config = load_config(**settings | {"eval_steps": 2}, save_checkpoints_steps=1, save_summary_steps=2)
    for rate, ends in ((TOO_LARGE, pytest.raises(Diverged)), (1e-3, contextlib.nullcontext())):
        with ends:
            trainer.train(config.replace(learning_rate=rate, output_dir=f"{tmp_path}/{rate}"), announce=False)
    assert counts == [16] and trainer._graphs.loop._run.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("error,ends", [(MemoryError("no room\nat all"), True), (CannotWrite("a full disk"), False)])
def test_a_sweep_whose_second_trial_breaks_off(settings, tmp_path, monkeypatch, error, ends):
    """What a library raises is the trial's failure, and the others go on; a full disk stops the sweep for a while."""
    train, runs = sweep_study.train_model, []

    def breaks(config, trainer, announce):
        runs.append(config.training.seed)
        if len(runs) == 2:
            raise error
        return train(config, trainer, announce)

    monkeypatch.setattr(sweep_study, "train_model", breaks)
    config = load_config(**settings, mode="sweep", output_dir=str(tmp_path), best_metric="loss", sweep="{seed: 3}")
    if not ends:
        with pytest.raises(CannotWrite):
            run(config)
    results = run(config)
    assert results["trials"] == 3 and sorted(runs) == ([0, 1, 2] if ends else [0, 1, 1, 2])
    trials = [strict(line)["failed"] for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert ("MemoryError: no room" in trials) == ends


@pytest.mark.parametrize("patience", [None, 2])
def test_a_score_that_is_always_undefined(tiny, tmp_path, capsys, patience):
    """All dev numbers are the same: the last model is kept, which is said, and waiting for a better one ends."""
    for split, numbers in (("train", "123412341234"), ("dev", "2222")):
        rows = "".join(f"the printer {number}\t{number}\n" for number in numbers)
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + rows)
    files = {f"{split}_file": f"{tmp_path}/{split}.tsv" for split in ("train", "dev")}
    results = run(load_config(**files, preset=tiny, task="regression", max_seq_length=16, max_steps=6, eval_steps=1,
                              output_dir=f"{tmp_path}/out", strategy="one_device", patience=patience))  # fmt: skip
    assert results["steps"] == results["best_step"] == (patience or 6)
    said = capsys.readouterr().out
    assert f"pearson on dev was undefined in every evaluation; the last model, of step {results['steps']}, is" in said
    assert (tmp_path / "out" / "model" / "model.safetensors").exists() and "is undefined" in results["failed"]
    strict((tmp_path / "out" / "eval_results.json").read_text())
