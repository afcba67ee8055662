"""Exact BERT tokenisation inside the TensorFlow graph."""

import dataclasses
import functools

import tensorflow as tf
import tensorflow_text as tf_text

from tfbert.core.errors import InputError, WrongType
from tfbert.core.files import read_bounded
from tfbert.models.tokenizers.added_tokens import AddedToken, AddedTokenSplitter
from tfbert.models.tokenizers.cleaning import clean_text

SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# BERT's longest word, in characters. FastBertTokenizer counts bytes, of which a character has at most 4.
_MAX_WORD_CHARACTERS = 100
_MAX_WORD_BYTES = 4 * _MAX_WORD_CHARACTERS
_UNKNOWN_WORD = "x" * (_MAX_WORD_BYTES + 1)

# Word boundaries: whitespace, punctuation (BERT's: every ASCII symbol too) and, usually, each CJK ideograph.
_PUNCTUATION = r"\p{P}$+<=>^`|~"
_CJK = (
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}"
    r"\x{2B740}-\x{2B81F}\x{2B820}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
)
_ASCII = r"[\t\n\r\x20-\x7E]*"
_LONG_ASCII_RUN = rf"(?s).*[!-~]{{{_MAX_WORD_CHARACTERS + 1}}}.*"
_LONG_RUN = rf"(?s).*\S{{{_MAX_WORD_CHARACTERS + 1}}}.*"


class BertTokenizer:
    """Splits text into WordPiece ids exactly as BERT does, as TensorFlow operations.

    Called with strings [batch], returns a `tf.RaggedTensor` int32 [batch, (tokens)] without special tokens, and with
    one string an int32 tensor [tokens]; works eagerly and inside `tf.data`, batched or not. Text such as "[MASK]" is
    plain text, as in google-research/bert.

    Source: google-research/bert `tokenization.py` (FullTokenizer), with the limit of 100 characters per word of
    Hugging Face's BertTokenizer (Google's is 200), and its added tokens. Deviations from the latter: a capital sigma at
    the end of a word becomes ς, as in Google's, not σ; the Unicode tables of its Rust code are older and differ for
    some 840 code points of rare scripts.

    Attributes:
        vocabulary: list of str. The tokens, by id, added tokens among them.
        lowercase, clean, strip_accents, tokenize_chinese_chars, added_tokens: as given.
    """

    def __init__(
        self, vocabulary, lowercase, clean=False, strip_accents=None, tokenize_chinese_chars=True, added_tokens=()
    ):
        """Builds the tokenizer.

        Args:
            vocabulary: list of str. The tokens, by id.
            lowercase: bool. Lower-case the text, for uncased and Chinese models.
            clean: bool. First clean each text of HTML and the like, see `clean_text`. Saved with the vocabulary of a
                model.
            strip_accents: bool or None. None: the value of `lowercase`.
            tokenize_chinese_chars: bool. Whether each CJK ideograph is a word of its own.
            added_tokens: sequence of AddedToken. The vocabulary has each at its id; BERT's special tokens are not
                among them.

        Raises:
            InputError: a special token is missing, a token occurs twice, or an added token cannot be searched for.
        """
        self.vocabulary = list(vocabulary)
        self.lowercase, self.clean, self.strip_accents = lowercase, clean, strip_accents
        self.tokenize_chinese_chars, self.added_tokens = tokenize_chinese_chars, tuple(added_tokens)
        ids = {piece: index for index, piece in enumerate(self.vocabulary)}
        missing = [piece for piece in SPECIAL_PIECES if piece not in ids]
        if missing:
            raise InputError(
                f"The vocabulary of {len(self.vocabulary)} tokens has no {', '.join(missing)}; a BERT vocabulary has "
                f"one token per line and holds {', '.join(SPECIAL_PIECES)}."
            )
        if len(ids) < len(self.vocabulary):
            twice = next(piece for index, piece in enumerate(self.vocabulary) if ids[piece] != index)
            raise InputError(f"The vocabulary contains the token {twice!r} twice; every token must occur once.")
        self.pad_id, self.unknown_id, self.cls_id, self.sep_id, self.mask_id = (ids[piece] for piece in SPECIAL_PIECES)
        self._boundary = f"([{_PUNCTUATION}{_CJK if tokenize_chinese_chars else ''}])"
        self._wordpiece = _wordpiece(self._pieces_of_words(), tokenize_chinese_chars)
        self._as_they_come, self._normalized = self._splitter(False), self._splitter(True)

    def get_config(self):
        """Returns the arguments of the constructor: dict, JSON-serialisable."""
        return {
            "vocabulary": self.vocabulary,
            "lowercase": self.lowercase,
            "clean": self.clean,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "added_tokens": [dataclasses.asdict(token) for token in self.added_tokens],
        }

    @classmethod
    def from_config(cls, config):
        """Returns the tokenizer from what `get_config` returned."""
        return cls(**config | {"added_tokens": [AddedToken(**token) for token in config["added_tokens"]]})

    def encoded(self, text):
        """Returns a text as `__call__` takes it: str -> UTF-8 bytes, cleaned if `clean`.

        Lone surrogates, which JSON may contain, are dropped, as in BERT.
        """
        return (clean_text(text) if self.clean else text).encode("utf-8", "ignore")

    @property
    def identity(self):
        """Everything that determines the ids of a text: list, for fingerprints."""
        added = [dataclasses.astuple(token) for token in self.added_tokens]
        options = [self.strip_accents, self.tokenize_chinese_chars, added]
        unusual = options if options != [None, True, []] else []
        return [self.lowercase, self.clean, self.vocabulary, *unusual]

    def __call__(self, texts):
        """Returns the tokens of each text: strings [batch] -> RaggedTensor int32 [batch, (tokens)].

        And of one text: string -> int32 [tokens].
        """
        try:
            texts = tf.convert_to_tensor(texts, tf.string)
        except (TypeError, ValueError):
            raise WrongType(
                f"A tokenizer takes a list of texts. Received: {type(texts).__name__} {texts!r:.60}."
            ) from None
        if texts.shape.rank == 0:
            return self(texts[tf.newaxis]).flat_values
        if texts.shape.rank not in (None, 1):
            raise WrongType(f"A tokenizer takes a list of texts, of shape [batch]. Received: shape {texts.shape}.")
        return self._as_they_come(texts, self._rest) if self._as_they_come else self._rest(texts)

    def _rest(self, texts):
        """Does what `__call__` does after the added tokens of the original text have been split off."""
        if self._normalized:
            return self._normalized(self._normal_form(texts), self._pieces)
        return self._pieces(texts)

    def _pieces(self, texts):
        plain = tf.strings.regex_full_match(texts, _ASCII) & ~tf.strings.regex_full_match(texts, _LONG_ASCII_RUN)
        texts = tf.strings.lower(texts) if self.lowercase else texts
        texts = _map_where(~plain, self._without_long_words, texts)
        if self.tokenize_chinese_chars:
            return self._wordpiece.tokenize(texts)
        words = tf.strings.split(tf.strings.regex_replace(texts, self._boundary, r" \1 "))
        return self._wordpiece.tokenize(words).merge_dims(1, 2)

    def _normalize(self, texts):
        """BERT's clean-up of characters, for texts with more than plain ASCII."""
        # Category C except tab and line ends, U+0000 and U+FFFD are removed; every separator becomes whitespace.
        texts = tf.strings.regex_replace(texts, r"[\x{0000}\x{FFFD}]|[^\P{C}\t\n\r]", "")
        texts = tf.strings.regex_replace(texts, r"\p{Z}", " ")
        if self.lowercase:
            texts = tf.strings.lower(texts, encoding="utf-8")
        if self.lowercase if self.strip_accents is None else self.strip_accents:
            texts = tf_text.normalize_utf8(texts, "NFD")
            texts = tf.strings.regex_replace(texts, r"\p{Mn}+", "")
        return texts

    def _normal_form(self, texts):
        """Returns the text in which Hugging Face searches for its normalised tokens: strings [n] -> strings [n]."""
        texts = tf.strings.regex_replace(self._normalize(texts), r"[\t\n\r]", " ")
        return tf.strings.regex_replace(texts, f"([{_CJK}])", r" \1 ") if self.tokenize_chinese_chars else texts

    def _without_long_words(self, texts):
        texts = self._normalize(texts)
        long = tf.strings.regex_full_match(tf.strings.regex_replace(texts, self._boundary, " "), _LONG_RUN)
        return _map_where(long, functools.partial(_hide_long_words, boundary=self._boundary), texts)

    def _pieces_of_words(self):
        """Returns the vocabulary for splitting words, without added tokens."""
        added = {token.id for token in self.added_tokens if not token.in_vocabulary}
        return [f"[added token {index}]" if index in added else piece for index, piece in enumerate(self.vocabulary)]

    def _splitter(self, normalized):
        """Returns the splitter for added tokens of one kind, or None if there are none."""
        contents = {token.content: token.id for token in self.added_tokens if token.normalized == normalized}
        if normalized and contents:
            forms = [form.decode() for form in self._normal_form(tf.constant(list(contents))).numpy()]
            if len(set(forms)) < len(forms):
                twice = ", ".join(repr(text) for text, form in zip(contents, forms) if forms.count(form) > 1)
                raise InputError(f"The added tokens {twice} are the same text once normalised; keep only one.")
            contents = dict(zip(forms, contents.values()))
        if not all(text.strip() for text in contents):
            raise InputError("An added token consists only of blanks once normalised; remove it.")
        return AddedTokenSplitter(contents) if contents else None


def _wordpiece(pieces, splits):
    """Returns TensorFlow Text's WordPiece, for texts, with each ideograph as a word, or for words."""
    options = {"max_bytes_per_word": _MAX_WORD_BYTES, "token_out_type": tf.int32, "support_detokenization": False}
    try:
        if splits:
            return tf_text.FastBertTokenizer(pieces, **options)
        return tf_text.FastWordpieceTokenizer(pieces, no_pretokenization=True, **options)
    except (RuntimeError, TypeError, ValueError) as error:  # zero bytes, lone surrogates, tokens of 256 or more bytes
        reason = str(error).split("\n")[0][:200]
        raise InputError(f"The vocabulary contains a token that TensorFlow Text does not support: {reason}") from None


def _map_where(selected, function, texts):
    """Applies `function` to the selected texts only: bool [batch], strings [batch] -> strings [batch]."""

    def replaced():
        where = tf.where(selected)
        return tf.tensor_scatter_nd_update(texts, where, function(tf.gather_nd(texts, where)))

    return tf.cond(tf.reduce_any(selected), replaced, lambda: texts)


def _hide_long_words(texts, boundary):
    """Replaces each word of more than 100 characters by one too long for FastBertTokenizer, which gives [UNK]."""
    words = tf.strings.split(tf.strings.regex_replace(texts, boundary, r" \1 "))
    long = tf.strings.length(words.flat_values, unit="UTF8_CHAR") > _MAX_WORD_CHARACTERS
    words = words.with_flat_values(tf.where(long, _UNKNOWN_WORD, words.flat_values))
    return tf.strings.reduce_join(words, axis=-1, separator=" ")


def read_vocabulary(path):
    """Returns the tokens of a `vocab.txt`, by id. The file has one token per line, separated only by line feeds."""
    content = read_bounded(path)
    try:
        # Not `splitlines`: the Chinese vocabulary has U+2028 as a token.
        lines = content.decode("utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error}); a BERT vocabulary has one token per line.") from None
    return [line.rstrip() or line.rstrip("\r") for line in lines]
