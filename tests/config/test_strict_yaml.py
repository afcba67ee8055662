"""YAML as people mean it: spelling is kept, names stand once, bombs are refused at once."""

import pytest
import yaml

from tfbert import InputError, load_config
from tfbert.config.strict_yaml import load_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text,value",
    [
        ("3", 3), ("-0.5", -0.5), ("true", True), ("null", None), ("1e-05", "1e-05"), ("2e-5", "2e-5"),
        ("010", "010"), ("0x1F", "0x1F"), ("1_000", "1_000"), ("1:30", "1:30"), ("1.10", "1.10"),
        ("2026-11-29", "2026-11-29"),
        ("yes", "yes"), ("off", "off"), (".nan", ".nan"), ("'3'", "3"), ("", None),
    ],
)  # fmt: skip
def test_values_keep_their_spelling(text, value):
    assert load_yaml(text) == value and type(load_yaml(text)) is type(value)


def test_spelling_reaches_the_settings(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "xla: on\nquoting: off\ncalibrate: yes\ndev_file: d\nlabel_column: 1.10\nid_column: 010\nlearning_rate: 2e-5\n"
        "class_weights: {no: 2, yes: 4}\n"
    )
    config = load_config(path)
    assert (config.runtime.xla, config.data.quoting, config.balance.calibrate) == ("on", "off", True)
    assert (config.data.label_column, config.data.id_column) == ("1.10", "010")
    assert config.balance.class_weights == ("no=2", "yes=4") and config.optimizer.learning_rate == 2e-5


def test_anchors_and_merges_work_where_nothing_grows():
    assert load_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}") == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    "text,message",
    [
        ("seed: 1\nlearning_rate: 1\nseed: 2", "'seed' is given twice"),
        ("sweep: {seed: 3, seed: 4}", "'seed' is given twice"),
        (BOMB, "has more than 100,000 values once aliases"),
        ("a: &a [*a]", "an alias is inside the node that it refers to"),
        ("[" * 5_000, "nested too deeply"),
        ("#" * (2**20 + 1), "more than 1,048,576 characters"),
        ("seed: !!python/object/apply:os.getpid []", "could not determine a constructor"),
        ("a: b: c", "mapping values are not allowed"),
        ("a: \x07", "special characters are not allowed"),
    ],
    ids=["twice", "twice_inside", "bomb", "cycle", "deep", "large", "tag", "syntax", "control"],
)
def test_what_is_refused(text, message, tmp_path):
    with pytest.raises(yaml.YAMLError, match=message):
        load_yaml(text)
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(path)


def test_a_flag_of_yaml_is_read_likewise():
    with pytest.raises(InputError, match="'seed' is given twice"):
        load_config(sweep="{seed: 3, seed: 4}")
    (space,) = load_config(sweep="{xla: [on, off], learning_rate: {low: 1e-5, high: 1e-4, log: no}}",
                           sweep_trials=2, mode="sweep").sweep.sweep  # fmt: skip
    assert space == {"xla": ["on", "off"], "learning_rate": {"low": 1e-5, "high": 1e-4, "log": False}}
