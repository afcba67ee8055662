"""Question answering from the command line's settings: train, evaluate, predict, tune, refuse, tell."""

import json

import numpy as np
import pytest

import tfbert
from tests.reference.questions import write_answerer
from tfbert import InputError

SMALL = {"max_seq_length": 32, "max_query_length": 8, "doc_stride": 10}
CHOSEN = {"john": "york", "mary": "new"}


def squad(count, seed, unanswerable=False):
    """Returns questions in SQuAD's format: "where is NAME" asks for the word after the name, which may not occur."""
    rng, paragraphs = np.random.default_rng(seed), []
    for number in range(count):
        words = rng.choice(["a", "b", "in", "the", "lives"], rng.integers(3, 40)).tolist()
        answers = rng.choice(["york", "北", "42", "new"], 2, replace=False).tolist()
        for name, answer in zip(("john", "人"), answers):
            place = rng.integers(len(words))
            words[place:place] = [name, answer]
        context, asked = " ".join(words), []
        for name, answer in zip(("john", "人"), answers):
            start = f" {context} ".find(f" {name} {answer} ")
            if start < 0:
                continue  # the second name split the first from its answer
            known = [{"text": answer, "answer_start": start + len(name) + 1}]
            asked.append({"id": f"{number}-{name}", "question": f"where is {name}", "answers": known})
        if unanswerable and number % 3 == 0:
            asked.append({"id": f"{number}-x", "question": "where is 国", "answers": [], "is_impossible": True})
        paragraphs.append({"context": context, "qas": asked})
    return json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}, ensure_ascii=False)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "bert").mkdir()
    write_answerer(folder / "bert")
    for name, unanswerable in (("one", False), ("two", True)):
        for split, count, seed in (("train", 60, 0), ("dev", 20, 1)):
            (folder / f"{name}_{split}.json").write_text(squad(count, seed, unanswerable), "utf-8")
    return {"task": "span", "preset": str(folder / "bert"), "train_batch_size": 16, "max_steps": 60, "dropout": 0.0,
            "learning_rate": 3e-3, "strategy": "one_device", "evaluations": 2,
            "train_file": f"{folder}/one_train.json", "dev_file": f"{folder}/one_dev.json", **SMALL}  # fmt: skip


def done(**settings):
    return tfbert.run(tfbert.load_config(**settings))


def second(settings):
    return settings | {name: settings[name].replace("one_", "two_") for name in ("train_file", "dev_file")}


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "out"
    return output, done(**settings, output_dir=str(output))


def test_it_learns_and_is_scored_again(trained, settings, tmp_path):
    output, found = trained
    assert found["dev"].keys() == {"loss", "f1", "exact_match"}
    assert found["dev"]["f1"] > found["baseline"]["f1"] + 0.2 and not found["failed"]
    model = {"mode": "evaluate", "preset": f"{output}/model", "strategy": "one_device"}
    again = done(**model, test_file=settings["dev_file"], output_dir=str(tmp_path))
    assert again["test"] == pytest.approx(found["dev"], rel=1e-4)
    report = (output / "report.html").read_text()
    assert "Some right answers on dev" in report and "Worst mistakes on dev" in report
    about = json.loads((output / "model" / "tfbert.json").read_text())
    assert (about["doc_stride"], about["definition"], about["text_columns"]) == (10, "squad", ["question", "context"])


def test_predictions_are_slices_with_alternatives(trained, settings, tmp_path):
    own = {"mode": "predict", "preset": f"{trained[0]}/model", "test_file": settings["dev_file"]}
    done(**own, output_file=str(tmp_path / "p.jsonl"), strategy="one_device")
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text("utf-8").splitlines()]
    paragraphs = json.load(open(settings["dev_file"]))["data"][0]["paragraphs"]
    asked = [(qa, paragraph["context"]) for paragraph in paragraphs for qa in paragraph["qas"]]
    assert [line["id"] for line in lines] == [qa["id"] for qa, _ in asked]
    for line, (_, context) in zip(lines, asked):
        for each in (line, *line["alternatives"]):
            assert each["answer"] == context[each["start"] : each["end"]] != ""
    right = np.mean([line["answer"] == qa["answers"][0]["text"] for line, (qa, _) in zip(lines, asked)])
    assert right == pytest.approx(trained[1]["dev"]["exact_match"])
    model = tfbert.load_model(trained[0] / "model")
    answers = tfbert.predict(model, [(qa["question"], context) for qa, context in asked])
    assert [each["answer"] for each in answers] == [line["answer"] for line in lines]


def test_questions_without_an_answer_have_a_threshold(settings, tmp_path, capsys):
    found = done(**second(settings), output_dir=str(tmp_path / "out"))
    said = capsys.readouterr().out
    assert "have no answer in their context" in said and '"" is answered where no answer scores more than' in said
    assert found["dev"].keys() == {"loss", "f1", "exact_match", "f1_answerable", "f1_unanswerable"}
    about = json.loads((tmp_path / "out" / "model" / "tfbert.json").read_text())
    assert about["unanswerable"] and len(about["decision"]["thresholds"]) == 1
    model = tfbert.load_model(tmp_path / "out" / "model")
    assert model.task.null_threshold == about["decision"]["thresholds"][0]
    evaluate = {"mode": "evaluate", "preset": f"{tmp_path}/out/model", "test_file": second(settings)["dev_file"]}
    again = done(**evaluate, output_dir=str(tmp_path / "again"), strategy="one_device")
    assert again["test"] == pytest.approx(found["dev"], rel=1e-4)


def test_chinese_answers_are_scored_as_cmrc_does(settings, tmp_path, capsys):
    rows = [{"context_id": "D", "context_text": "中国人在北京。" * 4, "title": "t", "qas": [
        {"query_id": f"Q{number}", "query_text": "谁在北京？", "answers": ["中国人"]}]} for number in range(6)]  # fmt: skip
    path = tmp_path / "cmrc.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    own = settings | {"train_file": str(path), "dev_file": str(path), "max_steps": 2, "evaluations": 1}
    done(**own, output_dir=str(tmp_path / "out"))
    assert "CMRC 2018's, as answers are Chinese (detected)" in capsys.readouterr().out


def test_answers_that_are_nowhere_are_told(settings, tmp_path, capsys):
    content = json.loads(open(settings["train_file"]).read())
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"][0]["text"] = "nowhere at all"
    (tmp_path / "train.json").write_text(json.dumps(content))
    own = settings | {"train_file": str(tmp_path / "train.json"), "max_steps": 2, "evaluations": 1}
    done(**own, output_dir=str(tmp_path / "out"))
    assert "1 questions are left out, as their answer is not in the context: 0-" in capsys.readouterr().out


def test_mixed_precision_on_two_devices(settings, tmp_path):
    own = settings | {"mixed_precision": "bfloat16", "strategy": "mirrored"}
    own |= {"max_steps": 2, "evaluations": 1}
    found = done(**own, gradient_accumulation_steps=2, output_dir=str(tmp_path))
    assert np.isfinite(found["dev"]["loss"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"long_text": "mean"}, "--long_text.*by --doc_stride"),
        ({"folds": 2, "dev_file": None, "evaluations": None}, "--folds.*averages one answer"),
        ({"class_weights": ["balanced"]}, "--class_weights.*span"),
        ({"task": "classification", "max_query_length": 8}, "--(max_query_length|doc_stride).*classification"),
        ({"max_query_length": 30}, "--max_seq_length=32 leaves no room for the context"),
    ],
)
def test_what_has_no_meaning_is_refused(settings, changed, said, tmp_path):
    with pytest.raises(InputError, match=said):
        done(**settings | changed, output_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out" / "model").exists()
