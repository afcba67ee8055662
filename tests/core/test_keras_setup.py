"""What Keras must be set to: one sentence with the remedy, on the command line, in Python and by the doctor."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfbert
from tests.conftest import ROOT, command
from tfbert import InputError, doctor, load_encoder
from tfbert.core.keras_setup import keras_problems

GOOD = {"floatx": "float32", "epsilon": 1e-7, "backend": "tensorflow", "image_data_format": "channels_last"}
WRONG_VARIABLES = [
    ({"KERAS_BACKEND": "jax"}, "backend is jax", "export KERAS_BACKEND=tensorflow"),
    ({"KERAS_BACKEND": "none"}, "backend is none", "export KERAS_BACKEND=tensorflow"),
    ({"TF_USE_LEGACY_KERAS": "1"}, "TF_USE_LEGACY_KERAS=1", "unset TF_USE_LEGACY_KERAS"),
]
WRONG_FILES = [
    (GOOD | {"floatx": "float16"}, "floatx is float16", '"floatx": "float32"'),
    (GOOD | {"floatx": "bfloat16"}, "floatx is bfloat16", '"floatx": "float32"'),
    (GOOD | {"backend": "torch"}, "backend is torch", '"backend": "tensorflow"'),
    (GOOD | {"image_data_format": "channels_first"}, "is channels_first", '"image_data_format": "channels_last"'),
    (GOOD | {"epsilon": 1}, "cannot read its settings", "rm "),
    ([1], "cannot read its settings", "rm "),
]


def written(folder, settings):
    (folder / "keras.json").write_text(json.dumps(settings))
    return {"KERAS_HOME": str(folder)}


def without_keras(script, environment):
    """Runs a script with these variables, and with none of Keras' that the tests have; returns what it printed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "TF_USE_"))}
    result = subprocess.run(
        [sys.executable, *script], capture_output=True, text=True, cwd=ROOT, env=kept | environment
    )
    assert "Traceback" not in result.stderr
    return result


@pytest.mark.parametrize("variables,problem,remedy", WRONG_VARIABLES)
def test_variables(variables, problem, remedy, tmp_path):
    ((found, mended),) = keras_problems({"KERAS_HOME": str(tmp_path)} | variables)
    assert problem in found and remedy in mended


@pytest.mark.parametrize("settings,problem,remedy", WRONG_FILES)
def test_files(settings, problem, remedy, tmp_path):
    ((found, mended),) = keras_problems(written(tmp_path, settings))
    assert problem in found and str(tmp_path / "keras.json") in found + mended and remedy in mended
    assert str(tmp_path) in mended or remedy in mended


def test_what_is_right(tmp_path):
    none = {"KERAS_HOME": str(tmp_path)}
    assert keras_problems(none) == []  # no file
    assert keras_problems(none | {"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}) == []
    assert keras_problems(written(tmp_path, GOOD)) == []
    assert keras_problems(written(tmp_path, {})) == []
    assert keras_problems(written(tmp_path, GOOD | {"backend": "jax"}) | {"KERAS_BACKEND": "tensorflow"}) == []
    (tmp_path / "keras.json").write_text('{"floatx": "float16"')  # Keras takes no notice of it, either
    assert keras_problems(none) == []


def test_keras_agrees_on_what_it_reads(tmp_path):
    """Keras itself, in a process of its own, is set to what the settings file is said to set."""
    script = "import keras; print(keras.config.floatx(), keras.config.image_data_format())"
    environment = written(tmp_path, GOOD | {"floatx": "float16", "image_data_format": "channels_first"})
    assert without_keras(["-c", script], environment).stdout.split() == ["float16", "channels_first"]
    assert len(keras_problems(environment)) == 2


def test_the_doctor_finds_it(tmp_path):
    versions = {"tensorflow": "2.21.0", "tensorflow-text": "2.21.1"}
    variables = written(tmp_path, GOOD | {"floatx": "float16"}) | {"TF_USE_LEGACY_KERAS": "True"}
    said = []
    findings = doctor(versions, variables, has_tpu=False, say=said.append)
    assert len(findings) == 2 and "No problems found." not in said
    assert "    Remedy: unset TF_USE_LEGACY_KERAS" in "\n".join(said)


@pytest.mark.parametrize(
    "environment,message",
    [({"KERAS_BACKEND": "jax"}, "backend is jax"), ({}, "floatx is float16")],
    ids=["variable", "file"],
)
def test_the_command_line_and_the_first_use_of_a_public_name(environment, message, tmp_path):
    environment = environment | written(tmp_path, GOOD | ({} if environment else {"floatx": "float16"}))
    flags = ["--preset=minilm", f"--train_file={tmp_path}/none.tsv", f"--output_dir={tmp_path}/out"]
    result = without_keras(["-m", "tfbert.run", *flags], environment)
    assert result.returncode == 1 and message in result.stderr and result.stderr.count("\n") == 1
    result = without_keras(["-m", "tfbert.run", "--mode=preflight", "--doctor"], environment)
    assert result.returncode == 1 and message in result.stdout
    script = (
        "import sys, tfbert; tfbert.load_config()\n"
        "try: tfbert.load_encoder\n"
        "except tfbert.InputError as error: print(error)\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    result = without_keras(["-c", script], environment)
    assert message in result.stdout and result.stdout.count("\n") == 1 and not result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def restored():
    yield
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float64"])
def test_floatx_set_by_the_program(floatx, tiny, restored):
    keras.config.set_floatx(floatx)
    for make in (lambda: load_encoder(tiny), lambda: tfbert.AdamWeightDecay(1e-3), lambda: tfbert.load_tokenizer):
        with pytest.raises(InputError, match=f"floatx is {floatx}.*keras.config.set_floatx\\('float32'\\)"):
            make()


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float64", "mixed_bfloat16"])
def test_keras_global_policy_changes_nothing(policy, tiny, restored):
    """Weights are float32, and so is arithmetic that is not asked to be another; `fit` scales no loss."""
    features = {
        name: np.array([[2, 9, 8, 3]] if name == "token_ids" else [[0, 1, 2, 3]] if name == "positions" else [[1] * 4])
        for name in ("token_ids", "segment_ids", "positions", "window_ids")
    }
    features = {name: value.astype("int32") for name, value in features.items()}
    features |= {"window_start": np.zeros(1, "int32"), "window_example": np.zeros(1, "int32")}

    def built():
        encoder = load_encoder(tiny, dropout=0.0)
        tfbert.add_mixout(encoder, 0.5)
        model = tfbert.build_model(encoder, tfbert.TASKS["classification"](["no", "yes"]), max_seq_length=48)
        model.compile(optimizer=tfbert.AdamWeightDecay(1e-3))
        model.optimizer.build(model.trainable_variables)
        return model

    plain = built()
    keras.config.set_dtype_policy(policy)
    model = built()
    assert isinstance(model.optimizer, tfbert.AdamWeightDecay)
    floats = {v.dtype for v in model.variables + model.optimizer.variables if "int" not in v.dtype}
    assert floats == {"float32"}
    np.testing.assert_array_equal(np.asarray(model(features)), np.asarray(plain(features)))


@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "float64", "bfloat16"])
def test_an_encoders_weights_are_float32(dtype, tiny):
    with pytest.raises(InputError, match=f"must be float32 or mixed_bfloat16.*Received: {dtype}"):
        load_encoder(tiny, dtype=dtype)


def test_the_line_in_help_is_there_whatever_keras_is_set_to(tmp_path):
    assert "--learning_rate" in command("--help", environment={"KERAS_BACKEND": "jax"}).stdout
