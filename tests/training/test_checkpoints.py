"""Checkpoints: whole, verified, the newest good one."""

import signal

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from tests.conftest import random_texts, rows_of, terminated_at_step
from tfbert import TASKS, AdamWeightDecay, InputError, build_model, load_encoder, train
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.training.checkpoints import Checkpoints, check_disk


def parts(folder, seed=0):
    model = build_model(load_encoder(folder, dropout=0.1), TASKS["classification"](["no", "yes"]), max_seq_length=32,
                        init_seed=seed)  # fmt: skip
    optimizer = AdamWeightDecay(1e-3)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def dataset_for(model):
    rows = rows_of(random_texts(40), labels=["no", "yes"] * 20)
    examples = tokenize_examples(rows, model.tokenizer, 32, model.task.encode_label)
    return ExampleBatches(examples, 8, 32, shuffle=True, seed=0)


def all_values(model, optimizer):
    return [v.numpy() for v in (*model.trainable_variables, *optimizer.variables)]


def test_restores_everything_and_goes_on_the_same(tiny, tmp_path):
    model, optimizer = parts(tiny)
    train(model, dataset_for(model), optimizer, steps=3)
    Checkpoints(str(tmp_path), model, optimizer).save(3, {"best": {"step": 2}})
    rest = train(model, dataset_for(model), optimizer, steps=6)

    other, other_optimizer = parts(tiny, seed=9)
    assert Checkpoints(str(tmp_path), other, other_optimizer).restore() == {"best": {"step": 2}}
    assert int(other_optimizer.iterations.numpy()) == 3
    np.testing.assert_array_equal(train(other, dataset_for(other), other_optimizer, steps=6), rest)
    for a, b in zip(all_values(model, optimizer), all_values(other, other_optimizer)):
        np.testing.assert_array_equal(a, b)


def test_keeps_the_newest(tiny, tmp_path):
    model, optimizer = parts(tiny)
    checkpoints = Checkpoints(str(tmp_path), model, optimizer, keep=2)
    for step in (1, 2, 10):
        checkpoints.save(step, {"step": step})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-00000002.safetensors",
        "step-00000010.safetensors",
    ]
    assert checkpoints.restore() == {"step": 10}


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_newest_is_reported_and_the_one_before_used(tiny, tmp_path, capsys, damage):
    model, optimizer = parts(tiny)
    checkpoints = Checkpoints(str(tmp_path), model, optimizer)
    checkpoints.save(1, {"step": 1})
    checkpoints.save(2, {"step": 2})
    newest = tmp_path / "step-00000002.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "bit":
        content[-1000] ^= 1
    newest.write_bytes(content if damage == "bit" else content[: len(content) // 2] if damage == "cut" else b"")
    assert checkpoints.restore() == {"step": 1}
    assert "step-00000002.safetensors is damaged" in capsys.readouterr().out


def test_nothing_to_restore(tiny, tmp_path):
    assert Checkpoints(str(tmp_path / "none"), *parts(tiny)).restore() is None


def test_another_models_checkpoint_is_refused(tiny, tmp_path):
    model, optimizer = parts(tiny)
    Checkpoints(str(tmp_path), model, optimizer).save(1, {})
    frozen = AdamWeightDecay(1e-3, lr_multipliers=[("token_embedding/.*", 0.0)])
    frozen.build(model.trainable_variables)
    with pytest.raises(InputError, match="another model or optimiser"):
        Checkpoints(str(tmp_path), model, frozen).restore()


def test_a_full_disk_keeps_the_last_good_one(tiny, tmp_path):
    """RLIMIT_FSIZE makes the write fail as a full disk does: partly written, then an error."""
    import resource

    model, optimizer = parts(tiny)
    checkpoints = Checkpoints(str(tmp_path), model, optimizer)
    checkpoints.save(1, {"step": 1})
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(InputError, match="cannot be written .* saved before is kept"):
            checkpoints.save(2, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.safetensors"]
    assert checkpoints.restore() == {"step": 1}


def test_too_little_disk_is_said_beforehand(tiny, tmp_path, monkeypatch):
    import shutil

    model, optimizer = parts(tiny)
    check_disk(str(tmp_path / "not" / "there"), model, optimizer, 2)
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="needs 0.0 GB for 2 checkpoints and the model; its disk has 0.0 GB free"):
        check_disk(str(tmp_path), model, optimizer, 2)


def test_another_file_system(tiny, shared_file_system, tmp_path):
    """A whole run, interrupted, resumed and overwritten, in folders that only tf.io.gfile can reach."""
    from tfbert import load_config, load_model, predict, run
    from tfbert.training.signals import Interrupted

    train = tmp_path / "train.tsv"
    train.write_text("text\tlabel\n" + "".join(f"{t or 'x'}\t{'printer' in t}\n" for t in random_texts(40)))
    settings = {"preset": tiny, "train_file": str(train), "dev_file": str(train), "output_dir": shared_file_system,
                "max_seq_length": 32, "max_steps": 12, "eval_steps": 4, "save_checkpoints_steps": 5,
                "strategy": "one_device"}  # fmt: skip
    with pytest.raises(Interrupted, match="Stopped by SIGTERM at step 4, which is saved"):
        with terminated_at_step(4):
            run(load_config(**settings))
    results = run(load_config(**settings))
    assert results["best_step"] in (4, 8, 12)
    whole = run(load_config(**settings, overwrite=True))
    assert whole["dev"] == results["dev"]
    assert len(predict(load_model(f"{shared_file_system}/model"), ["the printer is down"])) == 1
    with pytest.raises(InputError, match="already holds a finished run"):
        run(load_config(**settings))


@pytest.fixture
def shared_file_system():
    """A folder in TensorFlow's own in-memory file system, which has no path that Python's open could read."""
    import tensorflow as tf

    folder = "ram://runs/one"
    yield folder
    tf.io.gfile.rmtree(folder)


def damage(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_newest_takes_no_place(tiny, tmp_path, capsys, keep):
    """It has the highest step, but is none of this run's: what is written afterwards stays."""
    model, optimizer = parts(tiny)
    checkpoints = Checkpoints(str(tmp_path), model, optimizer, keep)
    for step in (8, 10):
        checkpoints.save(step, {"step": step})
    damage(tmp_path / "step-00000010.safetensors")
    restored = checkpoints.restore()
    first = capsys.readouterr().out
    assert restored == ({"step": 8} if keep == 2 else None)
    assert ("the checkpoint before it is used" in first) == (keep == 2)
    assert ("there is no other, so training starts again" in first) == (keep == 1)
    for step in (3, 6, 9) if keep == 1 else (9,):
        checkpoints.save(step, {"step": step})
        assert checkpoints.restore() == {"step": step}
    assert [path.name[5:13] for path in sorted(tmp_path.iterdir())] == ["00000008", "00000009"][2 - keep :]


def test_the_newest_has_the_highest_step(tiny, tmp_path):
    """Of eight digits and of nine, whose names stand in another order."""
    checkpoints = Checkpoints(str(tmp_path), *parts(tiny), keep=2)
    for step in (99_999_999, 100_000_000):
        checkpoints.save(step, {"step": step})
    assert checkpoints.restore() == {"step": 100_000_000}


@pytest.mark.parametrize("change", [
    lambda about: about | {"state": about["state"][:-3]},
    lambda about: about | {"state": about["state"].replace("0.25", "0.75")},
    lambda about: {"format": "pt"},
], ids=["cut", "another number", "none"])  # fmt: skip
def test_a_damaged_state_is_reported(tiny, tmp_path, capsys, change):
    """The tensors are whole; what the run remembers beside them is not."""
    checkpoints = Checkpoints(str(tmp_path), *parts(tiny))
    for step in (1, 2):
        checkpoints.save(step, {"step": step, "losses": [0.25]})
    path = str(tmp_path / "step-00000002.safetensors")
    with safe_open(path, "numpy") as file:
        about = file.metadata()
    save_file(load_file(path), path, change(about))
    assert checkpoints.restore()["step"] == 1
    assert "step-00000002.safetensors is damaged" in capsys.readouterr().out


def test_shapes_are_compared_before_anything_is_restored(tiny, tmp_path):
    """A new label makes the head wider; so does --resume_changed, which lets other settings pass."""
    model, optimizer = parts(tiny)
    Checkpoints(str(tmp_path), model, optimizer).save(1, {})
    wider = build_model(load_encoder(tiny), TASKS["classification"](["a", "b", "c"]), max_seq_length=32, init_seed=7)
    other = AdamWeightDecay(1e-3)
    other.build(wider.trainable_variables)
    before = all_values(wider, other)
    with pytest.raises(InputError, match=r"has the shape \[32, 2\], but \[32, 3\] is needed.* --overwrite"):
        Checkpoints(str(tmp_path), wider, other).restore()
    for a, b in zip(before, all_values(wider, other)):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_before_is_read(tiny, tmp_path):
    """Those written so far have a checksum of their tensors alone."""
    checkpoints = Checkpoints(str(tmp_path), *parts(tiny))
    checkpoints.save(1, {"step": 1})
    path = str(tmp_path / "step-00000001.safetensors")
    with safe_open(path, "numpy") as file:
        about = file.metadata()
    save_file(load_file(path), path, {name: about[name] for name in ("step", "state", "sha256")})
    assert checkpoints.restore() == {"step": 1}
