"""Predictions for texts: from Python, or from a file of any size."""

import itertools
import json
import os
import weakref

import tensorflow as tf
from tqdm import tqdm

from tfbert.callable_module import make_callable
from tfbert.data.dataset import ExampleBatches
from tfbert.data.tokenized import tokenize_examples
from tfbert.training.evaluation import Evaluator
from tfbert.training.strategy import is_chief

_CHUNK = 8192
_evaluators = weakref.WeakKeyDictionary()


def predict(model, texts, batch_size=32):
    """Predicts texts, or pairs of texts.

    Args:
        model: TextModel, from `load_model` or `build_model`.
        texts: list of str, or of (str, str) for a model of pairs.
        batch_size: int. Texts of a step; changes speed only.

    Returns:
        list of dict, one a text, in order: `label` and, but for a regression, `probabilities` by label.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of texts. Received: one str, {texts[:40]!r}.")
    examples = [{"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]} for text in texts]
    evaluator = _evaluators.setdefault(model, Evaluator(model))
    return _predict(evaluator, examples, batch_size) if examples else []


def predict_file(model, examples, path, batch_size, strategy=None, xla=False):
    """Writes a line of JSON for each example, in order: its id if it has one, the label, the probabilities.

    Args:
        model: TextModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str. Written under another name first, so that it is whole once it is there. Of several workers, all of
            which predict together, only the chief writes.
        batch_size: int. Examples of a step, over all devices; changes speed only.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.

    Returns:
        int. How many examples there were.
    """
    evaluator = Evaluator(model, strategy, xla)
    examples = iter(examples)
    chunk = list(itertools.islice(examples, _CHUNK))
    chief = is_chief(evaluator.strategy)
    scratch = path + ".partial" if chief else os.devnull
    with tqdm(unit=" examples", mininterval=1.0) as bar, tf.io.gfile.GFile(scratch, "w") as file:
        while chunk:
            for example, prediction in zip(chunk, _predict(evaluator, chunk, batch_size, bar.update)):
                identity = {"id": example["id"]} if "id" in example else {}
                file.write(json.dumps(identity | prediction, ensure_ascii=False) + "\n")
            chunk = list(itertools.islice(examples, _CHUNK))
        count = bar.n
    if chief:
        tf.io.gfile.rename(scratch, path, overwrite=True)
    return count


def _predict(evaluator, examples, batch_size, on_loop=None):
    model = evaluator.model
    tokenized = tokenize_examples(examples, model.tokenizer, model.max_seq_length, long_text=model.long_text)
    dataset = ExampleBatches(tokenized, batch_size, model.max_seq_length, shuffle=False, seed=0)
    return model.task.predictions(evaluator.outputs(dataset, on_loop))


make_callable(__name__)
