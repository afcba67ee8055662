"""Learns a WordPiece vocabulary from text, for new weights (`--preset=config:FILE.json --vocab_file=…`)."""

import os

import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.data.sources import read_examples
from tfbert.models.tokenizers.cleaning import clean_text
from tfbert.models.tokenizers.vocabulary import learn_vocabulary
from tfbert.modes.build import pair_of


def vocabulary_mode(config):
    """Learns a vocabulary from train_file, into `vocab.txt`, one token per line: --mode=vocabulary.

    Returns:
        dict with `vocabulary` (the path) and `pieces` (the number of tokens).
    """
    training = config.training
    path = os.path.join(training.output_dir, "vocab.txt")
    if tf.io.gfile.exists(path) and not training.overwrite:
        raise InputError(f"{path} already exists; choose another --output_dir, or --overwrite.")
    lowercase = config.data.do_lower_case is not False  # as for models of most languages
    pieces = learn_vocabulary(_texts(config.data), config.model.vocab_size, lowercase)
    tf.io.gfile.makedirs(training.output_dir)
    write_whole(path, "".join(piece + "\n" for piece in pieces).encode())
    print(f"{len(pieces)} tokens are in {path}.")
    return {"vocabulary": path, "pieces": len(pieces)}


def _texts(data):
    """Yields the texts of train_file, both texts of pairs."""
    columns = (*pair_of(data.text_columns()), None, None)
    for row in read_examples(data.train_file, *columns, limit=data.limit_train_rows, **data.file_format):
        for text in (row[role] for role in ("text", "text_pair") if role in row):
            yield clean_text(text) if data.clean_text else text
