"""The doctor: every broken environment it was made for gets a finding with its remedy, a good one none."""

import pytest

from tests.conftest import command
from tfbert import doctor
from tfbert.modes.doctor import installed_versions
from tfbert.modes.preflight.pins import TPU_PINS, pins_of

GOOD = pins_of("2.20")
CPU = {"tensorflow": "2.21.0", "tensorflow-text": "2.21.1", "keras": "3.15.1", "keras-hub": "0.32.0"}
QUIET = {"TPU_SKIP_MDS_QUERY": "1"}


def found(versions, variables=QUIET, **options):
    said = []
    findings = doctor(versions, variables, say=said.append, **{"has_tpu": False, **options})
    assert all(finding.problem and finding.remedy for finding in findings)
    assert all(str(finding) in "\n".join(said) for finding in findings)
    return [f"{finding.problem} {finding.remedy}" for finding in findings]


@pytest.mark.parametrize("name", TPU_PINS)
def test_known_good_sets_are_good(name):
    assert found(pins_of(name)) == []
    assert found(pins_of(name), {}, has_tpu=True) == []
    for libtpu in TPU_PINS[name]["libtpu"]:
        assert found({**pins_of(name), "libtpu": libtpu}) == []


def test_a_machine_without_tpu_software_is_good():
    assert found(CPU, {}) == []
    assert found({**CPU, "libtpu": "0.0.51"}, {}) == []  # the compiler of preflight, beside plain TensorFlow


@pytest.mark.parametrize(
    "versions,variables,problem,remedy",
    [
        ({**GOOD, "tensorflow": "2.20.0"}, QUIET, "overwrites tensorflow-tpu", "pip uninstall -y tensorflow "),
        ({**GOOD, "libtpu": "0.0.51"}, QUIET, "too new", "libtpu==0.0.17"),
        ({**GOOD, "libtpu": "0.0.10"}, QUIET, "too old", "libtpu==0.0.17"),
        ({k: v for k, v in GOOD.items() if k != "libtpu"}, QUIET, "libtpu is not. pip", "libtpu==0.0.17"),
        ({**GOOD, "tensorflow-tpu": "2.18.0", "tensorflow-text": "2.18.1"}, QUIET, "version set", "tools/install_tpu"),
        ({**GOOD, "tensorflow-text": "2.19.0"}, QUIET, "does not match", "tensorflow-text==2.20.1"),
        ({**CPU, "tensorflow-text": "2.19.0"}, {}, "does not match", "tensorflow-text==2.21.*"),
        ({**CPU, "tensorflow-text": "2.21.0"}, {}, "is broken", "tensorflow-text==2.21.1"),
        ({"tensorflow": "2.21.0"}, {}, "tensorflow-text is not installed", "--no-deps"),
        ({}, {}, "TensorFlow is not installed", "tools/install_tpu"),
        (GOOD, {}, "TPU_SKIP_MDS_QUERY is not set", "export TPU_SKIP_MDS_QUERY=1"),
        (GOOD, {**QUIET, "COLAB_TPU_ADDR": "10.0.0.2:8470"}, "10.0.0.2:8470", "unset COLAB_TPU_ADDR"),
    ],
)
def test_each_broken_environment(versions, variables, problem, remedy):
    (finding,) = found(versions, variables)
    assert problem in finding and remedy in finding


def test_a_tpu_without_its_tensorflow():
    (finding,) = found(CPU, {}, has_tpu=True)
    assert "tensorflow-tpu is not installed" in finding


def test_the_bucket_is_written_to(tmp_path):
    assert found(CPU, {}, bucket=str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    (finding,) = found(CPU, {}, bucket=str(tmp_path / "file"))
    assert "cannot be written to" in finding and "storage.objectAdmin" in finding
    said = []
    doctor({}, {}, bucket="gs://none", has_tpu=False, say=said.append)
    assert "gs://none was not checked" in "\n".join(said)


def fake(folder, **versions):
    """Lays metadata of packages into a folder, as pip leaves it."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_installed_versions_are_read_from_the_metadata(tmp_path):
    fake(tmp_path, tensorflow_tpu="2.20.0", libtpu="0.0.51", numpy="2.0.0")
    assert installed_versions([str(tmp_path)]) == {"tensorflow-tpu": "2.20.0", "libtpu": "0.0.51"}


def test_command_line(tmp_path):
    """For real: tensorflow-tpu and a libtpu too new on the path, beside the TensorFlow of this environment."""
    fake(tmp_path, tensorflow_tpu="2.20.0", libtpu="0.0.51", tensorflow="2.20.0")
    result = command("--mode=preflight", "--doctor", check=1, environment={"PYTHONPATH": str(tmp_path)})
    assert "libtpu 0.0.51 is too new for tensorflow-tpu 2.20.0" in result.stdout
    assert "overwrites tensorflow-tpu" in result.stdout and "Error: This environment has problems" in result.stderr
    assert "Traceback" not in result.stderr and "oneDNN" not in result.stderr  # TensorFlow was not even loaded


def test_doctor_belongs_to_preflight():
    assert "--doctor needs --mode=preflight" in command("--doctor", check=1).stderr


def test_the_devices_are_named():
    """Those of this machine, and those that TensorFlow can use: the CPU at least."""
    said = []
    doctor(say=said.append)
    lines = dict(line.split(": ", 1) for line in said if ": " in line and not line.startswith("-"))
    assert "cores" in lines["CPU"] and lines["GPUs"] and lines["TPU chips"]
    assert "CPU:0" in lines["TensorFlow can use"].split(", ")
