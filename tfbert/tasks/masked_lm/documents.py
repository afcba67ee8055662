"""Raw text as documents of sentences, tokenised once."""

import hashlib
import re

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.examples import map_texts, next_chunk
from tfbert.data.number_column import NumberColumn

_CLOSING = "\"')\\]”’»"
_CLOSING_CJK = "”’」』）》"
# After a full stop with closing marks and whitespace; Chinese full stops need no whitespace.
_SENTENCE_END = re.compile(
    rf"(?:(?<=[.!?…])|(?<=[.!?…][{_CLOSING}]))\s+|(?<=[。！？])(?![{_CLOSING_CJK}。！？])|(?<=[。！？][{_CLOSING_CJK}])"
)


def read_documents(rows):
    """Yields the documents of some rows, each as a list of sentences.

    In plain text (.txt) a row is a sentence and a blank line ends a document, as in google-research/bert's input; in
    all other sources a row is a document, whose lines are split after full stops.

    Args:
        rows: iterable of dict with `text` and `where`, as `sources.read_examples` yields them.
    """
    document, file = [], None
    for row in rows:
        path, text = row["where"][0], row["text"]
        is_plain = path.removesuffix(".gz").lower().endswith(".txt")
        if document and (path != file or not text.strip() or not is_plain):
            yield document
            document = []
        file = path
        if is_plain:
            document += [text] if text.strip() else []
        else:
            document = split_sentences(text)
    if document:
        yield document


def split_sentences(text):
    """Returns the sentences of a text, split at line ends and full stops: list of str."""
    sentences = (sentence for line in text.splitlines() for sentence in _SENTENCE_END.split(line))
    return [sentence.strip() for sentence in sentences if sentence.strip()]


def tokenized_chunks(documents, tokenizer):
    """Tokenises documents while they are read, on several cores.

    Args:
        documents: iterable of list of str.
        tokenizer: BertTokenizer.

    Yields:
        (tokens int32 [total], lengths int32 [n], documents int32 [n]): of some sentences, without special tokens; and
        the number of each sentence's document.
    """
    numbers = []
    numbered = ((number, sentence) for number, document in enumerate(documents) for sentence in document)

    def texts():
        while chunk := next_chunk(numbered, lambda pair: len(pair[1])):
            numbers.append(np.array([number for number, _ in chunk], np.int32))
            yield [tokenizer.encoded(sentence) for _, sentence in chunk]

    @tf.autograph.experimental.do_not_convert
    def tokenized(sentences):
        pieces = tokenizer(sentences)
        return pieces.flat_values, tf.cast(pieces.row_lengths(), tf.int32)

    for chunk in map_texts(texts, tokenized, tf.TensorSpec([None], tf.string)):
        yield *chunk, numbers.pop(0)


class Sentences:
    """The sentences of documents, without special tokens; those of a large corpus are kept in temporary files.

    Sentences and documents without a token are left out.

    Attributes:
        pieces: NumberColumn of int32, in the order of the text.
        starts: NumberColumn of int64. The number of each sentence's first token; last, that of all tokens.
        bounds: NumberColumn of int64. The number of each document's first sentence; last, that of all sentences.
        fingerprint: str. A hash of all of it.
    """

    def __init__(self, chunks):
        """Stores sentences as they arrive.

        Args:
            chunks: iterable, as `tokenized_chunks` yields them.

        Raises:
            InputError: there is no text.
        """
        self.pieces, self.starts, self.bounds = (NumberColumn(dtype) for dtype in (np.int32, np.int64, np.int64))
        empty, last = True, -1
        for pieces, lengths, documents in chunks:
            empty, used = False, lengths > 0
            lengths, documents = lengths[used], documents[used]
            self.bounds.extend(self.starts.size + np.flatnonzero(np.diff(documents, prepend=last)))
            self.starts.extend(self.pieces.size + np.cumsum(lengths, dtype=np.int64) - lengths)
            self.pieces.extend(pieces)
            last = documents[-1] if len(documents) else last
        if empty:
            raise InputError("There is no text to train on: every row is empty.")
        self.bounds.extend([self.starts.size])
        self.starts.extend([self.pieces.size])
        digest = hashlib.sha256()
        for column in (self.pieces, self.starts, self.bounds):
            column.close()
            digest.update(column.digest.digest())
        self.fingerprint = digest.hexdigest()
