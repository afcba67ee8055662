"""The command line: flags, --help, --version, and what is said of a wrong flag."""

import subprocess
import sys

import pytest

import tfbert
from tests.conftest import ROOT, command
from tfbert import InputError, load_config
from tfbert.config.help import help_text
from tfbert.config.load import FIELDS, GROUPS, unknown_setting


def test_flags_win_over_yaml_and_print_what_they_got(tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 4\nmax_seq_length: 64\n")
    script = (
        "import sys; from absl import app; from tfbert.config import flags as config; config.define_flags();"
        "app.run(lambda _: print(config.config_from_flags().to_yaml()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, f"--config={tmp_path}/run.yaml", "--seed=6", "--nobias_correction",
         "--lr_multipliers=a=1", "--lr_multipliers=b=2", "--text_pair_column=other"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    (tmp_path / "out.yaml").write_text(result.stdout)
    assert load_config(str(tmp_path / "out.yaml")) == load_config(
        seed=6, max_seq_length=64, bias_correction=False, lr_multipliers=["a=1", "b=2"], text_pair_column="other"
    )


def test_help_and_wrong_flags_answer_before_tensorflow_is_loaded():
    script = (
        "import sys, tfbert.run\nfrom tfbert.config import flags, help\nflags.define_flags(); help.help_text()\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize("question", ["--help", "-h"])
def test_help_lists_every_setting_by_group(question):
    result = command("--seed=3", question, check=0, forked=False)
    lines = result.stdout.splitlines()
    for group in GROUPS:
        assert [line for line in lines if line.startswith(f"{group}: ")]
    flags = [line.split()[0].partition("=")[0] for line in lines if line.startswith("  --")]
    assert sorted(flags) == sorted(f"--{name}" for name in (*FIELDS, "config", "help", "version"))
    assert max(map(len, lines)) <= 120 and not result.stderr


def test_help_of_a_group_tells_all_of_it():
    text = command("--help=sweep", check=0, forked=False).stdout
    assert " ".join(FIELDS["sweep"].metadata["help"].split()) in " ".join(text.split())
    assert "Allowed: a whole number ≥ 1." in text and "--learning_rate" not in text
    assert help_text("learning_rate") == help_text("optimizer")
    assert "--layer_lr_decay" in help_text("optimizer") and "Default: 2e-05." in help_text("optimizer")
    with pytest.raises(InputError, match="groups are data, model, .* Did you mean 'optimizer'?"):
        help_text("optimiser")
    assert command("--help=optimiser", check=1, forked=False).stderr.startswith("Error: --help=optimiser: the groups")


def test_version():
    assert command("--version", check=0, forked=False).stdout == f"tfbert {tfbert.__version__}\n"


@pytest.mark.parametrize(
    "word,message",
    [
        ("--learning_rate=fast", "--learning_rate must be a number > 0.0. Received: 'fast'."),
        ("--do_lower_case=perhaps", "--do_lower_case must be true or false. Received: 'perhaps'."),
        ("--learning-rat=1", "Unknown setting 'learning-rat'. Did you mean 'learning_rate'?"),
        ("--nonsense", "Unknown setting 'nonsense'."),
        ("--lr=3e-5", "--lr is called --learning_rate here."),
        ("--init_checkpoint=a", "For --init_checkpoint write --preset=FOLDER."),
        ("--task=clasification", "Received: 'clasification'. Did you mean 'classification'?"),
    ],
)
def test_wrong_flags(word, message):
    result = command(word, check=1, forked=False)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(f"{message}\n--help lists every setting.\n")


def test_a_word_that_is_no_flag():
    result = command("learning_rate=1", check=1, forked=False)
    assert result.stderr == "Error: Every setting is a flag, --name=value. Received: learning_rate=1.\n"


THEIRS = {
    "--lr": "--lr is called --learning_rate here.",
    "--epochs": "--epochs is called --num_train_epochs here.",
    "--num_epochs": "--num_epochs is called --num_train_epochs here.",
    "--batch_size": "--batch_size is called --train_batch_size here.",
    "--model_name_or_path": "--model_name_or_path is called --preset here.",
    "--max_length": "--max_length is called --max_seq_length here.",
    "--max-len": "--max-len is called --max_seq_length here.",
    "--warmup_ratio": "--warmup_ratio is called --warmup_proportion here.",
    "--do_train": "For --do_train write --mode=train.",
    "--data_dir": "--data_dir is called --train_file here.",
    "--bert_config_file": "For --bert_config_file write --preset=FOLDER.",
    "--use_tpu": "For --use_tpu write --tpu=local.",
    "--tpu_name": "--tpu_name is called --tpu here.",
}


@pytest.mark.parametrize("flag", THEIRS)
def test_names_of_other_programs_are_answered_with_ours(flag):
    assert unknown_setting(flag[2:], "--") == THEIRS[flag]


def test_every_name_of_another_program_stands_for_one_setting():
    names = [name.partition("=")[0] for field in FIELDS.values() for name in field.metadata["also"].split()]
    assert len(set(names)) == len(names) > 100
    assert not set(names) & (FIELDS.keys() | {"config", "help", "version"})


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name].metadata["choices"]])
def test_values_of_other_programs_names_can_be_set(name):
    """Where a name stands for one of a setting's choices, that is one of them."""
    for other in FIELDS[name].metadata["also"].split():
        if "=" in other:
            setting = {name: other.partition("=")[2]}
            assert load_config(**setting).as_dict()[name] == setting[name]
