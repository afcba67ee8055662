"""Weights of folders: whose names, types and files differ from what is usual, or that come from anywhere."""

import json
import pathlib

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.conftest import tiny_vocabulary, write_tiny
from tests.models.test_checkpoint_config import folder_with
from tfbert import InputError, load_encoder
from tfbert.models.checkpoint_tensors import SafetensorsReader, encoder_tensors, load_tensors
from tfbert.models.presets import find_preset


def tensors_of(folder):
    """Returns what is read of a folder's weights: dict."""
    return encoder_tensors(load_encoder(str(folder)))


def rewrite(folder, change):
    """Changes a folder's tensors: dict -> dict."""
    path = pathlib.Path(folder) / "model.safetensors"
    save_file(change(load_file(path)), path)


@pytest.mark.parametrize("prefix", ["module.", "module.bert.", "0.auto_model.", "model.bert."])
def test_names_of_wrappers(tmp_path, tiny, prefix):
    expected = tensors_of(tiny)
    for name, value in tensors_of(write_tiny(tmp_path, prefix=prefix)).items():
        np.testing.assert_array_equal(value, expected[name])


def test_two_encoders_are_refused(tmp_path):
    write_tiny(tmp_path)
    both = ("student", "teacher")
    rewrite(tmp_path, lambda tensors: {f"{which}.{n}": x for n, x in tensors.items() for which in both})
    with pytest.raises(InputError, match=r"several encoders, whose tensors begin with student\., teacher\."):
        load_encoder(str(tmp_path))


def test_more_layers_than_the_configuration_says_are_told(tmp_path, capsys):
    write_tiny(tmp_path)
    change_json(tmp_path / "config.json", lambda config: config.update(num_hidden_layers=1))
    assert load_encoder(str(tmp_path)).num_layers == 1
    assert "have more layers than the 1 of their configuration: the lowest are kept" in capsys.readouterr().out


BAD = {
    "not a number": (lambda x: np.where(np.arange(x.size).reshape(x.shape) == 3, np.nan, x), "non-finite values"),
    "infinity": (lambda x: x + np.inf, "non-finite values"),
    "beyond float32": (lambda x: x.astype(np.float64) * 1e300, "non-finite values"),
    "whole numbers": (lambda x: x.astype(np.int8), "of type int8; tfbert reads float16"),
    "booleans": (lambda x: x > 0, "of type bool; tfbert reads"),
}


@pytest.mark.parametrize("kind", BAD)
def test_numbers_that_are_no_weights(tmp_path, kind):
    write_tiny(tmp_path)
    change, reason = BAD[kind]
    name = "bert.encoder.layer.1.output.dense.weight"
    rewrite(tmp_path, lambda tensors: tensors | {name: change(tensors[name])})
    with pytest.raises(InputError, match=f"{reason}.*encoder/layer_1/output/dense/kernel|kernel.*{reason}"):
        load_encoder(str(tmp_path))


def test_eight_bit_floats_are_refused(tmp_path):
    import ml_dtypes

    write_tiny(tmp_path)
    rewrite(tmp_path, lambda tensors: {name: x.astype(ml_dtypes.float8_e4m3fn) for name, x in tensors.items()})
    with pytest.raises(InputError, match="type that is not read|as float8"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(
    "file,remedy",
    [
        ("pytorch_model.bin", "safe_serialization"),
        ("pytorch_model.bin.index.json", "safe_serialization"),
        ("tf_model.h5", "from_tf=True"),
        ("flax_model.msgpack", "from_flax=True"),
        ("adapter_model.safetensors", "merge it"),
    ],
)
def test_weights_of_other_kinds_name_the_remedy(tmp_path, file, remedy):
    write_tiny(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / file)
    with pytest.raises(InputError, match=f"{file} is not read: .*{remedy}"):
        load_encoder(str(tmp_path))


def test_a_hub_repository_of_other_weights_alone(tmp_path, monkeypatch):
    """They are not fetched, so that their file is not there to be named."""
    (write_tiny(tmp_path) / "model.safetensors").unlink()
    monkeypatch.setattr("tfbert.models.presets._download_hugging_face", lambda name, source: str(tmp_path))
    with pytest.raises(InputError, match="hf://a/b has none of model.safetensors.*safe_serialization"):
        find_preset("hf://a/b")


@pytest.mark.parametrize("file", ["../other/model.safetensors", "/etc/passwd", "..", "a/b", "", "a\0b", 3, None, ["a"]])
def test_shards_lie_in_the_folder(tmp_path, file):
    write_tiny(tmp_path / "other")
    folder = write_tiny(tmp_path / "folder")
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(names, file)}))
    with pytest.raises(InputError, match="may refer only to files in the same folder"):
        load_encoder(str(folder))


def test_of_two_files_of_weights_the_single_one_counts(tmp_path, tiny):
    """As in transformers."""
    folder = write_tiny(tmp_path)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "b.safetensors"}}))
    expected = tensors_of(tiny)
    assert tensors_of(folder).keys() == expected.keys()


def test_two_models_in_one_folder(tmp_path, capsys):
    """Hugging Face's alone is whole; then both are."""
    folder = pathlib.Path(folder_with(tmp_path))
    (folder / "bert_config.json").write_text((folder / "config.json").read_text())
    load_encoder(str(folder))
    (folder / "bert_model.ckpt.index").write_bytes(b"")
    find_preset(str(folder))
    with pytest.raises(InputError, match="bert_model.ckpt"):
        load_encoder(str(folder))
    assert "contains two models; bert_model.ckpt is read" in capsys.readouterr().out


def test_a_decoder_of_its_own_is_no_bert(tmp_path):
    """tie_word_embeddings: false; tfbert's decoder is the table of embeddings."""
    from tfbert import TASKS
    from tfbert.tasks.masked_lm.model import build_pretraining_model

    folder = write_tiny(tmp_path)
    size = len(tiny_vocabulary())
    head = {"transform.dense.weight": (32, 32), "transform.dense.bias": (32,), "transform.LayerNorm.weight": (32,),
            "transform.LayerNorm.bias": (32,), "bias": (size,)}  # fmt: skip
    head = {f"cls.predictions.{name}": np.ones(shape, np.float32) for name, shape in head.items()}
    table = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    for decoder, tied in ((table.copy(), True), (table + 1, False)):
        rewrite(folder, lambda tensors: tensors | head | {"cls.predictions.decoder.weight": decoder})
        preset = find_preset(str(folder))
        build = lambda: build_pretraining_model(  # noqa: E731
            preset.encoder(), TASKS["masked_lm"](next_sentence=False), None, 16, reader=preset.reader(), folder="x"
        )
        if tied:
            build()
        else:
            with pytest.raises(InputError, match="untied decoder"):
                build()


@pytest.fixture
def keras_folder(tiny, tmp_path):
    import keras_hub

    load_encoder(tiny).backbone.save_to_preset(str(tmp_path))
    keras_hub.models.BertTokenizer(tiny_vocabulary(), lowercase=True).save_to_preset(str(tmp_path))
    return tmp_path


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_keras_folders_make_no_object_that_they_name(keras_folder):
    change_json(keras_folder / "config.json", lambda about: about["config"].update(dtype={"class_name": "Bad"}))
    load_encoder(str(keras_folder))  # what a BERT does not need is not even looked at
    change_json(keras_folder / "config.json", lambda about: about["config"].update(num_layers=10**9))
    with pytest.raises(InputError, match="num_hidden_layers=1000000000"):
        find_preset(str(keras_folder))
    change_json(keras_folder / "config.json", lambda about: about.update(registered_name="keras_hub>Lambda"))
    with pytest.raises(InputError, match="describes 'keras_hub>Lambda'; tfbert needs a BertBackbone"):
        find_preset(str(keras_folder))


def test_keras_folders_with_another_tokenizer_or_too_many_pieces(keras_folder):
    with open(keras_folder / "assets" / "tokenizer" / "vocabulary.txt", "a") as file:
        file.write("more\n")
    with pytest.raises(InputError, match="embeddings"):
        find_preset(str(keras_folder))
    change_json(keras_folder / "tokenizer.json", lambda about: about["config"].update(split=False))
    with pytest.raises(InputError, match="split=False"):
        find_preset(str(keras_folder))


def _names(file):
    """Returns the names of an HDF5 file's data sets."""
    names = []
    file.visit(names.append)
    return [name for name in names if isinstance(file[name], h5py.Dataset)]


def test_keras_weights_that_lie_elsewhere_or_are_not_finite(keras_folder, tmp_path_factory):
    path = keras_folder / "model.weights.h5"
    outside = tmp_path_factory.mktemp("outside") / "model.weights.h5"
    with h5py.File(path, "a") as file:
        table = [name for name in _names(file) if file[name].shape == (len(tiny_vocabulary()), 32)][0]
        file[table][3, 3] = np.nan
    with pytest.raises(InputError, match="non-finite values"):
        load_encoder(str(keras_folder))
    path.rename(outside)
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink(str(outside), "/layers")
    with pytest.raises(InputError, match="too small"):
        load_encoder(str(keras_folder))
    with h5py.File(path, "a") as file:
        file["filling"] = np.zeros(10**6)
    with pytest.raises(InputError, match="is damaged"):
        load_encoder(str(keras_folder))


def test_a_reader_knows_its_size(tiny):
    tensors = load_file(pathlib.Path(tiny) / "model.safetensors")
    assert SafetensorsReader(tiny).size() == sum(x.size for x in tensors.values())
    load_tensors(load_encoder(tiny), SafetensorsReader(tiny), tiny)
