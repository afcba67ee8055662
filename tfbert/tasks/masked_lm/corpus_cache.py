"""A cache of tokenised corpora: compressed TFRecord shards, keyed by a fingerprint of text and vocabulary."""

import hashlib
import json
import os
import uuid

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.core.files import write_whole
from tfbert.tasks.masked_lm.documents import Sentences

_SHARD_BYTES = 64 * 2**20
_ABOUT = "about.json"
# To be changed with the format of the shards, or with how text becomes sentences and tokens.
_VERSION = 2


def corpus_key(documents, tokenizer, held_out=()):
    """Returns a fingerprint of the tokenised documents, computed from all of their text: str.

    Args:
        documents: iterable of list of str.
        tokenizer: BertTokenizer.
        held_out: sequence of str. Texts that are removed from them, and how.
    """
    digest = hashlib.sha256(json.dumps([_VERSION, *tokenizer.identity, *held_out]).encode())
    for document in documents:
        digest.update("\n".join([*document, "\n"]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def cached_sentences(folder, key, chunks, notes=()):
    """Returns the sentences of a corpus, from the shards of an earlier run or newly made and kept for the next.

    Shards are valid once `about.json`, which names them, exists beside them; it is written last and atomically. So a
    killed run, or two runs writing at the same time, leave nothing that could be mistaken for a corpus.

    Args:
        folder: str. Local, or with a scheme that `tf.io.gfile` knows.
        key: str. What `corpus_key` returned.
        chunks: callable returning what `tokenized_chunks` yields; called if there is nothing to reuse.
        notes: list of str. Messages about the corpus, complete once `chunks` has been read; those of an earlier run are
            repeated.

    Returns:
        Sentences.
    """
    folder = os.path.join(folder, "corpora", key)
    path = os.path.join(folder, _ABOUT)
    if tf.io.gfile.exists(path):
        try:
            with tf.io.gfile.GFile(path) as file:
                about = json.load(file)
            sentences = Sentences(_read(folder, about["shards"]))
            if sentences.fingerprint == about["fingerprint"]:
                print(*about["notes"], f"The tokenised corpus is read from {folder}.", sep="\n")
                return sentences
            reason = "its fingerprint does not match"
        except (tf.errors.OpError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
        print(f"The tokenised corpus in {folder} is damaged ({reason}) and is rebuilt.")
    try:
        tf.io.gfile.makedirs(folder)
    except tf.errors.OpError as error:
        raise InputError(f"{folder}, a folder in --cache_dir, cannot be created: {error.message}.") from None
    shards = []
    sentences = Sentences(_written(folder, chunks(), shards))
    about = {"shards": shards, "fingerprint": sentences.fingerprint, "notes": list(notes)}
    write_whole(path, json.dumps(about, indent=2).encode())
    print(f"The tokenised corpus is kept in {folder}.")
    return sentences


def _written(folder, chunks, shards):
    """Yields chunks while writing them; the names of the shards are appended to `shards`."""
    own, writer, size = uuid.uuid4().hex[:8], None, 0
    try:
        for chunk in chunks:
            if writer is None or size > _SHARD_BYTES:
                if writer:
                    writer.close()
                shards.append(f"{own}-{len(shards):05d}.tfrecord.gz")
                writer, size = tf.io.TFRecordWriter(os.path.join(folder, shards[-1]), "GZIP"), 0
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[part.astype(np.int32).tobytes()]))
                for name, part in zip(("pieces", "lengths", "documents"), chunk)
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
            size += chunk[0].nbytes
            yield chunk
    finally:
        if writer:
            writer.close()


def _read(folder, shards):
    for shard in shards:
        records = tf.data.TFRecordDataset(os.path.join(folder, shard), "GZIP")
        for record in records.prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            yield tuple(
                np.frombuffer(features[name].bytes_list.value[0], np.int32)
                for name in ("pieces", "lengths", "documents")
            )
