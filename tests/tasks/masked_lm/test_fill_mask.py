"""Words behind masks: the probabilities against the model's logits, and the mistakes."""

import re

import numpy as np
import pytest
from scipy.special import softmax

from tests.conftest import random_texts
from tests.reference.bert import bert
from tfbert import TASKS, InputError, build_pretraining_model, extract_features, fill_mask, load_encoder, save_model
from tfbert.models.checkpoint_tensors import encoder_tensors
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.modes.build import augmentation_of
from tfbert.tasks.masked_lm.documents import Sentences, tokenized_chunks
from tfbert.tasks.masked_lm.fill_mask import sample_predictions
from tfbert.tasks.masked_lm.segments import SegmentExamples


@pytest.fixture(scope="module")
def model(tiny):
    return build_pretraining_model(load_encoder(tiny), TASKS["masked_lm"](), max_seq_length=24, init_seed=1)


def test_probabilities_equal_the_formula(model, tiny):
    """One text at a time through BERT in NumPy, and the head's formula."""
    found = fill_mask(model, ["the [MASK] is down", "[MASK]中[MASK]!", "un[MASK]able is my account"], top=3)
    assert [len(masks) for masks in found] == [1, 2, 1]
    ids = {piece: number for number, piece in enumerate(model.tokenizer.vocabulary)}
    tensors = {name.removeprefix("bert."): value for name, value in encoder_tensors(model.encoder).items()}
    config = {"num_attention_heads": 4, "layer_norm_eps": 1e-12, "num_hidden_layers": 2, "hidden_act": "gelu"}
    head = {name: value.numpy().astype(np.float64) for name, value in model.head.named_variables().items()}
    for pieces, masks in (
        (["[CLS]", "the", "[MASK]", "is", "down", "[SEP]"], found[0]),
        (["[CLS]", "[MASK]", "中", "[MASK]", "!", "[SEP]"], found[1]),
        ("[CLS] u ##n [MASK] a ##b ##l ##e is my account [SEP]".split(), found[2]),
    ):
        x = bert(tensors, config, [ids[piece] for piece in pieces], [0] * len(pieces))[0][-1]
        from scipy.special import erf

        y = x @ head["cls/predictions/transform/dense/kernel"]
        y = 0.5 * y * (1 + erf(y / np.sqrt(2)))
        y = (y - y.mean(-1, keepdims=True)) / y.std(-1, keepdims=True)
        expected = softmax(y @ tensors["embeddings.word_embeddings.weight"].T, axis=-1)
        places = [place for place, piece in enumerate(pieces) if piece == "[MASK]"]
        for place, guesses in zip(places, masks, strict=True):
            best = np.argsort(-expected[place])[:3]
            assert [guess["piece"] for guess in guesses] == [model.tokenizer.vocabulary[piece] for piece in best]
            np.testing.assert_allclose([g["probability"] for g in guesses], expected[place][best], atol=1e-5)


def test_many_texts_in_their_order(model):
    texts = [f"{text} [MASK] {text[:9]}" for text in random_texts(40, longest=8)]
    together = fill_mask(model, texts)
    for text, guesses in zip(texts, together):
        alone = fill_mask(model, [text])[0]
        assert [g["piece"] for g in alone[0]] == [g["piece"] for g in guesses[0]] and len(guesses[0]) == 5


def test_mistakes(model, tiny_model):
    with pytest.raises(InputError, match="'no mask' has no .MASK. among its first 22 tokens"):
        fill_mask(model, ["no mask"])
    with pytest.raises(InputError, match="among its first 22 tokens"):
        fill_mask(model, ["the " * 30 + "[MASK]"])
    with pytest.raises(InputError, match="no masked-word head"):
        fill_mask(tiny_model, ["the [MASK]"])
    with pytest.raises(TypeError, match="must be a list"):
        fill_mask(model, "the [MASK]")


@pytest.mark.parametrize("top", [0, -1, 10**6, 2.5, "5"])
def test_as_many_pieces_as_there_are(model, top):
    with pytest.raises(InputError, match=f"from 1 to {len(model.tokenizer.vocabulary)}, .* Received: {top!r}"):
        fill_mask(model, ["the [MASK]"], top=top)


def test_all_pieces(model):
    (((*guesses,),),) = fill_mask(model, ["the [MASK]"], top=len(model.tokenizer.vocabulary))
    assert sorted(guess["piece"] for guess in guesses) == sorted(model.tokenizer.vocabulary)


def test_texts_are_cleaned_as_training_cleaned_them(tiny):
    encoder = load_encoder(tiny)
    encoder.tokenizer = BertTokenizer(encoder.tokenizer.vocabulary, True, clean=True)
    model = build_pretraining_model(encoder, TASKS["masked_lm"](), max_seq_length=24)
    expected = fill_mask(model, ["the [MASK] is down"])
    assert fill_mask(model, ["<p>the [MASK] is <b>down</b></p>"]) == expected
    assert fill_mask(model, ["the [MASK] is down\ud800"]) == expected  # half a character, as JSON may hold it


def test_samples_hide_whole_words(model):
    documents = Sentences(
        tokenized_chunks([["the printer is down", "thanks , zebra !"], ["please", "not my account"]], model.tokenizer)
    )
    examples = SegmentExamples(documents, model.tokenizer, 24)
    samples = sample_predictions(model, examples)
    assert samples
    for sample in samples:
        assert sample["text"].count("[MASK]") == 1 and sample["word"].isalpha() and len(sample["guesses"]) == 5
        guesses = fill_mask(model, [sample["text"]])[0][0]
        assert [g["piece"] for g in guesses] == [g["piece"] for g in sample["guesses"]]


def test_vectors_are_those_of_its_encoder(model):
    texts = ["the printer is down", "thanks"]
    found, expected = (extract_features(source, texts, max_seq_length=24) for source in (model, model.encoder))
    np.testing.assert_array_equal(found, expected)


def test_words_replaced_in_copies(tiny, tmp_path):
    """With a head whose bias says the same two words everywhere."""
    model = build_pretraining_model(load_encoder(tiny), TASKS["masked_lm"](), max_seq_length=16)
    vocabulary = model.tokenizer.vocabulary
    bias = np.full(len(vocabulary), -50.0)
    bias[[vocabulary.index("printer"), vocabulary.index("down"), vocabulary.index("##a")]] = 20.0
    next(v for v in model.head.weights if v.shape == bias.shape).assign(bias)
    save_model(model, str(tmp_path / "model"))
    replace = augmentation_of(f"masked_words:{tmp_path}/model")
    one = np.random.default_rng
    assert replace("The invoice, of May", one(0), 1e-9).count("printer") + replace("x", one(0), 1.0).count("down") <= 2
    pattern = r"(The|printer|down) (invoice|printer|down), \((of|printer|down) (May|printer|down)\)"
    for seed in range(10):
        found = replace("The invoice, (of May)", one(seed), 0.5)
        assert re.fullmatch(pattern, found) and found != "The invoice, (of May)"
    assert replace("printer", one(0), 1.0) == "down"  # never the word that stood there
    assert replace("", one(0), 1.0) == "" and replace("打 a", one(3), 1.0) == replace("打 a", one(3), 1.0)
    long = "x " * 40
    assert replace(long, one(0), 1.0).split()[20:] == ["x"] * 20  # beyond what the model sees
    texts = ["The invoice, of May", "", long, "打 a", *random_texts(70)]
    together = replace.many(texts, [one(seed) for seed in range(len(texts))], 0.3)
    assert together == [replace(text, one(seed), 0.3) for seed, text in enumerate(texts)]
    with pytest.raises(InputError, match="is not a model saved by tfbert"):
        augmentation_of("masked_words:nowhere")
