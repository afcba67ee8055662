"""The model of spans: against transformers, packed or not, on several devices, saved and loaded."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file
from scipy.special import log_softmax

import tfbert
from tests.conftest import ROOT, mirrored
from tests.reference.questions import CONFIG, QUESTIONS, answerer_tensors, write_answerer
from tfbert import TASKS, AdamWeightDecay, InputError, build_span_model, load_encoder
from tfbert.training.evaluation import Evaluator

SHORT = {"doc_stride": 6, "max_query_length": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answerer")
    write_answerer(folder)
    return folder


def model_of(folder, length=64, **options):
    model = build_span_model(load_encoder(folder, dropout=0.0), TASKS["span"](**SHORT | options), max_seq_length=length)
    tensors = answerer_tensors()
    model.head.kernel.assign(tensors["qa_outputs.weight"].T)
    model.head.bias.assign(tensors["qa_outputs.bias"])
    return model


def rows():
    """Questions of many lengths; the answers are names after "in"."""
    rng, found = np.random.default_rng(0), []
    for number in range(24):
        words = rng.choice(["john", "lives", "a", "b", "42", ","], rng.integers(1, 40)).tolist()
        words.insert(rng.integers(len(words)), "in new york")
        context = " ".join(words)
        answer = {"text": "new york", "answer_start": context.index("new")}
        found.append({"question": "where", "context": context, "answers": [answer]})
    return found


def dataset_of(model, given, batch_size=8):
    return tfbert.make_dataset(given, model.tokenizer, model.task, batch_size, model.max_seq_length)


def test_logits_are_those_of_transformers(folder):
    golden, model = np.load(ROOT / "tests" / "golden" / "span.npz"), model_of(folder)
    for number, pair in enumerate(QUESTIONS):
        (each,) = model.outputs_of([dict(zip(("text", "text_pair"), pair))], 1)
        expected = golden[f"logits:{number}"]
        assert each.logits.shape == (1, 2, 64)
        np.testing.assert_allclose(each.logits[0, :, : expected.shape[1]], expected, atol=1e-4)
        assert (each.logits[0, :, expected.shape[1] :] == -1e9).all()


def test_saved_as_transformers_saves_it(folder, tmp_path):
    model = model_of(folder, unanswerable=True)
    tfbert.save_model(model, tmp_path)
    tensors, expected = load_file(tmp_path / "model.safetensors"), answerer_tensors()
    assert {name for name in tensors if "pooler" not in name} == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == CONFIG["architectures"]
    loaded = tfbert.load_model(tmp_path)
    assert loaded.task.arguments() == model.task.arguments()
    assert tfbert.predict(loaded, QUESTIONS) == tfbert.predict(model, QUESTIONS)


def test_alone_packed_padded_and_compiled_agree(folder):
    model = model_of(folder, length=20)
    given = [{"text": row["question"], "text_pair": row["context"], "where": ("test", 0)} for row in rows()]
    alone = [model.outputs_of([row], 1)[0] for row in given]
    assert max(len(each.logits) for each in alone) > 3
    compiled = Evaluator(model, xla=True).outputs(model.batches_of(given, 4))
    for found in (model.outputs_of(given, 5), model.outputs_of(given, 100), compiled):
        for one, other in zip(alone, found):
            np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"accumulation": 2}, {"xla": True}])
def test_two_devices_are_one(folder, options):
    runs = []
    for replicas, chosen in ((1, {}), (2, options)):
        strategy = mirrored(replicas) or tf.distribute.get_strategy()
        with strategy.scope():
            model, optimizer = model_of(folder, length=20), AdamWeightDecay(1e-3)
        losses = tfbert.train(model, dataset_of(model, rows()), optimizer, strategy, steps=5, **chosen)
        runs.append([*losses, *Evaluator(model, strategy).evaluate(dataset_of(model, rows())).values()])
    np.testing.assert_allclose(runs[0], runs[1], atol=5e-5)


def test_the_loss_is_the_mean_of_two_cross_entropies(folder):
    model = model_of(folder, length=20)
    dataset = dataset_of(model, rows(), 200)
    features, labels, _ = next(iter(dataset))
    logits = model(features).numpy().reshape(-1, 2, 20).astype(np.float64)
    log_p = log_softmax(logits, axis=2)
    each = -np.take_along_axis(log_p, labels.numpy()[..., np.newaxis], axis=2)[..., 0].mean(axis=1)
    np.testing.assert_allclose(model.task.loss(labels, model(features)), each, atol=1e-4)
    scores = tfbert.evaluate(model, dataset)
    assert scores["loss"] == pytest.approx(each.mean(), abs=1e-4) and scores.keys() == {"loss", "f1", "exact_match"}


def test_answers_are_slices_of_the_context(folder):
    pairs = [("Who?", "JOHN lives\tin Zürich — 中国。"), ("谁？", "中国人在北京"), ("x", "")]
    model, quiet = model_of(folder), model_of(folder, unanswerable=True)
    for (_, context), answer in zip(pairs, tfbert.predict(model, pairs)):
        for each in (answer, *answer["alternatives"]):
            if context:
                assert each["answer"] == context[each["start"] : each["end"]] != ""
        assert "no_answer_probability" not in answer
    assert answer["answer"] == "" and answer["start"] is None
    quiet.task.decision = quiet.task.decision.__class__(thresholds=(-1e6,))
    silent = tfbert.predict(quiet, pairs)
    assert [each["answer"] for each in silent] == [""] * 3
    assert silent[0]["alternatives"][0]["answer"] and 0 < silent[0]["no_answer_probability"] < 1


def test_keras_trains_and_saves_it(folder, tmp_path):
    model = model_of(folder, length=20)
    dataset = dataset_of(model, rows())
    model.compile(AdamWeightDecay(1e-3))
    history = model.fit(dataset, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert tfbert.predict(loaded, QUESTIONS) == tfbert.predict(model, QUESTIONS)


def test_what_is_given_in_its_place_is_refused(folder):
    model = model_of(folder)
    with pytest.raises(InputError, match="tfbert.build_span_model"):
        tfbert.build_model(load_encoder(folder), model.task)
    with pytest.raises(InputError, match="trained on pairs of texts"):
        tfbert.predict(model, ["only a question"])
    assert tfbert.predict(model, []) == []
