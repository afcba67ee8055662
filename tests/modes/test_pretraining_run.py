"""Further pre-training through `python -m tfbert.run`: the whole way, killed and resumed, then fine-tuning."""

import html
import json
import random
import signal
import time

import pytest
import yaml

from tests.conftest import ROOT, command, file_flags, finish, random_texts, workers
from tests.modes.test_resume import newest_step
from tfbert import load_model

FLAGS = ("--task=masked_lm", "--max_seq_length=32", "--max_predictions_per_seq=4", "--train_batch_size=8",
         "--learning_rate=3e-3")  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two files of documents of random sentences."""
    folder = tmp_path_factory.mktemp("corpus")
    for split, count, seed in (("train", 300, 0), ("dev", 60, 1)):
        texts = [text or "empty" for text in random_texts(count, seed, longest=12)]
        documents = ["\n".join(texts[first : first + 15]) for first in range(0, count, 15)]
        (folder / f"{split}.txt").write_text("\n\n".join(documents) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def flags(tiny, corpus):
    return [f"--preset={tiny}", f"--train_file={corpus}/train.txt", f"--dev_file={corpus}/dev.txt", *FLAGS]


@pytest.fixture(scope="module")
def trained(flags, corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "out"
    result = command(*flags, f"--test_file={corpus}/dev.txt", f"--output_dir={output}", "--max_steps=60",
                     "--evaluations=3", "--virtual_devices=2", "--whole_word_masking", check=0)  # fmt: skip
    return output, result


def test_output_folder(trained):
    output, result = trained
    results = json.loads((output / "eval_results.json").read_text())
    names = {"loss", "perplexity", "masked_accuracy", "next_sentence_accuracy"}
    assert set(results["dev"]) == set(results["test"]) == set(results["baseline"]) == names
    assert results["dev"] == pytest.approx(results["test"], rel=1e-5)  # the same rows, by the model that was kept
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    dev = [line for line in lines if line["split"] == "dev"]
    assert [line["step"] for line in dev] == [20, 40, 60]
    assert dev[-1]["perplexity"] < dev[0]["perplexity"] and results["dev"]["perplexity"] < 40
    assert json.loads((output / "labels.json").read_text()) == []
    report = (output / "report.html").read_text()
    assert "perplexity" in report and "Words behind masks" in report
    assert all(sample["text"].count("[MASK]") == 1 for sample in results["samples"]) and results["samples"]
    assert html.escape(results["samples"][0]["guesses"][0]["piece"]) in report
    assert "tfbert.fill_mask" in (output / "README.md").read_text()


def test_evaluate_agrees(trained, corpus):
    """In batches of another size, on one device, and compiled."""
    output, _ = trained
    expected = json.loads((output / "eval_results.json").read_text())["test"]
    command("--mode=evaluate", f"--test_file={corpus}/dev.txt", f"--output_dir={output}", "--eval_batch_size=3",
            "--xla=on", "--whole_word_masking", "--max_predictions_per_seq=4", check=0)  # fmt: skip
    found = json.loads((output / "eval_results.json").read_text())["test"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_fine_tuning_begins_where_it_ended(trained, tmp_path):
    output, _ = trained
    flags = [*file_flags(tmp_path), f"--preset={output}/model", "--max_seq_length=32", "--train_batch_size=8"]
    command(*flags, f"--output_dir={tmp_path}/out", "--max_steps=2", "--freeze=encoder", check=0)
    before, after = load_model(str(output / "model")), load_model(str(tmp_path / "out" / "model"))
    for one, other in zip(before.encoder.weights, after.encoder.weights, strict=True):
        assert (one.numpy() == other.numpy()).all()


def test_predict_is_refused(trained, corpus):
    output, _ = trained
    result = command("--mode=predict", f"--test_file={corpus}/dev.txt", f"--output_dir={output}", check=1)
    assert "tfbert.fill_mask" in result.stderr and "Traceback" not in result.stderr


def results_of(output):
    return (
        (output / "model" / "model.safetensors").read_bytes(),
        (output / "metrics.jsonl").read_text(),
        json.loads((output / "eval_results.json").read_text())["dev"],
    )


def test_kill_9_changes_nothing(flags, tmp_path):
    """With dropout, masks that change every epoch, several epochs, and sequences that become longer on the way."""
    flags = [*flags, "--max_steps=40", "--eval_steps=7", "--save_checkpoints_steps=3", "--short_seq_length=16",
             "--short_seq_share=0.5"]  # fmt: skip
    finish(workers(flags, tmp_path / "whole", 1))
    output, resumed, moments = tmp_path / "killed", 0, random.Random(2)
    for _ in range(2):
        process, step = workers(flags, output, 1)[0], newest_step(output)
        while newest_step(output) < min(step + 6, 36) and process.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        resumed += process.wait() == -signal.SIGKILL
    finish(workers(flags, output, 1))
    assert resumed and results_of(output) == results_of(tmp_path / "whole")


def test_compiled_and_accumulated_runs_agree(flags, tmp_path):
    """Without dropout: one device, two with three parts a step, XLA, and two workers give the same losses."""
    found = []
    layouts = (1,), (1, "--virtual_devices=2", "--gradient_accumulation_steps=3"), (1, "--xla=on"), (2,)
    for number, (count, *options) in enumerate(layouts):
        output = tmp_path / str(number)
        finish(workers([*flags, "--max_steps=6", "--save_summary_steps=2", "--dropout=0", *options], output, count))
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        found.append([line["loss"] for line in lines])
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-4)


def test_a_column_of_any_source(flags, tmp_path):
    rows = [{"body": f"{text}. {text}!\nthe printer is down"} for text in random_texts(30)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out"
    options = [f"--train_file={tmp_path}/rows.jsonl", "--text_column=body", "--max_steps=2", "--max_ngram=3",
               "--nodynamic_masking", "--short_seq_prob=0.5", "--dev_file=none"]  # fmt: skip
    command(*flags, f"--output_dir={output}", *options, check=0)
    assert yaml.safe_load((output / "config.yaml").read_text())["max_ngram"] == 3


@pytest.mark.parametrize(
    "options,message",
    [
        (("--text_pair_column=other",), "text_pair_column=other has no effect with --task=masked_lm"),
        (("--augment=delete_words",), "augment=delete_words has no effect with --task=masked_lm"),
        (("--pooling=mean",), "pooling=mean has no effect with --task=masked_lm"),
        (("--task=classification",), "max_predictions_per_seq=4 has no effect with --task=classi"),
        (("--short_seq_length=16",), "--short_seq_length=16 needs --max_steps"),
        (("--short_seq_length=32", "--max_steps=9"), "must be less than --max_seq_length=32, the length afterwards"),
        (("--short_seq_share=0.5",), "--short_seq_share=0.5 needs --short_seq_length"),
        (("--max_seq_length=6",), "max_seq_length of at least 8. Received: 6"),
        (("--max_seq_length=128",), "must be at most 64"),
        (("--best_metric=accuracy",), "best_metric must be one of loss, perplexity"),
        (("--best_metric=perplexty",), "Received: 'perplexty'. Did you mean 'perplexity'?"),
        (("--limit_train_rows=3",), "need at least two documents"),
    ],
)
def test_mistakes(flags, tmp_path, options, message):
    result = command(*flags, f"--output_dir={tmp_path}/out", *options, check=1)
    assert message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_from_scratch(corpus, tmp_path):
    """New weights by init_seed; a vocabulary learned from the text."""
    command("--mode=vocabulary", f"--train_file={corpus}/train.txt", "--vocab_size=80", f"--output_dir={tmp_path}",
            check=0)  # fmt: skip
    pieces = (tmp_path / "vocab.txt").read_text("utf-8").splitlines()
    assert pieces[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] and "printer" in pieces
    flags = [f"--preset=config:{ROOT}/configs/bert_tiny.json", f"--vocab_file={tmp_path}/vocab.txt",
             f"--train_file={corpus}/train.txt", *FLAGS]  # fmt: skip
    models = {}
    for name, options in (("a", []), ("other", ["--init_seed=1"])):
        command(*flags, f"--output_dir={tmp_path}/{name}", "--max_steps=1", "--learning_rate=1e-9", *options, check=0)
        models[name] = load_model(str(tmp_path / name / "model")).encoder.backbone.token_embedding.embeddings.numpy()
    assert (models["a"] != models["other"]).any()
    missing = command(*flags, "--vocab_file=none", f"--output_dir={tmp_path}/none", "--max_steps=1", check=1)
    assert "needs --vocab_file" in missing.stderr


def test_a_cached_corpus_changes_nothing(flags, tmp_path):
    """Not even when the length changes, which comes after tokenisation."""
    results = []
    for name, options in (("plain", []), ("first", ["--cache_dir"]), ("second", ["--cache_dir"])):
        options = [f"{option}={tmp_path}/cache" for option in options]
        result = command(*flags, f"--output_dir={tmp_path}/{name}", "--max_steps=3", *options, check=0)
        results.append(results_of(tmp_path / name))
        assert result.stdout.count("is kept in") == 2 * (name == "first")  # train and dev
        assert result.stdout.count("is read from") == 2 * (name == "second")
    assert results[0] == results[1] == results[2]
    result = command(
        *flags, f"--output_dir={tmp_path}/short", "--max_steps=1", "--max_seq_length=16", *options, check=0
    )
    assert result.stdout.count("is read from") == 2
