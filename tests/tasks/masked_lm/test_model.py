"""The pre-training head: against Hugging Face (golden) and NumPy, from every layout, saved and loaded."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file
from scipy.special import log_softmax

from tests.conftest import ROOT, mirrored, random_texts, write_tiny
from tfbert import TASKS, AdamWeightDecay, InputError, load_encoder, load_model, save_model
from tfbert.data.batches import ExampleBatches
from tfbert.inference.saved_model import load_weights
from tfbert.models.presets import find_preset
from tfbert.tasks.masked_lm.documents import Sentences, tokenized_chunks
from tfbert.tasks.masked_lm.masking import Masking, WordMasker
from tfbert.tasks.masked_lm.model import build_pretraining_model
from tfbert.tasks.masked_lm.segments import SegmentExamples
from tfbert.tasks.masked_lm.task import MASKED, MASKED_LOSS, MASKED_RIGHT, NEXT_LOSS, NEXT_RIGHT
from tfbert.training.evaluation import Evaluator
from tfbert.training.loop import TrainingLoop

GOLDEN = ROOT / "tests" / "golden" / "pretraining.npz"
LENGTH = 32


def model_of(folder, next_sentence=True, dropout=0.0, **options):
    preset = find_preset(str(folder))
    task = TASKS["masked_lm"](next_sentence=next_sentence)
    reader = preset.reader()
    return build_pretraining_model(
        preset.encoder(dropout), task, max_seq_length=LENGTH, reader=reader, folder=str(folder), **options
    )


def batches_of(tokenizer, batch_size, next_sentence=True, count=120, length=LENGTH, **options):
    texts = [text or "empty" for text in random_texts(count, longest=12)]
    documents = Sentences(tokenized_chunks([texts[:50], texts[50:51], texts[51:]], tokenizer))
    examples = SegmentExamples(documents, tokenizer, length, next_sentence)
    masker = WordMasker(tokenizer, length, Masking(most=4))
    return ExampleBatches(examples, batch_size, length, True, 0, masker=masker, **options)


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN))


@pytest.fixture(scope="module")
def hugging_face(golden, tmp_path_factory):
    """The folder of the golden file's model, as `save_pretrained` wrote it."""
    folder = tmp_path_factory.mktemp("golden")
    save_file({n.removeprefix("tensor:"): x for n, x in golden.items() if ":" in n}, folder / "model.safetensors")
    (folder / "config.json").write_text(str(golden["config"]))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"p{number}" for number in range(85))]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return folder


def test_logits_equal_hugging_face(hugging_face, golden):
    ids, segments = (golden[name].astype(np.int32) for name in ("token_ids", "segment_ids"))
    rows, length = ids.shape
    features = {
        "token_ids": ids, "segment_ids": segments, "window_ids": np.ones_like(ids),
        "positions": np.tile(np.arange(length, dtype=np.int32), (rows, 1)),
        "window_start": np.arange(rows, dtype=np.int32) * length,
        "target_at": np.arange(rows * length, dtype=np.int32).reshape(rows, length),
    }  # fmt: skip
    features = {name: tf.constant(value) for name, value in features.items()}
    masked, next_sentence = model_of(hugging_face).logits(features)
    np.testing.assert_allclose(masked, golden["masked"], atol=1e-4)
    np.testing.assert_allclose(next_sentence, golden["next_sentence"], atol=1e-4)
    assert np.abs(golden["masked"]).max() > 1  # the numbers are not so small that all agree


def test_saved_as_transformers_saves_it(hugging_face, tmp_path):
    """Every tensor by its name and in its shape; and what is loaded again is the same model."""
    model = model_of(hugging_face)
    save_model(model, str(tmp_path / "model"))
    expected, found = (load_file(folder / "model.safetensors") for folder in (hugging_face, tmp_path / "model"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    again = load_model(str(tmp_path / "model"))
    for one, other in zip(model.weights, again.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert again.task.next_sentence and again.max_seq_length == LENGTH
    again.head.bias.assign_add(tf.ones_like(again.head.bias))
    load_weights(again, str(tmp_path / "model"))
    np.testing.assert_array_equal(again.head.bias.numpy(), model.head.bias.numpy())
    encoder = load_encoder(str(tmp_path / "model"))  # for fine-tuning
    np.testing.assert_array_equal(encoder.backbone.pooled_dense.kernel.numpy().T, expected["bert.pooler.dense.weight"])


def test_masked_words_alone(hugging_face, tmp_path):
    model = model_of(hugging_face, next_sentence=False)
    assert not [variable for variable in model.trainable_variables if "pooled" in variable.path]
    save_model(model, str(tmp_path / "model"))
    assert "BertForMaskedLM" in (tmp_path / "model" / "config.json").read_text()
    assert not [name for name in load_file(tmp_path / "model" / "model.safetensors") if "seq_relationship" in name]
    assert not load_model(str(tmp_path / "model")).task.next_sentence
    both = model_of(tmp_path / "model")  # what it lacks starts anew, the rest is kept
    for name in ("kernel", "bias", "gamma"):
        np.testing.assert_array_equal(getattr(both.head, name).numpy(), getattr(model.head, name).numpy())
    assert both.head.next_kernel.numpy().any()


def test_google_names(hugging_face, tmp_path):
    """The same weights in a TF1 checkpoint, under the names of google-research/bert."""
    model = model_of(hugging_face)
    from tfbert.models.checkpoint_tensors import _flat_shape, named_variables

    named = {f"bert/{name}": (name, variable) for name, variable in named_variables(model.encoder).items()}
    tensors = {full: variable.numpy().reshape(_flat_shape(name, variable)) for full, (name, variable) in named.items()}
    tensors |= {
        "cls/predictions/transform/dense/kernel": model.head.kernel.numpy(),
        "cls/predictions/transform/dense/bias": model.head.transform_bias.numpy(),
        "cls/predictions/transform/LayerNorm/gamma": model.head.gamma.numpy(),
        "cls/predictions/transform/LayerNorm/beta": model.head.beta.numpy(),
        "cls/predictions/output_bias": model.head.bias.numpy(),
        "cls/seq_relationship/output_weights": model.head.next_kernel.numpy(),
        "cls/seq_relationship/output_bias": model.head.next_bias.numpy(),
    }
    tf.raw_ops.SaveV2(prefix=str(tmp_path / "bert_model.ckpt"), tensor_names=list(tensors),
                      shape_and_slices=[""] * len(tensors), tensors=list(tensors.values()))  # fmt: skip
    shutil.copy(hugging_face / "config.json", tmp_path / "bert_config.json")
    shutil.copy(hugging_face / "vocab.txt", tmp_path)
    again = model_of(tmp_path)
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_real_google_checkpoint(shared):
    folder = shared / "data" / "weights" / "keras_bert_tiny_random_tf1_checkpoint"
    reader = tf.train.load_checkpoint(str(folder / "bert_model.ckpt"))
    names = {name for name in reader.get_variable_to_shape_map() if name.startswith("cls/") and "adam" not in name}
    preset = find_preset(str(folder))
    model = build_pretraining_model(
        preset.encoder(), TASKS["masked_lm"](), max_seq_length=8, reader=preset.reader(), folder=str(folder)
    )
    assert model.head.named_variables().keys() == names
    for name, variable in model.head.named_variables().items():
        np.testing.assert_array_equal(variable.numpy(), reader.get_tensor(name))


def test_a_head_that_is_missing_or_damaged(tiny, hugging_face, tmp_path, capsys):
    model = model_of(tiny, init_seed=3)
    said = capsys.readouterr().out
    assert "no masked-word head; it starts" in said and "no next-sentence classifier; it starts" in said
    assert 0.01 < model.head.kernel.numpy().std() < 0.03
    folder = pathlib.Path(shutil.copytree(hugging_face, tmp_path / "damaged"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["cls.predictions.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(InputError, match="no tensor cls/predictions/output_bias"):
        model_of(folder)


@pytest.mark.parametrize("static_shapes", [False, True])
def test_scores_equal_their_formula(hugging_face, tiny, static_shapes):
    """From the logits, which are Hugging Face's, and the text before it was masked."""
    model = model_of(tiny)
    batches = batches_of(model.tokenizer, 7, static_shapes=static_shapes)
    share = next(iter(batches.shares(0, 1, 2)))  # four slots, of which the batch fills four
    features, labels, weights = share
    logits, next_logits = (x.numpy().astype(np.float64) for x in model.logits(features))
    found = model(features).numpy()
    assert found.shape == (4, 5) and weights.numpy().tolist() == [1, 1, 1, 1]
    order = np.array(batches._chosen(0, 0, tf.range(7, dtype=tf.int64)))
    whole = batches.examples.windows(order[:4])[0].to_list()
    masker = batches._masker
    wanted = np.clip(np.rint(0.15 * batches.examples.window_lengths[order]), 1, 4)
    np.testing.assert_allclose(labels, 7 / wanted.sum(), rtol=1e-6)
    _, positions, _, used = masker(batches.examples.windows(order[:4])[0], order[:4], tf.constant(0, tf.int64))
    for slot in range(4):
        places = positions.numpy()[slot][used.numpy()[slot]]
        targets = np.array(whole[slot])[places]
        scores = log_softmax(logits[slot, : len(places)], axis=-1)
        follows = log_softmax(next_logits[slot])
        label = batches.examples.labels[order[slot]]
        expected = {
            MASKED_LOSS: -scores[np.arange(len(places)), targets].sum(), MASKED: len(places),
            MASKED_RIGHT: (scores.argmax(axis=1) == targets).sum(), NEXT_LOSS: -follows[label],
            NEXT_RIGHT: follows.argmax() == label,
        }  # fmt: skip
        np.testing.assert_allclose(found[slot], [expected[column] for column in range(5)], atol=1e-5)


def test_xla_changes_nothing(tiny):
    model = model_of(tiny)
    features = next(iter(batches_of(model.tokenizer, 8, static_shapes=True).shares(0, 1)))[0]
    compiled = tf.function(lambda features: model(features), jit_compile=True)
    np.testing.assert_allclose(model(features), compiled(features), atol=1e-5)


def test_bfloat16_stays_near_float32(tmp_path):
    folder, found = write_tiny(tmp_path), []
    for dtype in ("float32", "mixed_bfloat16"):
        encoder = load_encoder(str(folder), dropout=0.0, dtype=dtype)
        model = build_pretraining_model(encoder, TASKS["masked_lm"](), max_seq_length=LENGTH)
        assert all(v.dtype == "float32" for v in model.trainable_variables)
        found.append(model(next(iter(batches_of(model.tokenizer, 8).shares(0, 1)))[0]).numpy())
    assert 0 < np.abs(found[0] - found[1])[:, [MASKED_LOSS, NEXT_LOSS]].max() < 0.1


@pytest.mark.parametrize("next_sentence,layout", [(True, (2, 1, True)), (False, (2, 3, False))])
def test_training_does_not_depend_on_devices_parts_or_shapes(tiny, next_sentence, layout):
    """Three steps: the same losses, and the same weights, however the batch is shared out."""
    runs = []
    for replicas, parts, static_shapes in ((1, 1, False), layout):
        strategy = mirrored(replicas) or tf.distribute.get_strategy()
        with strategy.scope():
            model = model_of(tiny, next_sentence)
            optimizer = AdamWeightDecay(1e-2, global_clipnorm=0.5)
        loop = TrainingLoop(model, optimizer, strategy, accumulation=parts)
        batches = batches_of(model.tokenizer, 10, next_sentence, static_shapes=static_shapes)
        losses = loop.run(batches, 3, 1)
        scores = Evaluator(model, strategy).evaluate(batches_of(model.tokenizer, 10, next_sentence))
        runs.append((losses, scores, model.head.kernel.numpy()))
    for losses, scores, kernel in runs[1:]:
        np.testing.assert_allclose(losses, runs[0][0], rtol=1e-5)
        np.testing.assert_allclose(kernel, runs[0][2], atol=2e-4)
        assert scores.keys() == runs[0][1].keys()
    outputs = Evaluator(model).outputs(batches_of(model.tokenizer, 10, next_sentence))
    totals = outputs.astype(np.float64).sum(axis=0)
    masked_loss = totals[MASKED_LOSS] / totals[MASKED]
    expected = {"loss": masked_loss + totals[NEXT_LOSS] / len(outputs), "perplexity": np.exp(masked_loss),
                "masked_accuracy": totals[MASKED_RIGHT] / totals[MASKED]}  # fmt: skip
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert ("next_sentence_accuracy" in scores) == next_sentence


def test_short_sequences_first(tiny):
    """Three steps of short sequences and two of long ones are a run of each, one after the other; under XLA, too."""

    def losses_of(*runs):
        model = model_of(tiny)
        loop = TrainingLoop(model, AdamWeightDecay(1e-2), xla=True)
        losses = [loop.run(batches(model.tokenizer), last_step, 2) for batches, last_step in runs]
        return np.concatenate(losses), model.head.kernel.numpy()

    def short(tokenizer):
        return batches_of(tokenizer, 8, length=16)

    def long(tokenizer):
        return batches_of(tokenizer, 8)

    def scheduled(tokenizer):
        return batches_of(tokenizer, 8, before=(short(tokenizer), 3))

    for static_shapes in (False, True):
        phases = list(scheduled(model_of(tiny).tokenizer).with_shapes(static_shapes).phases(0, 5))
        widths = [next(iter(phase.shares(0, 1)))[0]["token_ids"].shape[1] for phase, _ in phases]
        assert widths == [16, LENGTH] and [last_step for _, last_step in phases] == [3, 5]
    expected, found = losses_of((short, 3), (long, 5)), losses_of((scheduled, 5))
    for one, other in zip(expected, found):
        np.testing.assert_array_equal(one, other)
