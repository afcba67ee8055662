#!/usr/bin/env python3
"""Learns a WordPiece vocabulary from text, by tensorflow-text's own tool; --vocab_file takes what it writes.

    python tools/learn_vocabulary.py --text=../shared/data/corpus_gutenberg/train.txt --vocab_size=8000 \
        --output=runs/vocab.txt
"""

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf  # noqa: E402
from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset  # noqa: E402

from tfbert.data.sources import read_examples  # noqa: E402
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES  # noqa: E402
from tfbert.core.errors import InputError  # noqa: E402
from tfbert.core.files import write_whole  # noqa: E402


def learn(location, vocab_size, lowercase=True, text_column="text"):
    """Returns the pieces of a vocabulary, special ones first: list of str.

    Args:
        location: str. A data location, as --train_file takes it.
        vocab_size: int. About how many pieces; the tool comes near it.
        lowercase: bool. Lower-case and strip accents first.
        text_column: str.

    Raises:
        InputError: there is no such text.

    Source: tensorflow-text's `bert_vocab_from_dataset`, the top-down WordPiece algorithm.
    """
    next(read_examples(location, text_column))  # here, as TensorFlow would wrap its complaint in a traceback
    rows = (row["text"] for row in read_examples(location, text_column))
    texts = tf.data.Dataset.from_generator(lambda: rows, output_signature=tf.TensorSpec([], tf.string))
    return bert_vocab_from_dataset.bert_vocab_from_dataset(
        texts.batch(1000), vocab_size, list(SPECIAL_PIECES), {"lower_case": lowercase}, {}
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="a data location, as --train_file takes it")
    parser.add_argument("--text_column", default="text")
    parser.add_argument("--vocab_size", type=int, default=30000)
    parser.add_argument("--cased", action="store_true", help="keep case and accents")
    parser.add_argument("--output", required=True, help="the vocabulary, a piece a line")
    chosen = parser.parse_args()
    try:
        tf.io.gfile.makedirs(os.path.dirname(chosen.output) or ".")
        pieces = learn(chosen.text, chosen.vocab_size, not chosen.cased, chosen.text_column)
    except InputError as error:
        sys.exit(f"Error: {error}")
    write_whole(chosen.output, "".join(piece + "\n" for piece in pieces).encode())
    print(f"{len(pieces)} pieces are in {chosen.output}.")
