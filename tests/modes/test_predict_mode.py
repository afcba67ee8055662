"""--mode=predict as an operator uses it: pipes, files of either kind, stopped and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest

import tfbert
from tests.conftest import ROOT, random_texts
from tests.processes import Run, wait_until
from tfbert import InputError, load_config, run
from tfbert.modes.build import predict_batch_size_of
from tfbert.training.devices import bfloat16_instructions, imitates_bfloat16


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    """The folder of a model with random weights."""
    encoder = tfbert.load_encoder(tiny)
    folder = str(tmp_path_factory.mktemp("model"))
    task = tfbert.TASKS["classification"](["no", "yes"])
    tfbert.save_model(tfbert.build_model(encoder, task, max_seq_length=16), folder)
    return folder


def predict(model, **settings):
    return run(load_config(mode="predict", preset=model, **settings))


def write_rows(path, count):
    """Writes texts, some with quotes and line ends in them, and their ids."""
    texts = [f'{text}, "{number}"' for number, text in enumerate(random_texts(count, longest=12))]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows([f"row {number}", text] for number, text in enumerate(texts))
    return texts


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def start(*flags):
    return subprocess.Popen(
        [sys.executable, "-m", "tfbert.run", "--mode=predict", *flags], cwd=ROOT, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_both_kinds_of_files(model, tmp_path, capsys):
    texts = write_rows(tmp_path / "in.csv", 30)
    settings = {"test_file": f"{tmp_path}/in.csv", "keep_text": True}
    found = predict(model, **settings, output_file=f"{tmp_path}/new/out.csv")
    assert found == {"predictions": f"{tmp_path}/new/out.csv", "examples": 30}
    rows = read_csv(tmp_path / "new" / "out.csv")
    assert [row["id"] for row in rows] == [f"row {n}" for n in range(30)] and [row["text"] for row in rows] == texts
    predict(model, **settings, output_file=f"{tmp_path}/out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    for row, line in zip(rows, lines, strict=True):
        assert (line["id"], line["text"], line["label"]) == (row["id"], row["text"], row["label"])
        assert line["probabilities"] == {name: float(row[f"probability:{name}"]) for name in ("no", "yes")}
    assert f"30 predictions are in {tmp_path}/out.jsonl." in capsys.readouterr().out
    with pytest.raises(InputError, match="out.jsonl already exists"):
        predict(model, **settings, output_file=f"{tmp_path}/out.jsonl")
    assert sorted(os.listdir(tmp_path)) == ["in.csv", "new", "out.jsonl"]


def test_a_batch_size_of_its_own_changes_no_score(model, tmp_path):
    write_rows(tmp_path / "in.csv", 70)
    found = []
    for size in (None, 3):
        path = f"{tmp_path}/{size}.csv"
        predict(model, test_file=f"{tmp_path}/in.csv", output_file=path, predict_batch_size=size)
        found.append([[float(row["probability:no"]), row["label"]] for row in read_csv(path)])
    for (one, label), (other, same) in zip(*found, strict=True):
        assert one == pytest.approx(other, abs=2e-6) and label == same


@pytest.mark.parametrize("length,windows,asked,size", [(128, 1, None, 32), (512, 4, None, 2), (4096, 9, None, 1),
                                                       (128, 1, 7, 7)])  # fmt: skip
def test_the_batch_size_follows_the_length(length, windows, asked, size):
    config = load_config(predict_batch_size=asked)
    assert predict_batch_size_of(config, tfbert.make_strategy("one_device"), length, windows) == size


def test_stopped_and_resumed(model, tmp_path):
    """SIGTERM in the middle: what there is, is kept; the whole is byte for byte that of a run without a stop."""
    write_rows(tmp_path / "in.csv", 9000)
    flags = ["--mode=predict", f"--preset={model}", f"--test_file={tmp_path}/in.csv", "--predict_batch_size=16"]
    path = tmp_path / "stopped.csv"
    process = Run([*flags, f"--output_file={path}"])
    wait_until(lambda: (tmp_path / "stopped.csv.partial.json").exists(), process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate()
    rows = json.loads((tmp_path / "stopped.csv.partial.json").read_text())["rows"]
    assert process.returncode == 143 and not path.exists() and 0 < rows < 9000 and rows % 2048 == 0
    kept = f"Stopped by SIGTERM after {rows:,} predictions, which are in {path}.partial. --resume goes on after them."
    assert kept in said and "Traceback" not in said
    assert len(read_csv(f"{path}.partial")) == rows
    again = Run([*flags, f"--output_file={path}"])
    said, _ = again.communicate()
    assert again.returncode == 1 and f"stopped.csv.partial holds {rows:,} rows of an interrupted run" in said
    other = Run([*flags, f"--output_file={path}", "--resume", "--predict_batch_size=8"])
    assert "started with another predict_batch_size; continue with the same" in other.communicate()[0]
    for name, more in (("stopped.csv", ["--resume"]), ("whole.csv", [])):
        process = Run([*flags, f"--output_file={tmp_path}/{name}", *more])
        assert process.wait() == 0, process.outputs()
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes() and len(read_csv(path)) == 9000
    assert sorted(os.listdir(tmp_path)) == ["in.csv", "stopped.csv", "whole.csv"]


def test_pipes(model):
    """Objects in, objects out; standard output has nothing else."""
    rows = [{"id": 5, "text": "the printer is down"}, {"id": 6, "text": "打印机坏了"}]
    process = start(f"--preset={model}", "--test_file=-", "--output_file=-", "--keep_text")
    stdout, stderr = process.communicate("".join(json.dumps(row) + "\n" for row in rows), timeout=300)
    assert process.returncode == 0, stderr
    found = [json.loads(line) for line in stdout.splitlines()]
    assert [{name: row[name] for name in ("id", "text")} for row in found] == rows
    assert "Standard input is read as one JSON object per line." in stderr
    assert "2 predictions are in standard output." in stderr


def test_waiting_for_input_is_stopped_at_once(model, tmp_path):
    process = start(f"--preset={model}", "--test_file=-", f"--output_file={tmp_path}/out.jsonl")
    process.stdin.write("the printer is down\n")
    process.stdin.flush()
    for line in process.stdout:
        if "Standard input is read as one text per line." in line:
            break
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)  # while standard input stays open
    stderr = process.stderr.read()
    assert process.returncode == 143 and "Stopped by SIGTERM before the first predictions were written." in stderr
    assert not os.listdir(tmp_path)


def test_lines_of_standard_input(model, tmp_path, monkeypatch):
    texts = ["the printer is down", "", "{no object", "打印机坏了"]
    (tmp_path / "in").write_text("\n".join(texts) + "\n", "utf-8")
    with open(tmp_path / "in") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        predict(model, test_file="-", output_file=f"{tmp_path}/out.jsonl", keep_text=True)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in found] == texts and "id" not in found[0]


@pytest.mark.parametrize(
    "content,message",
    [
        (b'{"text": "a"}\n{"text": \n', "standard input, line 2: not JSON"),
        (b'{"body": "a"}\n', "standard input, line 1: there is no column 'text'"),
        (b"a\nf\xfcr\n", "standard input, after line 0: not UTF-8 text .*name its encoding, such as --encoding=cp1252"),
        (b"", "- holds no rows"),
    ],
)
def test_what_standard_input_may_not_hold(model, tmp_path, monkeypatch, content, message):
    (tmp_path / "in").write_bytes(content)
    with open(tmp_path / "in") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(InputError, match=message):
            predict(model, test_file="-", output_file=f"{tmp_path}/out.jsonl")
    assert os.listdir(tmp_path) == ["in"]


def test_a_damaged_row_is_found_before_anything_is_predicted(model, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n' * 5000 + '{"text": 1\n')
    with pytest.raises(InputError, match="in.jsonl, line 5001: not JSON"):
        predict(model, test_file=f"{tmp_path}/in.jsonl", output_file=f"{tmp_path}/out.jsonl")
    assert os.listdir(tmp_path) == ["in.jsonl"]


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"output_file": "out.xlsx"}, ".csv or .conll, or be -; or say --format. Received: out.xlsx"),
        ({"output_file": "-", "resume": True}, "--resume and --output_file=- exclude each other"),
        ({"overwrite": True, "resume": True}, "--resume and --overwrite exclude each other"),
        ({"features": "npy", "keep_text": True}, "--keep_text and --features=npy exclude each other"),
        ({"mode": "train", "keep_text": True}, "--keep_text needs --mode=predict"),
        ({"mode": "evaluate", "test_file": "-"}, "which only --test_file of --mode=predict may be"),
        ({"train_file": "-"}, "which only --test_file of --mode=predict may be"),
        ({"worker_hosts": ["a:1", "b:1"]}, "--test_file=- is read on one machine"),
    ],
)
def test_what_does_not_go_together(settings, message):
    with pytest.raises(InputError) as caught:
        load_config(**{"mode": "predict", "test_file": "-"} | settings)
    assert message in str(caught.value)


def test_bfloat16_is_told_where_the_cpu_has_it(model, tmp_path, capsys):
    write_rows(tmp_path / "in.csv", 3)
    for precision in ("none", "bfloat16"):
        predict(model, test_file=f"{tmp_path}/in.csv", output_file=f"{tmp_path}/{precision}.csv",
                mixed_precision=precision)  # fmt: skip
        told = "--mixed_precision=bfloat16 is usually faster" in capsys.readouterr().out
        assert told == (precision == "none" and bool(bfloat16_instructions()))


def test_which_instructions_a_cpu_has(tmp_path):
    (tmp_path / "new").write_text("flags\t: avx512f avx512_bf16 amx_bf16 amx_tile\nflags\t: avx512_bf16 amx_bf16\n")
    (tmp_path / "old").write_text("flags\t: avx2\n")
    found = [bfloat16_instructions(str(tmp_path / name)) for name in ("new", "old", "none")]
    assert found == [["amx_bf16", "avx512_bf16"], [], None]
    assert [imitates_bfloat16(str(tmp_path / name)) for name in ("new", "old", "none")] == [False, True, False]
