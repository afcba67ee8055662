"""tf.data's map on several cores."""

import tensorflow as tf

from tests.conftest import rows_of
from tfbert import TASKS
from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.parallel_map import parallel_map


def test_order_is_kept_whatever_takes_longest():
    def function(number):
        count = 200_000 * tf.cast(number % 3 == 0, tf.int32)
        return number + tf.cast(tf.reduce_sum(tf.zeros([count])), tf.int64)

    assert list(parallel_map(tf.data.Dataset.range(50), function).as_numpy_iterator()) == list(range(50))


def test_no_pipeline_is_tuned(tiny_model):
    """An iterator of a tuned one is let go of only when the thread that tunes wakes: a minute after a long run."""
    encode = TASKS["classification"](["no", "yes"]).encode_label
    examples = tokenize_examples(rows_of(["a", "b"], ["no", "yes"]), tiny_model.tokenizer, 32, encode)
    batches = ExampleBatches(examples, 2, 32, False, 0)
    for dataset in (batches.shares(0, 1), batches.shares(0, 1).map(lambda *batch: batch)):
        assert dataset.options().autotune.enabled is False
