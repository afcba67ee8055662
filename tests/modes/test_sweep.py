"""Sweeps through the command line: grid, search, two workers, kill and go on."""

import gc
import json
import re
import signal
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.conftest import command, file_flags, terminated_at_step
from tests.processes import Run, wait_until
from tfbert import InputError, load_config, run
from tfbert.modes.sweep_study import _write_in_turn, grid, trial_name
from tfbert.training.signals import Interrupted

SWEEP = "{learning_rate: [1e-3, 3e-3], seed: 3}"


@pytest.fixture(scope="module")
def flags(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return [f"--preset={tiny}", *file_flags(folder), "--max_seq_length=32", "--train_batch_size=8", "--max_steps=12",
            "--eval_steps=4", "--best_metric=loss", "--save_checkpoints_steps=3"]  # fmt: skip


@pytest.fixture(scope="module")
def whole(flags, tmp_path_factory):
    """A sweep of six trials that nobody disturbed: (folder, what it printed)."""
    output = tmp_path_factory.mktemp("whole")
    result = command("--mode=sweep", *flags, f"--output_dir={output}", f"--sweep={SWEEP}", check=0)
    assert "Warning" not in result.stderr
    return output, result.stdout


def started(printed):
    """Returns how many trials a sweep says it ran."""
    return len(re.findall(r"Trial \d+: \w+=", printed))


def trials_of(output):
    trials = [json.loads(line) for line in (output / "trials.jsonl").read_text().splitlines()]
    return {(trial["settings"]["learning_rate"], trial["settings"]["seed"]): trial for trial in trials}


def scores_of(output):
    return {point: trial["results"]["dev"] for point, trial in trials_of(output).items()}


def test_every_point_once_each_like_a_run_of_its_own(whole, flags, tmp_path):
    """The trials share one trace; a run alone, in a process of its own, gives the same numbers to the last bit."""
    output, printed = whole
    assert started(printed) == 6
    assert trials_of(output).keys() == {(rate, seed) for rate in (1e-3, 3e-3) for seed in range(3)}
    assert len({scores["loss"] for scores in scores_of(output).values()}) == 6
    command(*flags, f"--output_dir={tmp_path}/alone", "--learning_rate=3e-3", "--seed=2", check=0)
    alone = json.loads((tmp_path / "alone" / "eval_results.json").read_text())
    assert alone["dev"] == scores_of(output)[3e-3, 2]
    trial = trials_of(output)[3e-3, 2]["folder"]
    assert (tmp_path / "alone" / "metrics.jsonl").read_text() == open(f"{trial}/metrics.jsonl").read()


def test_the_best_model_is_kept_and_no_other(whole):
    output, _ = whole
    best = min(trials_of(output).values(), key=lambda trial: trial["results"]["dev"]["loss"])
    kept = load_file(output / "model" / "model.safetensors")
    for name, value in load_file(f"{best['folder']}/model/model.safetensors").items():
        np.testing.assert_array_equal(kept[name], value)
    assert len(list(output.glob("trials/*/model"))) == 1 and not list(output.glob("trials/*/checkpoints"))
    assert "Best median loss" in (output / "report.html").read_text("utf-8")


def test_one_trace_for_all_trials_of_a_shape(flags, tmp_path):
    from tfbert.modes.build import strategy_of
    from tfbert.modes.train import Trainer

    settings = dict(flag.lstrip("-").split("=", 1) for flag in flags)
    config = load_config(**settings, strategy="one_device")
    trainer = Trainer(strategy_of(config))
    loops, graphs, examples = [], [], []
    for folder, changes in (
        ("a", {}),
        ("b", {"seed": 1}),
        ("c", {"learning_rate": 3e-3}),
        ("d", {"weight_decay": 0.1}),
        ("e", {"max_seq_length": 24}),
    ):
        trainer.train(config.replace(output_dir=str(tmp_path / folder), **changes), announce=False)
        loops.append(trainer._graphs.loop)
        examples.append([trainer._parts.datasets[split].examples for split in ("train", "dev")])
        graphs.append(weakref.ref(loops[-1]._run._list_all_concrete_functions()[0].graph))
    assert loops[0] is loops[1] is loops[2] is not loops[3]
    assert loops[0]._run.experimental_get_tracing_count() == 1
    for of_split in zip(*examples):
        assert len({id(each) for each in of_split[:4]}) == 1 and of_split[4] is not of_split[0]
    del loops
    gc.collect()
    assert graphs[-1]() is not None
    assert graphs[0]() is None, "a graph that is left over keeps its model in memory"


def test_a_finished_sweep_runs_nothing_and_a_larger_grid_only_what_is_new(whole, flags):
    output, _ = whole
    again = command("--mode=sweep", *flags, f"--output_dir={output}", f"--sweep={SWEEP}", check=0)
    assert not started(again.stdout) and "6 trials, " in again.stdout
    before = scores_of(output)
    more = command("--mode=sweep", *flags, f"--output_dir={output}", "--sweep={learning_rate: [1e-3, 3e-3], seed: 4}",
                   check=0)  # fmt: skip
    assert started(more.stdout) == 2
    assert {point: scores for point, scores in scores_of(output).items() if point in before} == before
    result = command(
        "--mode=sweep", *flags, f"--output_dir={output}", f"--sweep={SWEEP}", "--weight_decay=0.3", check=1
    )
    assert "holds a sweep with other settings: weight_decay was 0.01, is 0.3" in result.stderr


def test_a_mistake_found_by_the_first_trial_can_be_mended(flags, tmp_path):
    """The first command's settings, under which nothing has run, do not bind the second."""
    sweep = ["--mode=sweep", *flags, f"--output_dir={tmp_path}", "--sweep={seed: 2}", "--max_steps=2"]
    wrong = command(*sweep, "--label_column=answer", check=1)
    assert "answer" in wrong.stderr and "Traceback" not in wrong.stderr
    right = command(*sweep, check=0)
    assert started(right.stdout) == 2
    other = command(*sweep, "--train_file=other.jsonl", check=1)
    assert "train_file was " in other.stderr


def start(flags, output, *more):
    return Run(["--mode=sweep", *flags, f"--output_dir={output}", f"--sweep={SWEEP}", *more])


def test_a_killed_sweep_goes_on_and_ends_the_same(whole, flags, tmp_path):
    process = start(flags, tmp_path)
    wait_until(lambda: len(list(tmp_path.glob("trials/*/metrics.jsonl"))) > 1, process)
    process.kill()
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    ended = len(list(tmp_path.glob("trials/*/eval_results.json")))
    fewer = command("--mode=sweep", *flags, f"--output_dir={tmp_path}", "--sweep={learning_rate: [3e-3], seed: [2]}",
                    check=0)  # fmt: skip
    assert started(fewer.stdout) == 1, "what has been taken out of the grid waits no longer"
    process = start(flags, tmp_path)
    printed = process.communicate(timeout=300)[0]
    assert process.returncode == 0, printed[-3000:]
    assert ended < 5 and started(printed) in (5 - ended, 6 - ended)
    expected = {point: scores for point, scores in scores_of(whole[0]).items() if point[1] < 3}
    assert scores_of(tmp_path) == expected


def test_two_workers_share_a_sweep(whole, flags, tmp_path):
    workers = [start(flags, tmp_path, f"--sweep_store=sqlite:///{tmp_path}/shared.db") for _ in range(2)]
    printed = [worker.communicate(timeout=600)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n\n".join(text[-3000:] for text in printed)
    counts = [started(text) for text in printed]
    assert sum(counts) == 6 and min(counts) >= 1
    expected = {point: scores for point, scores in scores_of(whole[0]).items() if point[1] < 3}
    assert scores_of(tmp_path) == expected and (tmp_path / "model" / "model.safetensors").exists()


def test_no_two_workers_take_the_same_trial(tmp_path):
    """Three at once at a queue of 60: without locks about one trial in ten is taken twice."""
    import optuna

    url = f"sqlite:///{tmp_path}/sweep.db"
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="queue", storage=storage)
    for number in range(60):
        study.enqueue_trial({}, user_attrs={"number": number})

    def take(_):
        own = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}})
        _write_in_turn(own.engine)
        study = optuna.load_study(study_name="queue", storage=own)
        return [study.ask().user_attrs.get("number") for _ in range(20)]

    with ThreadPoolExecutor(3) as pool:
        taken = [number for numbers in pool.map(take, range(3)) for number in numbers]
    assert sorted(taken) == list(range(60))


def test_a_failed_trial_is_recorded_with_its_reason(flags, tmp_path):
    output = command(
        "--mode=sweep", *flags, f"--output_dir={tmp_path}", "--sweep={learning_rate: [1e-3, 1e30]}", check=0
    )
    trials = {trial["settings"]["learning_rate"]: trial for trial in trials_of_any(tmp_path)}
    assert "The loss is nan at step" in trials[1e30]["failed"] or "The loss is inf" in trials[1e30]["failed"]
    assert not trials[1e30]["results"] and trials[1e-3]["results"]["dev"]
    assert re.search("2 trials, [12] of them failed", output.stdout)
    again = command(
        "--mode=sweep", *flags, f"--output_dir={tmp_path}", "--sweep={learning_rate: [1e-3, 1e30]}", check=0
    )
    assert not started(again.stdout)


def trials_of_any(output):
    return [json.loads(line) for line in (output / "trials.jsonl").read_text().splitlines()]


def test_search(flags, tmp_path):
    space = "{learning_rate: {low: 1e-5, high: 1e-2, log: true}, warmup_steps: {low: 0, high: 6}, dropout: [0.0, null]}"
    command("--mode=sweep", *flags, f"--output_dir={tmp_path}", f"--sweep={space}", "--sweep_trials=3", check=0)
    trials = trials_of_any(tmp_path)
    assert len(trials) == 3 and len({trial["settings"]["learning_rate"] for trial in trials}) == 3
    for trial in trials:
        assert 1e-5 <= trial["settings"]["learning_rate"] <= 1e-2 and trial["settings"]["warmup_steps"] in range(7)
        assert trial["settings"]["dropout"] in (0.0, None)


def test_grid_varies_fastest_what_needs_no_new_trace():
    points = grid([{"seed": [0, 1], "mixout": [0.0, 0.5], "learning_rate": [1e-5, 2e-5]}])
    assert [point["mixout"] for point in points] == [0.0] * 4 + [0.5] * 4
    assert len({tuple(point.values()) for point in points}) == 8 and list(points[0]) == [
        "seed",
        "mixout",
        "learning_rate",
    ]


def test_several_grids(flags, tmp_path):
    """One after another; a point that stands in both is run once."""
    grids = "[{seed: 2}, {mixout: [0.0, 0.5], seed: 2}]"
    command("--mode=sweep", *flags, f"--output_dir={tmp_path}", f"--sweep={grids}", check=0)
    settings = [trial["settings"] for trial in trials_of_any(tmp_path)]
    assert settings == [{"seed": s, "mixout": m} for m in (0.0, 0.5) for s in (0, 1)]
    assert "mixout: 0 → 0.5</td><td>2</td>" in (tmp_path / "report.html").read_text("utf-8")


def test_a_signal_at_the_last_step_of_a_trial_stops_the_sweep_after_it(flags, tmp_path):
    settings = dict(flag.lstrip("-").split("=", 1) for flag in flags)
    config = load_config(**settings, mode="sweep", output_dir=str(tmp_path), sweep="{seed: 2}", strategy="one_device")
    with pytest.raises(Interrupted, match="Stopped by SIGTERM before the next run"), terminated_at_step(12):
        run(config)
    assert [trial["settings"] for trial in trials_of_any(tmp_path)] == [{"seed": 0}]


def test_names_of_trials():
    assert trial_name({"learning_rate": 2e-5, "seed": 3}) == "learning_rate=2e-05,seed=3"
    names = [trial_name({"lr_multipliers": [pattern]}) for pattern in (".*/bias=2", ".*_bias=2", "x" * 300)]
    assert len(set(names)) == 3 and all("/" not in name and len(name) < 150 for name in names)


@pytest.mark.parametrize(
    "sweep,more,message",
    [
        ("{learning_rat: [1]}", {}, "Unknown setting 'learning_rat'. Did you mean 'learning_rate'"),
        ("{learning_rate: 3}", {}, r"--sweep takes, for each setting, a list .* Received for learning_rate: 3"),
        ("{learning_rate: [-1]}", {}, "--learning_rate must be a number > 0.0. Received: -1"),
        ("{mode: [train]}", {}, "--sweep cannot vary mode"),
        ("{learning_rate: {low: 1, high: 2}}", {}, "has a range .learning_rate., so --sweep_trials=N is needed"),
        ("[1]", {}, "--sweep must be a mapping, or a list of mappings"),
        ("[{seed: 2}, {mixout: [0.1]}]", {"sweep_trials": 2}, "--sweep_trials searches a single space"),
        ("{seed: 2}", {"mode": "train"}, "--sweep needs --mode=sweep"),
        ("{seed: 2}", {"dev_file": None}, "--mode=sweep needs --dev_file"),
        (None, {}, "--mode=sweep needs --sweep"),
        ("{seed: 2}", {}, "x.tsv"),
        ("{seed: 2}", {"overwrite": True}, "--mode=sweep exclude each other: choose another --output_dir"),
        ("{seed: 2}", {"strategy": "multi_worker"}, "Start it on each machine with the same"),
        ("{seed: 2}", {"sweep_store": "nonsense"}, "--sweep_store=nonsense cannot be opened"),
        ("{seed: 2}", {"output_dir": "ram://x"}, "cannot hold the sweep's database; give one as --sweep_store"),
    ],
)
def test_refusals(tmp_path, sweep, more, message):
    settings = {"mode": "sweep", "preset": "minilm", "train_file": "x.tsv", "dev_file": "x.tsv", "sweep": sweep,
                "output_dir": str(tmp_path / "out")}  # fmt: skip
    with pytest.raises(InputError, match=message):
        run(load_config(**(settings | more)))
    assert not (tmp_path / "out" / "trials").exists()
