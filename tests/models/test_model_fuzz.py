"""Model folders of unknown origin: whatever stands in their files, they load or are refused in a sentence."""

import copy
import json
import pathlib
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import tiny_vocabulary, write_tiny
from tests.reference.tokenizer_folders import DECODER, HOLES, TOKENS, bert, whole
from tfbert import TASKS, InputError, build_model, load_encoder, load_model, save_model
from tfbert.inference.saved_model import load_weights
from tfbert.models.checkpoint_tensors import CheckpointReader, SafetensorsReader, check_size, load_tensors
from tfbert.models.presets import find_preset

TEXTS = ["The printer is <url> DOWN, café 中文", "", "x\x00y" * 60]
bounded = settings(
    max_examples=10, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 40), st.sampled_from([10**9, 10**13, -(10**30), 0.5, 1e308]),
    st.floats(), st.text(max_size=8),
    st.sampled_from(["../../x", "/etc/passwd", "[CLS]", "BertTokenizer", "gelu", "\ud800"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw, content):
    """Returns a JSON value with one to three of its parts replaced, taken out or added."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        place, key = content, None
        while isinstance(place, (dict, list)) and place:
            parent, key = place, draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            place = parent[key]
            if draw(st.booleans()):
                break
        if key is None:
            return draw(VALUES)
        how = draw(st.integers(0, 5))
        if how == 0:
            del parent[key]
        elif how == 1 and isinstance(parent, dict):
            parent[draw(st.text(max_size=8) | st.sampled_from(["\ud800", "a\0b", "y" * 300]))] = draw(VALUES)
        else:
            parent[key] = draw(VALUES)
    return content


@st.composite
def damaged(draw, content):
    """Returns bytes cut off, or with some of them changed or put in."""
    content = bytearray(content)
    for _ in range(draw(st.sampled_from([0, 1, 2, 8]))):
        at = draw(st.one_of(st.integers(0, min(400, len(content) - 1)), st.integers(0, len(content) - 1)))
        content[at : at + draw(st.integers(0, 1))] = draw(st.binary(max_size=2))
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 3)) == 0 else content)


def tried(load):
    """Returns what `load` makes, or None where it says in a sentence what is wrong."""
    try:
        return load()
    except InputError as error:
        assert str(error) and len(str(error)) < 2000, str(error)[:300]
        return None


def written(path, content):
    """Writes a file: bytes, or JSON that may hold what no JSON should."""
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def find(folder):
    """Finds a preset and uses its tokenizer; builds nothing."""
    preset = tried(lambda: find_preset(str(folder)))
    tokenizer = preset and tried(preset.tokenizer)
    if tokenizer:
        ids = tokenizer(TEXTS).flat_values.numpy()
        assert not len(ids) or (0 <= ids.min() and ids.max() < preset.rows)


CONFIG = json.loads(
    '{"model_type": "bert", "vocab_size": 128, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, '
    '"intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_act": "gelu", '
    '"layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "pruned_heads": {}}'
)
JSON_FILES = {
    "config.json": CONFIG,
    "bert_config.json": CONFIG,
    "tokenizer.json": whole(tokens=TOKENS),
    "tokenizer_config.json": bert(added_tokens_decoder=DECODER, additional_special_tokens=["[E1]"]),
    "special_tokens_map.json": {"cls_token": {"content": "[CLS]"}, "additional_special_tokens": ["<url>"]},
    "added_tokens.json": {"<url>": len(HOLES), "[E1]": len(HOLES) + 1},
}


@pytest.mark.parametrize("file", JSON_FILES)
def test_settings(tmp_path, file):
    @bounded
    @given(changed(JSON_FILES[file]), st.sampled_from(["", "cut", "deep"]))
    def check(content, how):
        written(tmp_path / "config.json", CONFIG)
        (tmp_path / "vocab.txt").write_text("\n".join(HOLES), encoding="utf-8")
        content = json.dumps(content).encode()
        content = {"": content, "cut": content[: len(content) * 2 // 3], "deep": b"[" * 100_000}[how]
        written(tmp_path / file, content)
        find(tmp_path)

    check()


def test_vocabularies(tmp_path):
    @bounded
    @given(damaged("\n".join(HOLES).encode()))
    def check(content):
        written(tmp_path / "config.json", CONFIG)
        written(tmp_path / "vocab.txt", content)
        find(tmp_path)

    check()


def test_tensors(tmp_path):
    folder = write_tiny(tmp_path)
    encoder, content = load_encoder(str(folder)), (folder / "model.safetensors").read_bytes()
    config = tmp_path / "model.safetensors"

    @bounded
    @given(damaged(content))
    def check(content):
        written(config, content)
        tried(lambda: load_tensors(encoder, SafetensorsReader(str(folder)), "x"))

    check()


def test_shards(tmp_path, tiny):
    index = tmp_path / "model.safetensors.index.json"

    @bounded
    @given(changed({"metadata": {}, "weight_map": {"bert.pooler.dense.bias": "a.safetensors", "b": "b.safetensors"}}))
    def check(content):
        written(index, content)
        tried(lambda: SafetensorsReader(str(tmp_path)).size())

    check()


def test_checkpoints_of_google(shared, tmp_path):
    source = shared / "data" / "weights" / "keras_bert_tiny_random_tf1_checkpoint"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    encoder = load_encoder(str(tmp_path))

    class Needed:
        parameters = 10

    for file in ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"):
        whole_file = (source / file).read_bytes()

        @bounded
        @given(damaged(whole_file))
        def check(content):
            written(tmp_path / file, content)  # noqa: B023
            reader = tried(lambda: CheckpointReader(str(tmp_path)))
            if reader:
                tried(lambda: check_size(reader, Needed, "x"))
                tried(lambda: load_tensors(encoder, reader, "x"))

        check()
        written(tmp_path / file, whole_file)


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """The folder of a saved model with a head of its own, and what its files hold."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    task = TASKS["classification"](["no", "yes"])
    model = build_model(load_encoder(tiny), task, max_seq_length=16, pooling="cls", head_layers=(8,))
    save_model(model, str(folder))
    return model, folder


def test_saved_models(saved, tmp_path, monkeypatch):
    """Of tfbert.json that is good after all, the model is made; of the encoder's weights, one that is made already."""
    model, source = saved
    folder = pathlib.Path(shutil.copytree(source, tmp_path / "model"))

    class Made:
        encoder = staticmethod(lambda *_, **__: model.encoder)

    monkeypatch.setattr("tfbert.inference.saved_model.find_preset", lambda folder: Made)
    about = json.loads((source / "tfbert.json").read_text())

    @bounded
    @given(changed(about) | st.just({"members": ["members/1"], **about}))
    def check(content):
        written(folder / "tfbert.json", content)
        tried(lambda: load_model(str(folder)))

    check()


def test_ensembles(saved, tmp_path):
    """Members are folders within, and no ensembles themselves, which a link could make endless."""
    _, source = saved
    about = json.loads((source / "tfbert.json").read_text())
    ensemble = {name: about[name] for name in ("task", "labels", "decision")} | {"members": ["members/1", "members/2"]}
    (tmp_path / "members").mkdir()
    (tmp_path / "members" / "1").symlink_to(tmp_path)
    written(tmp_path / "tfbert.json", ensemble)
    with pytest.raises(InputError, match="members/1 is not a member of this ensemble"):
        load_model(str(tmp_path))
    for name in ("../saved", str(source), "members/../..", "members/1/members/1", 3):
        written(tmp_path / "tfbert.json", ensemble | {"members": [name]})
        with pytest.raises(InputError, match="members is"):
            load_model(str(tmp_path))

    @bounded
    @given(changed(ensemble))
    def check(content):
        written(tmp_path / "tfbert.json", content)
        tried(lambda: load_model(str(tmp_path)))

    check()


def test_weights_of_saved_models(saved, tmp_path):
    model, source = saved
    content = (source / "model.safetensors").read_bytes()

    @bounded
    @given(damaged(content))
    def check(content):
        written(tmp_path / "model.safetensors", content)
        tried(lambda: load_weights(model, str(tmp_path)))

    check()


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_keras_folders(tmp_path, tiny, file):
    import keras_hub

    load_encoder(tiny).backbone.save_to_preset(str(tmp_path))
    keras_hub.models.BertTokenizer(tiny_vocabulary(), lowercase=True).save_to_preset(str(tmp_path))
    about = json.loads((tmp_path / file).read_text())

    @bounded
    @given(changed(about))
    def check(content):
        written(tmp_path / file, content)
        find(tmp_path)

    check()


def test_files_without_end_are_not_read(tmp_path):
    written(tmp_path / "config.json", CONFIG)
    with open(tmp_path / "vocab.txt", "wb") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match="2,147,483,648 bytes"):
        find_preset(str(tmp_path))
