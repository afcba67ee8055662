"""--mode=evaluate in the folder of a run."""

import json

import tfbert


def test_scores_of_an_unfinished_run_do_not_finish_it(tiny, tmp_path):
    """An evaluation writes to eval_results.json, whose being there had said that the run was at its end."""
    lines = [f"the printer is down\t{label}\n" for label in ["no", "yes"] * 8]
    (tmp_path / "rows.tsv").write_text("text\tlabel\n" + "".join(lines))
    output, data = tmp_path / "out", str(tmp_path / "rows.tsv")
    settings = {"preset": tiny, "train_file": data, "dev_file": data, "output_dir": str(output), "max_seq_length": 16,
                "max_steps": 2, "strategy": "one_device"}  # fmt: skip
    finished = tfbert.run(tfbert.load_config(**settings))
    (output / "eval_results.json").unlink()  # as a run leaves its folder that is stopped after its last evaluation
    tfbert.run(tfbert.load_config(mode="evaluate", output_dir=str(output), test_file=data, strategy="one_device"))
    assert json.loads((output / "eval_results.json").read_text()).keys() == {"test"}
    assert tfbert.run(tfbert.load_config(**settings))["dev"] == finished["dev"]
    assert json.loads((output / "eval_results.json").read_text())["steps"] == 2
