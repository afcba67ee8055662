"""Whatever stands in a config file or behind a flag: settings, or one sentence. TensorFlow is not needed."""

import contextlib
import pathlib
import tempfile

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfbert import InputError, load_config
from tfbert.config.load import FIELDS, Config
from tfbert.modes import check_complete

BOUNDED = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
)
NAMES = st.sampled_from(sorted(FIELDS))
WORDS = st.sampled_from(
    ["", "~", "~/x", "~nobody/x", "nan", "-inf", ".inf", "1e400", "-1", "9" * 400, "0x10", "1_000", "2026-02-30"]
    + ["a=1", "=", "=1", "a=nan", "on", "no", "[1", "{a: [1", "{learning_rate: {low: 1, high: nan}}", "{seed: 1e9}"]
    + ["[{a: {task: masked_lm}}, {b: {seed: 2}}]", "{x: &a [*a]}", "!!python/object:os.system x", "\0", "\udce9", "数据"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
VALUES = st.recursive(
    SCALARS | st.dates() | st.binary(max_size=4),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(NAMES | SCALARS, inside, max_size=4),
    max_leaves=10,
)


def is_settings_or_one_sentence(*path, **values):
    """Loads settings; they must be refused in one line, or be written and read again as they are."""
    try:
        config = load_config(*path, **values)
        again = load_config(**yaml.safe_load(config.to_yaml()))
        check_complete(config)
    except InputError as error:
        assert 10 < len(str(error)) < 6_000 and "\n" not in str(error)
        return
    assert isinstance(config, Config) and again == config


@BOUNDED
@given(st.dictionaries(NAMES | SCALARS, VALUES, max_size=4))
def test_any_mapping_in_a_file(content):
    with written(yaml.dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")) as path:
        is_settings_or_one_sentence(path)


@BOUNDED
@given(st.binary(max_size=60) | st.text(alphabet="a: \n-[]{}&*!|>'\"#?%@`,~<1.eé\t", max_size=60).map(str.encode))
def test_any_bytes_in_a_file(content):
    with written(content) as path:
        is_settings_or_one_sentence(path)


@BOUNDED
@given(st.dictionaries(NAMES, st.text(max_size=20) | WORDS | VALUES, max_size=3))
def test_any_text_behind_flags(values):
    is_settings_or_one_sentence(**values)


@contextlib.contextmanager
def written(content):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "config.yaml")
        path.write_bytes(content)
        yield str(path)
