"""Raw text: documents of sentences, tokenised once."""

import re

import numpy as np
import tensorflow as tf

from tfbert.data.tokenized import TokenizedExamples, map_texts, next_chunk
from tfbert.errors import InputError

_CLOSING = "\"')\\]”’»"
_CLOSING_CJK = "”’」』）》"
# After a full stop, with what closes behind it, and white space; the Chinese ones need no space.
_SENTENCE_END = re.compile(
    rf"(?:(?<=[.!?…])|(?<=[.!?…][{_CLOSING}]))\s+|(?<=[。！？])(?![{_CLOSING_CJK}。！？])|(?<=[。！？][{_CLOSING_CJK}])"
)


def read_documents(rows):
    """Yields the documents of some rows, each as its sentences: list of str.

    Of plain text (.txt) a row is a sentence, and a blank line ends the document, as google-research/bert wants its
    input; of all other sources a row is a document, whose lines are split after full stops.

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
    """Returns the sentences of a text, by its line ends and full stops: list of str."""
    sentences = (sentence for line in text.splitlines() for sentence in _SENTENCE_END.split(line))
    return [sentence.strip() for sentence in sentences if sentence.strip()]


def tokenized_chunks(documents, tokenizer):
    """Tokenises documents as they are read, on several cores.

    Args:
        documents: iterable of list of str.
        tokenizer: BertTokenizer.

    Yields:
        (pieces int32 [total], lengths int32 [n], documents int32 [n]): of some sentences, without special pieces; the
        number of each one's document.
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


def keep_sentences(chunks):
    """Keeps the sentences of `tokenized_chunks`.

    Args:
        chunks: iterable, as `tokenized_chunks` yields them.

    Returns:
        TokenizedExamples: an example is a sentence, without special pieces; its label is the number of its document.

    Raises:
        InputError: there is no text.
    """
    numbers = []

    def sentences():
        for pieces, lengths, documents in chunks:
            numbers.append(documents)
            ones = np.ones_like(lengths)
            yield pieces, lengths, lengths, ones, ones - 1
        if not numbers:
            raise InputError("There is no text to train on: every row is empty.")

    return TokenizedExamples(sentences(), lambda: np.concatenate(numbers))
