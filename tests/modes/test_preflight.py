"""Preflight: the search, the report, and, where the extra `preflight` is installed, the real TPU compiler."""

import functools
import importlib.util
import json

import pytest
import tensorflow as tf

from tests.conftest import random_texts, rows_of, write_tiny
from tfbert import TASKS, AdamWeightDecay, InputError, build_model, load_config, load_encoder, make_dataset, run
from tfbert.core.extras import install_command
from tfbert.data.hosts import JIEBA
from tfbert.data.hosts import refusal as hosts_refusal
from tfbert.models.encoder import BertEncoder
from tfbert.modes.preflight import search as search_module
from tfbert.modes.preflight.report import describe, padding_share, pipeline_speed, refusal
from tfbert.modes.preflight.search import bounds, line, next_size, search
from tfbert.modes.preflight.step import Compiled, StepCompiler, _needed, _operation, rows_of_epoch
from tfbert.modes.preflight.topologies import GIB, find_topology

compiles = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("jax", "libtpu")),
    reason=f"needs the TPU compiler: {install_command('preflight')}",
)
pytestmark = pytest.mark.timeout(1200)  # compiling is work for all cores of the machine


@pytest.fixture(autouse=True)
def usual_flags(monkeypatch):
    """The TPU compiler, which runs in a process of its own, gets no XLA flags of the tests."""
    monkeypatch.delenv("XLA_FLAGS", raising=False)


# ---- the search, on made-up memories


@pytest.mark.parametrize("fixed,each,first", [(2.0, 0.025, 32), (2.0, 0.3, 32), (14, 1.0, 1), (0.1, 0.004, 8)])
def test_search_finds_the_largest_of_an_affine_memory(fixed, each, first):
    tried = []

    def compile_at(size):
        tried.append(size)
        needed = fixed + each * size
        return Compiled(size, int(needed * GIB), 1.0, None, needed <= 16)

    fits, fails = bounds(search(compile_at, compile_at(first), 16 * GIB))
    assert fixed + each * fits <= 16 < fixed + each * fails
    assert fails == next_size(fits)
    assert len(tried) <= 8 and len(set(tried)) == len(tried)


def test_search_copes_with_memory_that_bends_and_failures_that_say_nothing():
    def compile_at(size):
        needed = min(1 + 0.02 * size, 15) if size <= 1000 else 17
        return Compiled(size, int(needed * GIB) * (needed <= 16), 1.0, None, needed <= 16)

    fits, fails = bounds(search(compile_at, compile_at(32), 16 * GIB))
    assert fits <= 1000 < fails == next_size(fits)
    assert bounds(search(compile_at, compile_at(3000), 16 * GIB))[0] == fits


def test_search_of_what_never_fits_and_of_what_always_does(monkeypatch):
    def never(size):
        return Compiled(size, 20 * GIB, 0.0, None, False)

    assert bounds(search(never, never(64), 16 * GIB)) == (0, 1)
    monkeypatch.setattr(search_module, "MOST_EXAMPLES", 512)
    always = search(lambda size: Compiled(size, 1, 1.0, None, True), Compiled(8, 1, 1.0, None, True), 16 * GIB)
    assert bounds(always) == (512, None)


def test_line():
    known = [Compiled(size, 100 + 3 * size, 1.0, None, True) for size in (8, 32, 16)]
    assert line(known) == (100, 3) and line(known[:1]) is None


# ---- messages


def test_messages_of_the_compilers():
    """As TensorFlow 2.21 and libtpu 0.0.51 write them."""
    refused = (
        "Failed getting HLO text: 'Detected unsupported operations when trying to compile graph f[] on XLA_CPU_JIT: "
        "AsString (No registered 'AsString' OpKernel for XLA_CPU_JIT devices compatible with node {{node model/AsString"
        "}}){{node model/AsString}}"
    )
    assert _operation(refused) == "a TPU does not support the operation AsString (node model/AsString)"
    memory = "the total memory required for HLO temporaries (105.44G) exceeds available HBM (15.75G)."
    assert _needed(memory) == int(105.44 * GIB)
    assert _needed("Ran out of memory in memory space hbm. Used 20.50G of 15.75G hbm.") == int(20.5 * GIB)
    assert _needed("something else") == 0


def test_topologies():
    four = find_topology("v4-8")
    assert (four.chips, four.hosts, four.accelerator_type) == (4, 1, "v4-8")
    eight = find_topology("v5e-8")
    assert eight == find_topology("v5litepod-8")
    assert (eight.chips, eight.hbm_bytes, eight.accelerator_type) == (8, int(15.75 * GIB), "v5litepod-8")
    assert find_topology("v6e-32").hosts == 8
    with pytest.raises(InputError, match="--topology must be one of v4-8, .*v6e-8.* Received: 'v9-1'"):
        find_topology("v9-1")


def test_padding_and_pipeline(tiny_model):
    dataset = small_dataset(tiny_model, 40)
    tokens = sum(int((features["window_ids"] > 0).numpy().sum()) for features, _, _ in dataset)
    packed, padded = dataset.with_shapes(True), dataset.with_shapes(True, windows_per_step=1)
    rows = packed.static_rows(5, 1)
    assert rows < 8
    assert padding_share(packed) == pytest.approx(1 - tokens / (5 * rows * 48))
    assert padding_share(padded) == pytest.approx(1 - tokens / (40 * 48))
    assert pipeline_speed(dataset, 2) > 10


def test_rows_of_a_batch_beyond_the_data(tiny_model):
    dataset = small_dataset(tiny_model, 40).with_shapes(True)
    whole = rows_of_epoch(dataset.with_batch_size(40))
    assert rows_of_epoch(dataset.with_batch_size(100)) == -(-whole * 100 // 40)


# ---- the real compiler

LARGE = 256  # examples, whose activations are most of the memory: more than fit into a chip's 128 MiB beside HBM
HEADS = 16  # of two units each: attention takes most memory for the time that the compiler takes


@pytest.fixture(scope="module")
def many_heads(tmp_path_factory):
    """The folder of a random BERT whose activations grow fast with the batch."""
    return str(write_tiny(tmp_path_factory.mktemp("many"), heads=HEADS))


def small_dataset(model, count=24):
    rows = rows_of(random_texts(count), labels=["no", "yes"] * (count // 2))
    return make_dataset(rows, model.tokenizer, model.task, 8, model.max_seq_length)


def compiler_of(folder, topology="v5e-1", accumulation=1, pooling="pooler", remat=False):
    encoder = load_encoder(folder, dtype="mixed_bfloat16")
    encoder.remat = remat
    model = build_model(encoder, TASKS["classification"](["no", "yes"]), pooling=pooling, max_seq_length=64)
    dataset = small_dataset(model)
    return StepCompiler(model, AdamWeightDecay(1e-4), dataset, find_topology(topology), accumulation, say=lambda _: 0)


@functools.cache
def compiled(folder, size, **options):
    return compiler_of(folder, **options).compile(size)


@compiles
def test_the_step_compiles_and_grows_with_the_batch(many_heads, record_property):
    small, large = compiled(many_heads, 8), compiled(many_heads, LARGE)
    record_property("program", f"v5e-1, batch {LARGE}: {large.hbm_bytes / 2**20:.1f} MiB")
    assert small.fits and large.fits and small.failure is None
    assert 0 < small.hbm_bytes < large.hbm_bytes < 2 * GIB
    # 2 operations a weight and token, three times for forward and backward; what else there is comes on top.
    compiler = compiler_of(many_heads)
    rows = rows_of_epoch(compiler.dataset.with_batch_size(LARGE))
    layers = load_encoder(many_heads).backbone.transformer_layers
    weights = sum(layer.count_params() for layer in layers)
    assert rows < LARGE / 2
    assert 1 < large.flops / (rows * 64 * 6 * weights) < 3


@compiles
def test_remat_takes_less_memory(many_heads):
    assert compiled(many_heads, LARGE, remat=True).hbm_bytes < 0.8 * compiled(many_heads, LARGE).hbm_bytes


@compiles
@pytest.mark.parametrize("options", [{"topology": "v5e-8"}, {"topology": "v6e-1", "accumulation": 2}], ids=str)
def test_several_chips_and_accumulation_compile(tiny, options, record_property):
    program = compiled(tiny, 8, **options)
    assert program.fits
    record_property("program", f"{options['topology']}, batch 8: {program.hbm_bytes / 2**20:.1f} MiB")


@compiles
def test_what_a_tpu_cannot_do_is_named(tiny, monkeypatch):
    pool = BertEncoder.pool

    def through_text(*args, **kwargs):
        x = pool(*args, **kwargs)
        text = tf.strings.as_string(tf.cast(x, tf.float32))
        return x + tf.cast(tf.stop_gradient(tf.strings.to_number(text)), x.dtype)

    monkeypatch.setattr(BertEncoder, "pool", through_text)
    refused = compiler_of(tiny).compile(8)
    assert not refused.fits and "a TPU does not support the operation" in refused.failure
    assert "AsString" in refused.failure or "StringToNumber" in refused.failure


@compiles
def test_mode(tiny, tmp_path, monkeypatch, capsys):
    """Whole: a batch that fits, with a search for the largest, then one that does not."""
    monkeypatch.setattr(search_module, "MOST_EXAMPLES", 16)
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{t or 'x'}\t{i % 2}\n" for i, t in enumerate(
        random_texts(40))))  # fmt: skip
    settings = {
        "mode": "preflight", "preset": tiny, "train_file": str(tmp_path / "train.tsv"), "topology": "v5e-1",
        "output_dir": str(tmp_path / "out"), "max_seq_length": 64, "mixed_precision": "bfloat16",
    }  # fmt: skip
    found = run(load_config(train_batch_size=16, search_batch=True, **settings))
    assert found == json.loads((tmp_path / "out" / "preflight.json").read_text())
    assert found["compiles"] and found["would_run"] and found["largest_batch"] == 16
    assert 0 < found["hbm_needed_bytes"] < found["hbm_bytes"] == int(15.75 * GIB)
    assert found["flops_per_example"] > 1e6 and 0 < found["padding_share"] < 1
    assert found["pins"]["libtpu"] == "0.0.17"
    printed = capsys.readouterr().out
    assert "It would run on v5e-1: a batch of 16 fits (" in printed and "an assumed 40%" in printed
    assert printed.index("It would run") < printed.index("topology ")
    with pytest.raises(InputError, match="would not run on v5e-1: a batch of 300000 needs more than the 15.75 GiB"):
        run(load_config(train_batch_size=300000, **settings))
    found = json.loads((tmp_path / "out" / "preflight.json").read_text())
    assert not found["would_run"] and found["compiles"] and found["largest_batch"] is None
    assert capsys.readouterr().out.count("Compiling for") == 1
    assert "not searched (--search_batch)" in describe(found) and "--search_batch finds the largest" in refusal(found)
    assert "--train_batch_size=16, more" in refusal(found | {"largest_batch": 16})


@compiles
def test_further_pretraining_compiles(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_EXAMPLES", 8)
    texts = [text or "empty" for text in random_texts(60)]
    (tmp_path / "corpus.txt").write_text("\n\n".join("\n".join(texts[i : i + 10]) for i in range(0, 60, 10)), "utf-8")
    settings = {"mode": "preflight", "task": "masked_lm", "preset": tiny, "train_file": str(tmp_path / "corpus.txt"),
                "max_seq_length": 32, "max_predictions_per_seq": 4, "train_batch_size": 8}  # fmt: skip
    assert run(load_config(**settings, topology="v5e-1", output_dir=str(tmp_path / "out")))["would_run"]


def test_the_hosts_of_a_pod_slice():
    """Each runs its own input pipeline, in a process that has not this one's Python."""
    found = {
        "topology": "v5e-16", "chips": 16, "hosts": 4, "hbm_bytes": GIB, "hbm_needed_bytes": 1, "batch_size": 32,
        "compiles": True, "largest_batch": 64, "smallest_that_fails": None, "all_reduced_bytes": 0,
        "flops_per_example": None, "padding_share": 0.1, "pipeline_examples_per_second": 9.0,
        "asked_examples_per_second": None, "pins": {},
    }  # fmt: skip
    assert "4, each with its own pipeline (--tpu=NAME); not run here" in describe(found | {"hosts_failure": None})
    assert "hosts" not in describe(found | {"hosts": 1, "hosts_failure": None})
    failure = hosts_refusal([JIEBA])
    assert failure in describe(found | {"hosts_failure": failure})
    assert refusal(found | {"hosts_failure": failure}) == f"{failure}."


def test_without_the_extra(tiny, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"jax is not installed: pip install jax==0.10.2 libtpu==0.0.51"):
        compiler_of(tiny)
