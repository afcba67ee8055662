"""A run is not gone on with when the labels are others: not even where as many, nor by --resume_changed."""

import pytest

from tests.conftest import file_flags, terminated_at_step
from tfbert import InputError, load_config, run
from tfbert.training.signals import Interrupted


@pytest.fixture(scope="module")
def stopped(tiny, tmp_path_factory):
    """A run of the labels ja and nein that was stopped at its first step: (its settings, the folder of its data)."""
    folder = tmp_path_factory.mktemp("data")
    files = dict(flag.lstrip("-").split("=", 1) for flag in file_flags(folder))
    settings = files | {"preset": tiny, "max_seq_length": 16, "train_batch_size": 8, "max_steps": 4,
                        "strategy": "one_device", "output_dir": f"{folder}/out"}  # fmt: skip
    with pytest.raises(Interrupted), terminated_at_step(1):
        run(load_config(**settings))
    return settings, folder


@pytest.mark.parametrize("labels", ["ja, vielleicht", "ja, nein, vielleicht"])
def test_other_labels_are_refused(stopped, labels):
    settings, folder = stopped
    for split in ("train", "dev"):
        rows = (folder / f"{split}.tsv").read_text("utf-8")
        rows = rows.replace("nein", "vielleicht") if "nein" not in labels else rows + "the printer\tvielleicht\n"
        (folder / f"other_{split}.tsv").write_text(rows, "utf-8")
    other = {f"{split}_file": f"{folder}/other_{split}.tsv" for split in ("train", "dev")}
    with pytest.raises(InputError, match=f"an unfinished run with other labels: ja, nein; now they are {labels}"):
        run(load_config(**settings | other, resume_changed=True))
