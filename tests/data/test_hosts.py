"""Input pipelines on hosts that are not this process, as --tpu=NAME has them: what cannot run there is refused."""

import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, random_texts, rows_of
from tfbert import AdamWeightDecay, InputError, load_tokenizer
from tfbert.data import hosts
from tfbert.data import number_column as columns
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.hosts import JIEBA, TEMPORARY_FILE, check_hosts, refusal
from tfbert.data.number_column import NumberColumn
from tfbert.tasks.masked_lm.masking import Masking, WordMasker
from tfbert.training.evaluation import Evaluator
from tfbert.training.loop import TrainingLoop

# One host that is not this process: TensorFlow's server stands for the TPU's. The rows are read, tokenised and batched,
# and then what cannot go there is refused.
ONE_HOST = """
import tensorflow as tf
server = tf.distribute.Server.create_local_server()
tf.config.experimental_connect_to_host(server.target, job_name="worker")
from tfbert.data import hosts
from tfbert.data.datasets import make_dataset
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.tasks import TASKS
worker = "/job:worker/replica:0/task:0/device:CPU:0"
tf.device(worker).__enter__()  # as `experimental_connect_to_cluster` makes the TPU's first host the default
assert hosts.elsewhere() and "/job:worker/" in (tf.constant(1) + 1).device
with hosts.here():
    assert "/job:localhost/" in (tf.constant(1) + 1).device
tokenizer = BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"], True)
rows = [{"text": "a b", "label": "x", "where": ("t", 1)}, {"text": "b", "label": "y", "where": ("t", 2)}]
data = make_dataset(rows, tokenizer, TASKS["classification"](["x", "y"]), batch_size=2, max_seq_length=8, shuffle=False)
strategy = tf.distribute.OneDeviceStrategy(worker)
batch = next(iter(strategy.distribute_datasets_from_function(lambda context: data.shares(0, 1))))
print(batch[0]["token_ids"].numpy().tolist(), batch[1].numpy().tolist())
"""


def test_rows_go_to_a_host_that_is_another_process():
    result = subprocess.run([sys.executable, "-c", ONE_HOST], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "[[2, 5, 6, 3, 2, 6, 3, 0]] [0, 1]\n", result.stderr[-3000:]


def test_this_process_is_not_elsewhere():
    assert not hosts.elsewhere()
    with hosts.here():
        assert "/job:localhost/" in (tf.constant(1) + 1).device


@pytest.mark.parametrize(
    "names,expected",
    [
        (["/device:CPU:0", "/device:CPU:1"], False),
        (["/job:worker/replica:0/task:1/device:CPU:0"], False),  # one of several machines
        (["/job:localhost/replica:0/task:0/device:CPU:0"], False),
        (["/device:CPU:0", "/job:worker/replica:0/task:0/device:CPU:0"], True),
    ],
)
def test_when_it_is(names, expected, monkeypatch):
    devices = [types.SimpleNamespace(name=name) for name in names]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    assert hosts.elsewhere() == expected


@pytest.fixture
def batches(tiny):
    tokenizer = load_tokenizer(tiny)
    examples = tokenize_examples(rows_of(random_texts(5), [0] * 5), tokenizer, 16, lambda label, where: label)
    return lambda masker=None: ExampleBatches(examples, 2, 16, False, 0, masker=masker)


def test_large_data_need_a_file_of_this_process(monkeypatch):
    monkeypatch.setattr(columns, "_MEMORY_BYTES", 100)
    for count, expected in ((10, []), (100, [TEMPORARY_FILE])):
        column = NumberColumn(np.int32)
        column.extend(np.arange(count))
        column.close()
        assert column.needs_here == expected


def test_whole_chinese_words_need_python(tiny, batches):
    tokenizer = load_tokenizer(tiny)
    for whole, expected in ((True, [JIEBA]), (False, [])):
        assert batches(WordMasker(tokenizer, 16, Masking(whole_words=whole), 0)).needs_here == expected


def test_what_is_refused(batches, tiny_model, monkeypatch):
    assert refusal([]) is None
    assert "--limit_train_rows" in refusal([TEMPORARY_FILE]) and "--nowhole_word_masking" in refusal([JIEBA])
    dataset = batches()
    monkeypatch.setattr(hosts, "elsewhere", lambda: True)
    check_hosts(dataset)
    monkeypatch.setattr(type(dataset.examples), "needs_here", [TEMPORARY_FILE])
    for refused in (
        lambda: check_hosts(dataset),
        lambda: Evaluator(tiny_model).outputs(dataset),
        lambda: TrainingLoop(tiny_model, AdamWeightDecay(1e-3)).batches(dataset, 1),
    ):
        with pytest.raises(InputError, match="With --tpu=NAME .* hosts, which do not have the temporary .*--tpu=local"):
            refused()
