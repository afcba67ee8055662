"""Settings: one declaration, one parser, four layers of precedence."""

import dataclasses
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tfbert import InputError, load_config
from tfbert.config.groups import BalanceConfig, PretrainingConfig
from tfbert.config.load import FIELDS, Config, flags_table, parse
from tfbert.modes import MODES, check_complete
from tfbert.tasks.rules import RULES


def test_precedence(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("learning_rate: 3e-5\nseed: 4\nlr_multipliers: ['.*bias=2']\n")
    config = load_config(str(path), seed=5)
    assert config.optimizer.learning_rate == 3e-5  # a string in YAML 1.1
    assert config.training.seed == 5
    assert config.optimizer.lr_multipliers == (".*bias=2",)
    assert config.data.max_seq_length == 128
    assert load_config() == Config()


def test_written_settings_repeat_the_run(tmp_path):
    config = load_config(
        learning_rate=1e-4, do_lower_case=False, lr_multipliers=["a=1", "b=0.5"], train_file="数据.tsv"
    )
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(str(path)) == config


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"learning_rat": 1}, "Unknown setting 'learning_rat'. Did you mean 'learning_rate'?"),
        ({"nonsense": 1}, "Unknown setting 'nonsense'. The known ones: train_file, dev_file"),
        ({"lr": 1}, "lr is called learning_rate here."),
        ({"do_predict": True}, "For do_predict write mode=predict."),
        ({"schedule": "liner"}, "Received: 'liner'. Did you mean 'linear'?"),
        ({"learning_rate": "fast"}, "--learning_rate must be a number > 0.0. Received: 'fast'"),
        ({"learning_rate": "1e39"}, "--learning_rate must be a number > 0.0. Received: '1e39'"),
        ({"learning_rate": 0}, "--learning_rate must be a number > 0.0. Received: 0.0"),
        ({"train_batch_size": 2.5}, "--train_batch_size must be a whole number ≥ 1 and ≤ 1048576. Received: 2.5"),
        ({"train_batch_size": True}, "must be a whole number"),
        ({"warmup_proportion": 1.5}, "must be a number ≥ 0.0 and ≤ 1.0"),
        ({"bias_correction": "maybe"}, "--bias_correction must be true or false"),
        (
            {"strategy": "cluster"},
            "--strategy must be auto | one_device | mirrored | multi_worker | tpu. Received: 'cluster'",
        ),
        ({"learning_rate": "inf"}, "--learning_rate must be a number > 0.0. Received: 'inf'"),
        ({"num_train_epochs": float("nan")}, "must be a number > 0.0 and ≤ 1000000.0. Received: nan"),
        ({"seed": 2**63}, "--seed must be a whole number ≥ 0. Received: 9223372036854775808"),
        ({"max_steps": "9" * 5000}, "(5,002 characters)"),
        ({"max_steps": 2**31}, "--max_steps must be at most 2147483647. Received: 2147483648."),
        ({"train_batch_size": 10**7}, "must be a whole number ≥ 1 and ≤ 1048576. Received: 10000000"),
        ({"head_layers": "10000000"}, "--head_layers must be whole numbers of at least 1, at most 65536. Received"),
        ({"dev_file": ""}, "--dev_file must be left out, or given a value; it is empty"),
        ({"lr_multipliers": [""]}, "--lr_multipliers must be left out, or given a value; it is empty"),
        ({"train_file": "caf\udce9.tsv"}, "must be UTF-8 text without U+0000. Received: 'caf\\udce9.tsv'"),
        ({"output_dir": "a\0b"}, "--output_dir must be UTF-8 text without U+0000"),
        ({1: 2}, "Unknown setting 1"),
        ({"sweep": {"seed": 10**9}, "mode": "sweep"}, "Received for seed: 1000000000"),
        ({"sweep": {"seed": 1000, "data_seed": 1000}, "mode": "sweep"}, "--sweep has 1,000,000 points"),
        ({"sweep": "{seed: {low: 1, high: 3, log: maybe}}", "mode": "sweep"}, "Received for seed: {'low': 1"),
        ({"seed": None}, "--seed needs a whole number ≥ 0. Received: nothing"),
        ({"head_layers": "wide"}, "--head_layers must be a list. Received: 'wide'"),
        ({"virtual_devices": 2, "strategy": "one_device"}, "exclude each other"),
        ({"gradient_accumulation_steps": 64}, "a part would be empty"),
        ({"best_metric": "f1"}, "--best_metric=f1 needs --dev_file"),
        ({"eval_steps": 5}, "--eval_steps=5 needs --dev_file"),
        ({"mixout": 1.0}, "--mixout must be a number ≥ 0.0 and < 1.0. Received: 1.0"),
        ({"ema_decay": 1}, "--ema_decay must be a number > 0.0 and < 1.0. Received: 1.0"),
        ({"schedule": "step"}, "--schedule must be linear | cosine | polynomial"),
        ({"reinit_pooler": True, "pooling": "mean"}, "--reinit_pooler and --pooling=mean exclude each other"),
        ({"label_smoothing": 0.1, "task": "regression"}, "--label_smoothing=0.1 and --task=regression exclude"),
        ({"prior_weight_decay": True, "weight_decay": 0}, "--prior_weight_decay needs --weight_decay"),
        (
            {"freeze": "encoder", "reinit_layers": 2},
            "--reinit_layers=2 and --freeze=encoder exclude each other: new weights must be trained",
        ),
        ({"freeze": "encoder", "unfreeze_steps": 2}, "--unfreeze_steps=2 and --freeze=encoder exclude each other"),
        ({"oversample": "urgent=many"}, "with a number of at least 1. Received: 'urgent=many'"),
        ({"oversample": ["urgent=0.5"]}, "with a number of at least 1. Received: 'urgent=0.5'"),
        ({"undersample": ["a=b=2.5"]}, "--undersample takes LABEL=NUMBER, with a whole number of at least 1"),
        ({"class_weights": {"紧急": 0}}, "with a number above 0. Received: '紧急=0'"),
        ({"class_weights": ["a=1", "a=2"]}, "--class_weights names the label 'a' twice"),
        ({"oversample": "a=2", "undersample": "a=5"}, "--oversample and --undersample both name the label 'a'"),
        ({"oversample": "a=2", "balance": "sqrt"}, "--oversample and --balance=sqrt exclude each other"),
        ({"balance": "uniform", "task": "multilabel"}, "--balance=uniform and --task=multilabel exclude each other"),
        ({"loss": "focal", "task": "regression"}, "--loss=focal and --task=regression exclude each other"),
        ({"focal_gamma": 1}, "--focal_gamma=1.0 needs --loss=focal. Received: --loss=cross_entropy"),
        (
            {"loss": "focal", "focal_alpha": 0.25, "class_weights": "balanced"},
            "--focal_alpha=0.25 and --class_weights=balanced exclude each other: both weight the classes",
        ),
        ({"loss": "focal", "label_smoothing": 0.1}, "--label_smoothing=0.1 and --loss=focal exclude each other"),
        (
            {"loss": "focal", "correct_prior": True},
            "--correct_prior and --loss=focal exclude each other: the focal loss does not learn",
        ),
        ({"augment_copies": 3}, "--augment_copies=3 needs --augment, which makes the copies"),
        ({"augment": "swap_words", "augment_probability": 0}, "--augment_probability must be a number > 0.0"),
        ({"augment": "swap_words", "task": "masked_lm"}, "has no effect with --task=masked_lm"),
        ({"folds": 5, "task": "masked_lm"}, "--folds=5 has no effect with --task=masked_lm"),
        ({"fold": 2}, "--fold=2 needs --folds"),
        ({"fold": 6, "folds": 5}, "--fold must be at most 5, the number of --folds. Received: 6"),
        ({"folds": 1}, "--folds must be a whole number ≥ 2. Received: 1"),
        ({"group_column": "author"}, "--group_column=author needs --folds"),
        ({"folds": 5, "mode": "predict"}, "needs --mode=train, sweep, inspect or preflight. Received: --mode=predict"),
        ({"folds": 5, "halve_dev": True, "dev_file": "d"}, "--folds=5 and --halve_dev exclude each other"),
        (
            {"folds": 5, "fold": 1, "test_file": "t"},
            "--fold=1 and --test_file=t exclude each other: the fold is the test data",
        ),
        ({"folds": 5, "fold": 1, "calibrate": True}, "With --fold, --tune_threshold and --calibrate need --dev_file"),
        ({"tune_threshold": "f1"}, "--tune_threshold=f1 needs --dev_file, --dev_share or --folds"),
        ({"calibrate": True}, "--calibrate needs --dev_file, --dev_share or --folds"),
        ({"calibrate": True, "dev_file": "d", "task": "regression"}, "--calibrate and --task=regression exclude"),
        ({"tune_threshold": "auc"}, "--tune_threshold must be accuracy | balanced_accuracy | f1 | mcc"),
        (
            {"correct_prior": True},
            "--correct_prior needs --oversample, --undersample, --balance, --class_weights or --logit_adjustment",
        ),
        ({"vocab_size": 80}, "--vocab_size=80 needs --mode=vocabulary. Received: --mode=train"),
        ({"polynomial_power": 3}, "--polynomial_power=3.0 needs --schedule=polynomial. Received: --schedule=linear"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(InputError) as caught:
        load_config(**settings) if all(isinstance(name, str) for name in settings) else parse(*settings.popitem())
    assert message in str(caught.value)


def test_bad_yaml(tmp_path):
    for content, message in (
        ("a: [", "is not valid YAML"),
        ("seed: 2020-99-99", "--seed must be a whole number"),
        ("[" * 10_000, "is not valid YAML"),
        ("- a\n", "must hold `name: value` lines"),
        ("x: 1\n", "Unknown setting 'x'"),
    ):
        (tmp_path / "a.yaml").write_text(content)
        with pytest.raises(InputError, match=message):
            load_config(str(tmp_path / "a.yaml"))
    for path in (tmp_path / "none.yaml", tmp_path, "", "/dev/zero"):
        with pytest.raises(InputError, match="^--config=.*(cannot be read|is not valid YAML)"):
            load_config(path)
    (tmp_path / "a.yaml").write_bytes(b"\x93NUMPY\x01\x00v\xe9")
    with pytest.raises(InputError, match="is not valid YAML: 'utf-8' codec can't decode"):
        load_config(tmp_path / "a.yaml")


def test_a_mode_says_what_it_needs():
    with pytest.raises(InputError) as error:
        check_complete(load_config())
    assert str(error.value) == (
        "--mode=train needs --preset (pre-trained model), --train_file (training data), "
        "--output_dir (folder for all output)."
    )
    with pytest.raises(InputError, match="--mode=predict needs --test_file"):
        check_complete(load_config(mode="predict", output_dir="x"))
    with pytest.raises(InputError, match=r"--topology \(TPU that preflight checks, by Google's name\)"):
        check_complete(load_config(mode="preflight", preset="p", train_file="t", output_dir="x"))
    with pytest.raises(InputError, match="--mode=probe needs --dev_file"):
        check_complete(load_config(mode="probe", preset="p", train_file="t", output_dir="x"))
    check_complete(load_config(mode="inspect", train_file="t"))


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_can_be_chosen_and_asks_for_its_data(mode):
    with pytest.raises(InputError, match=f"--mode={mode} needs --"):
        check_complete(load_config(mode=mode))


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_declared_in_full(name):
    field = FIELDS[name]
    assert field.metadata["help"] and not field.metadata["help"].endswith(".")
    assert parse(name, field.default) == field.default or field.default is None
    if field.default is not None and field.default != ():
        assert parse(name, str(field.default)) == field.default


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config().training.seed = 3


def test_the_docs_list_every_flag():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert flags_table() in page, "docs/settings.md is stale: run tools/write_docs.py"


def test_the_rules_of_tasks_are_known_before_tensorflow_is_loaded():
    script = (
        "import sys, tfbert\n"
        "for name in ('classification', 'multilabel', 'regression', 'masked_lm'):\n"
        "    tfbert.load_config(task=name)\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_every_setting_of_a_group_that_a_task_ignores_is_in_its_rules():
    """A new setting of raw text, or of rare classes, must say which tasks it means nothing to."""
    raw_text = {field.name for field in dataclasses.fields(PretrainingConfig)}
    classes = {field.name for field in dataclasses.fields(BalanceConfig)} | {"label_smoothing"}
    assert raw_text <= RULES["classification"].ignores.keys() & RULES["multilabel"].ignores.keys()
    words = {"tag_decoding", "doc_stride", "max_query_length", "max_answer_length"}
    assert raw_text | classes | words == RULES["regression"].ignores.keys()
    assert classes <= RULES["masked_lm"].ignores.keys()
    trained = {"class_weights", "loss", "focal_gamma", "logit_adjustment", "label_smoothing"}
    assert raw_text | classes | {"tag_decoding"} <= RULES["span"].ignores.keys()
    refused = RULES["tagging"].ignores.keys()
    assert raw_text | classes - trained <= refused and not trained & refused
    assert all(name in FIELDS for rules in RULES.values() for name in [*rules.ignores, *rules.least])


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda path: path.name)
def test_every_recipe_loads_and_says_how_to_run_it(path):
    config = load_config(str(path))
    check_complete(config)
    header = path.read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    assert all(line.startswith("#") for line in header)
    fetched = dict.fromkeys(re.findall(r"\bdata/(\w+)/", path.read_text(encoding="utf-8")))
    fetched.pop("samples", None)  # these are in the package
    assert not fetched or f"# python tools/fetch_data.py {' '.join(fetched)}" in header
    values = config.as_dict()
    assert values["dev_file"] is None or ":test" not in values["dev_file"] or path.name == "trec.yaml"
    if path.name.startswith(("zhang2020", "mosbach2020", "sun2019")):
        assert f"# python -m tfbert.run --config=configs/{path.name}" in header
        assert any(line.startswith("# PUBLISHED, not measured here: ") for line in header)
        assert config.training.output_dir == f"runs/{path.stem}"
