"""Exact BERT tokenisation inside the TensorFlow graph."""

import tensorflow as tf
import tensorflow_text as tf_text

from tfbert.models.tokenizers.cleaning import clean_text
from tfbert.core.errors import InputError

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# BERT's longest word, in characters. FastBertTokenizer counts bytes, of which a character has at most 4.
_MAX_WORD_CHARACTERS = 100
_MAX_WORD_BYTES = 4 * _MAX_WORD_CHARACTERS
_UNKNOWN_WORD = "x" * (_MAX_WORD_BYTES + 1)

# What ends a word: white space, punctuation (BERT's: every ASCII symbol too) and each CJK ideograph.
_BOUNDARY = (
    r"([\p{P}$+<=>^`|~\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}"
    r"\x{2B740}-\x{2B81F}\x{2B820}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}])"
)
_ASCII = r"[\t\n\r\x20-\x7E]*"
_LONG_ASCII_RUN = rf"(?s).*[!-~]{{{_MAX_WORD_CHARACTERS + 1}}}.*"
_LONG_RUN = rf"(?s).*\S{{{_MAX_WORD_CHARACTERS + 1}}}.*"


class BertTokenizer:
    """Splits text into WordPiece ids exactly as BERT does, as TensorFlow operations.

    Called with strings [batch], returns a `tf.RaggedTensor` int32 [batch, (pieces)] without special pieces; works
    eagerly and inside `tf.data`. Text such as "[MASK]" is plain text, as in google-research/bert.

    Source: google-research/bert `tokenization.py` (FullTokenizer), with the limit of 100 characters a word of
    Hugging Face's BertTokenizer (Google's is 200). Deviation: none known but the version of the Unicode tables; those
    of Hugging Face's Rust tokenizer are older and differ for some 840 code points of rare scripts.
    """

    def __init__(self, vocabulary, lowercase, clean=False):
        """Builds the tokenizer.

        Args:
            vocabulary: list of str. The pieces, by id.
            lowercase: bool. Lower-case and strip accents, as the uncased and the Chinese models want it.
            clean: bool. Take HTML and the like out of each text before anything else: see `clean_text`. Models keep it
                with their vocabulary.

        Raises:
            InputError: a special piece is missing, or a piece stands twice.
        """
        self.vocabulary = list(vocabulary)
        self.lowercase, self.clean = lowercase, clean
        ids = {piece: index for index, piece in enumerate(self.vocabulary)}
        missing = [piece for piece in SPECIAL_PIECES if piece not in ids]
        if missing:
            raise InputError(
                f"The vocabulary of {len(self.vocabulary)} pieces has no {', '.join(missing)}; a BERT vocabulary has "
                f"one piece a line and holds {', '.join(SPECIAL_PIECES)}."
            )
        if len(ids) < len(self.vocabulary):
            twice = next(piece for index, piece in enumerate(self.vocabulary) if ids[piece] != index)
            raise InputError(f"The vocabulary holds the piece {twice!r} twice; every piece must stand once.")
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (ids[piece] for piece in SPECIAL_PIECES)
        self._wordpiece = tf_text.FastBertTokenizer(
            self.vocabulary, max_bytes_per_word=_MAX_WORD_BYTES, token_out_type=tf.int32, support_detokenization=False
        )

    def encoded(self, text):
        """Returns a text as `__call__` takes it: str -> UTF-8 bytes, cleaned where `clean` says so.

        Lone surrogates, which JSON can hold, are dropped, as BERT drops them.
        """
        return (clean_text(text) if self.clean else text).encode("utf-8", "ignore")

    def __call__(self, texts):
        """Returns the pieces of each text: strings [batch] -> RaggedTensor int32 [batch, (pieces)]."""
        texts = tf.convert_to_tensor(texts, tf.string)
        plain = tf.strings.regex_full_match(texts, _ASCII) & ~tf.strings.regex_full_match(texts, _LONG_ASCII_RUN)
        texts = tf.strings.lower(texts) if self.lowercase else texts
        texts = _map_where(~plain, self._normalize, texts)
        return self._wordpiece.tokenize(texts)

    def _normalize(self, texts):
        """BERT's clean-up of characters, for the texts that hold more than plain ASCII."""
        # Category C but for tab and line ends, U+0000 and U+FFFD vanish; every separator is white space.
        texts = tf.strings.regex_replace(texts, r"[\x{0000}\x{FFFD}]|[^\P{C}\t\n\r]", "")
        texts = tf.strings.regex_replace(texts, r"\p{Z}", " ")
        if self.lowercase:
            texts = tf.strings.lower(texts, encoding="utf-8")
            texts = tf_text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, r"\p{Mn}+", "")
        long = tf.strings.regex_full_match(tf.strings.regex_replace(texts, _BOUNDARY, " "), _LONG_RUN)
        return _map_where(long, _hide_long_words, texts)


def _map_where(selected, function, texts):
    """Applies `function` to the selected texts only: bool [batch], strings [batch] -> strings [batch]."""

    def replaced():
        where = tf.where(selected)
        return tf.tensor_scatter_nd_update(texts, where, function(tf.gather_nd(texts, where)))

    return tf.cond(tf.reduce_any(selected), replaced, lambda: texts)


def _hide_long_words(texts):
    """Replaces each word of more than 100 characters by one too long for FastBertTokenizer, so that both are [UNK]."""
    words = tf.strings.split(tf.strings.regex_replace(texts, _BOUNDARY, r" \1 "))
    long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > _MAX_WORD_CHARACTERS
    words = words.with_flat_values(tf.where(long, _UNKNOWN_WORD, words.flat_values))
    return tf.strings.reduce_join(words, axis=-1, separator=" ")


def read_vocabulary(path):
    """Returns the pieces of a `vocab.txt`, by id. The file has one piece a line, separated by line feeds only."""
    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    try:
        # Not `splitlines`: the Chinese vocabulary holds U+2028 as a piece.
        return [piece.rstrip("\r") for piece in content.decode("utf-8").rstrip("\n").split("\n")]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); a BERT vocabulary has one piece a line.") from None
