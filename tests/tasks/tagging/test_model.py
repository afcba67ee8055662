"""The tagging model: against transformers, packed or not, on several devices, saved and loaded."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

import tfbert
from tests.conftest import ROOT, mirrored
from tests.reference.sentences import CONFIG, SENTENCES, TAGS, tagger_tensors, write_tagger
from tests.tasks.tagging.sentences import LABELS, random_sentences, rows_of
from tfbert import TASKS, AdamWeightDecay, InputError, build_tagging_model, load_encoder
from tfbert.training.evaluation import Evaluator

GOLDEN = ROOT / "tests" / "golden" / "tagging.npz"


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory):
    """The model of the golden file, its head loaded from transformers' tensors."""
    folder = tmp_path_factory.mktemp("tagger")
    write_tagger(folder)
    task = TASKS["tagging"](TAGS)
    model = build_tagging_model(load_encoder(folder, dropout=0.0), task, max_seq_length=64)
    tensors = tagger_tensors()
    model.head.kernel.assign(tensors["classifier.weight"].T)
    model.head.bias.assign(tensors["classifier.bias"])
    return model


@pytest.fixture
def model(tiny):
    return new_model(tiny)


def new_model(tiny, dropout=0.0, length=16):
    return build_tagging_model(load_encoder(tiny, dropout=dropout), TASKS["tagging"](LABELS), max_seq_length=length)


def dataset_of(model, sentences, batch_size=8, **options):
    given = [(row["words"], row["label"]) for row in rows_of(sentences)]
    return tfbert.make_dataset(given, model.tokenizer, model.task, batch_size, model.max_seq_length, **options)


def test_logits_and_tags_are_those_of_transformers(hugging_face):
    golden = np.load(GOLDEN)
    outputs = hugging_face.outputs_of([{"words": words, "text": " ".join(words)} for words in SENTENCES], 4)
    for number, (found, words) in enumerate(zip(outputs, SENTENCES)):
        expected = golden[f"logits:{number}"]
        known = ~np.isnan(expected).any(axis=1)
        assert len(found) == len(words) and (np.isfinite(found).all(axis=1) == known).all()
        np.testing.assert_allclose(found[known], expected[known], atol=1e-4)
    pipeline = json.loads(str(golden["pipeline"]))  # the first character of a token -> its tag
    (answer,) = tfbert.predict(hugging_face, [" ".join(SENTENCES[3])])
    starts = [" ".join(SENTENCES[3]).index(word) for word in answer["tokens"]]
    assert answer["tags"] == [pipeline[str(start)] for start in starts] and set(answer["tags"]) > {"O"}


def test_saved_as_transformers_saves_it(hugging_face, tmp_path):
    tfbert.save_model(hugging_face, tmp_path)
    tensors, expected = load_file(tmp_path / "model.safetensors"), tagger_tensors()
    assert {name for name in tensors if "pooler" not in name} == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(tensors[name], value)
    config = json.loads((tmp_path / "config.json").read_text())
    assert {name: config[name] for name in ("architectures", "model_type", "id2label", "label2id")} == {
        name: CONFIG[name] for name in ("architectures", "model_type", "id2label", "label2id")
    }
    loaded = tfbert.load_model(tmp_path)
    assert tfbert.predict(loaded, SENTENCES) == tfbert.predict(hugging_face, SENTENCES)


def test_alone_packed_padded_and_compiled_agree(hugging_face):
    """One sentence a batch, many in a row, a row each with static shapes under XLA; windows of long sentences, too."""
    sentences = [*SENTENCES, [word for words in SENTENCES for word in words] * 6, [], ["x" * 99, "john"]]
    rows = [{"words": words, "text": " ".join(words), "where": ("test", 0)} for words in sentences]
    alone = [hugging_face.outputs_of([row], 1)[0] for row in rows]
    assert max(map(len, alone)) == 144
    compiled = Evaluator(hugging_face, xla=True).outputs(hugging_face.batches_of(rows, 4))
    for found in (hugging_face.outputs_of(rows, 5), hugging_face.outputs_of(rows, 100), compiled):
        assert [len(row) for row in found] == [len(words) for words in sentences]
        for one, other in zip(alone, found):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_window_is_answered_as_a_sentence_of_its_own(hugging_face):
    """A word in the middle of a long sentence has the answer of the window around it."""
    words = [SENTENCES[number % 4][number % 3] for number in range(200)]
    words = [word for word in words if word != "\ufe0f"]
    examples = hugging_face.batches_of([{"words": words, "text": "", "where": ("test", 0)}], 1).examples
    windows, *_ = examples.windows(tf.range(examples.size, dtype=tf.int64))
    (whole,) = hugging_face.outputs_of([{"words": words, "text": ""}], 8)
    found = []
    for tokens, count, first in zip(windows, examples._word_counts, examples._word_starts):
        ids = tokens.numpy()[np.newaxis]
        features = {
            "token_ids": ids, "segment_ids": np.zeros_like(ids), "window_ids": np.ones_like(ids),
            "positions": np.arange(ids.shape[1], dtype=np.int32)[np.newaxis],
            "target_at": examples._places.numpy()[first : first + count],
        }  # fmt: skip
        found.append(hugging_face({name: tf.constant(value) for name, value in features.items()}))
    np.testing.assert_allclose(np.concatenate(found), whole, atol=1e-5)
    assert len(found) > 4


@pytest.mark.parametrize("options", [{}, {"accumulation": 2}, {"xla": True}])
def test_two_devices_are_one(tiny, options):
    """The loss is the mean over all words of the batch, however they fall on devices and parts; padding has no part."""
    sentences, runs = random_sentences(40, longest=30), []
    for replicas, chosen in ((1, {}), (2, options)):
        strategy = mirrored(replicas) or tf.distribute.get_strategy()
        with strategy.scope():
            model = new_model(tiny)
            optimizer = AdamWeightDecay(1e-3)
        losses = tfbert.train(model, dataset_of(model, sentences), optimizer, strategy, steps=6, **chosen)
        scores = Evaluator(model, strategy).evaluate(dataset_of(model, sentences))
        runs.append([*losses, *scores.values()])
    np.testing.assert_allclose(runs[0], runs[1], atol=2e-5)


def test_a_batch_without_words_has_no_loss(model):
    sentences = [([], []), (["\ufe0f"], ["O"])]
    losses = tfbert.train(model, dataset_of(model, sentences, 1), AdamWeightDecay(1e-3), steps=2)
    assert losses.tolist() == [0.0, 0.0]
    assert np.isfinite(model.head.kernel.numpy()).all()


def test_the_training_loss_is_its_formula(model):
    """Class weights, focal loss, smoothing and logit adjustment over words, against NumPy."""
    batches, rng = dataset_of(model, random_sentences(30)), np.random.default_rng(0)
    labels, logits = rng.integers(0, 5, 50), rng.normal(size=(50, 5)).astype(np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = -log_p[np.arange(50), labels]
    held = np.maximum(np.bincount(np.concatenate(batches.examples.labels), minlength=5), 1)
    words = sum(map(len, batches.examples.labels))

    def loss(**options):
        return model.task.for_training(batches, **options)[0].training_loss(tf.constant(labels), tf.constant(logits))

    np.testing.assert_allclose(loss(), own, atol=1e-5)
    np.testing.assert_allclose(loss(class_weights={"B-LOC": 3.0}), own * np.where(labels == 1, 3, 1), atol=1e-5)
    np.testing.assert_allclose(loss(class_weights=("balanced",)), own * (words / (5 * held))[labels], atol=1e-5)
    p = np.exp(-own)
    np.testing.assert_allclose(loss(loss="focal", focal_gamma=2.0), (1 - p) ** 2 * own, atol=1e-5)
    np.testing.assert_allclose(loss(label_smoothing=0.1), 0.9 * own - 0.1 * log_p.mean(axis=1), atol=1e-5)
    shifted = logits + np.log(held / words)
    adjusted = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(50), labels]
    np.testing.assert_allclose(loss(logit_adjustment=1.0), adjusted, atol=1e-5)


def test_the_mean_loss_is_that_of_answered_words(model):
    outputs = model.outputs_of(rows_of([(["the", "\ufe0f", "my"], ["O"] * 3)]), 1)
    labels = np.empty(1, object)
    labels[0] = np.array([0, 3, 1], np.int32)
    logits = outputs[0][[0, 2]].astype(np.float64)
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], [0, 1]]
    assert model.task.mean_loss(labels, outputs) == pytest.approx(expected.mean())


def test_the_best_path_decodes(tiny):
    """Tags obey the scheme, also around a word that is O for certain."""
    rng, words = np.random.default_rng(1), ["the", "my", "\ufe0f", "x1", "ok"]
    sentences = [rng.choice(words, 9).tolist() for _ in range(20)]
    plain = new_model(tiny)
    plain.head.kernel.assign(rng.normal(0, 3, plain.head.kernel.shape))
    task = TASKS["tagging"](LABELS, tag_decoding="viterbi")
    viterbi = build_tagging_model(load_encoder(tiny, dropout=0.0), task, max_seq_length=16)
    viterbi.head.kernel.assign(plain.head.kernel)

    def broken(model):
        tags = [["O", *answer["tags"]] for answer in tfbert.predict(model, sentences)]
        pairs = [pair for row in tags for pair in zip(row, row[1:])]
        return sum(after[0] == "I" and before[1:] != after[1:] for before, after in pairs)

    assert broken(plain) > 2 and broken(viterbi) == 0
    answers = tfbert.predict(viterbi, sentences)
    assert all(tag == "O" for row in answers for word, tag in zip(row["tokens"], row["tags"]) if word == "\ufe0f")


def test_keras_trains_saves_and_exports_it(model, tmp_path):
    dataset = dataset_of(model, random_sentences(24))
    model.compile(AdamWeightDecay(1e-3))
    history = model.fit(dataset, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0] and "accuracy" in history
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    features = next(iter(dataset))[0]
    np.testing.assert_array_equal(loaded(features), model(features))
    assert loaded.task.scheme == "BIO" and tfbert.predict(loaded, [["my"]]) == tfbert.predict(model, [["my"]])
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported.serve(features), model(features), atol=1e-5)


def test_what_is_given_in_its_place_is_refused(tiny, model):
    with pytest.raises(InputError, match="tfbert.build_tagging_model"):
        tfbert.build_model(load_encoder(tiny), model.task)
    with pytest.raises(InputError, match="longer than|positions"):
        new_model(tiny, length=65)
    with pytest.raises(InputError, match="at least two tags. Received: \\['O'\\]"):
        TASKS["tagging"](["O"])
    with pytest.raises(InputError, match="join tokens|must be a text"):
        classifier = tfbert.build_model(load_encoder(tiny), TASKS["classification"](["no", "yes"]), max_seq_length=16)
        tfbert.predict(classifier, [["a", "b"]])
    assert tfbert.predict(model, []) == []
