"""Texts that are one token wherever they stand, whatever WordPiece would make of them."""

import dataclasses

import tensorflow as tf
import tensorflow_text as tf_text

from tfbert.core.errors import InputError

# Beyond, RE2's automaton outgrows its memory.
_MOST_CHARACTERS = 100_000


@dataclasses.dataclass(frozen=True)
class AddedToken:
    """A text that is one token wherever it occurs, like Hugging Face's added tokens.

    Attributes:
        content: str.
        id: int.
        normalized: bool. Whether it is searched for, itself normalised, in normalised text, rather than in the original
            text.
        special: bool. Whether Hugging Face counts it as a special token, which changes no id.
        in_vocabulary: bool. Whether it is also a WordPiece token that may occur within words.
    """

    content: str
    id: int
    normalized: bool = False
    special: bool = False
    in_vocabulary: bool = False


class AddedTokenSplitter:
    """Splits added tokens off texts: the leftmost first, and of those the longest.

    Source: huggingface/tokenizers, `added_vocabulary.rs`. That its tokens may also take the blanks around them
    (`lstrip`, `rstrip`) makes no difference here, where blanks are no tokens.
    """

    def __init__(self, contents):
        """Builds the pattern.

        Args:
            contents: dict of str to int. Text to search for -> its id.

        Raises:
            InputError: there are too many for one pattern.
        """
        longest_first = sorted(contents, key=len, reverse=True)
        self._pattern = "|".join("".join(rf"\x{{{ord(character):X}}}" for character in text) for text in longest_first)
        self._contents, self._ids = tf.constant(list(contents)), tf.constant(list(contents.values()), tf.int32)
        if sum(map(len, contents)) > _MOST_CHARACTERS:
            raise InputError(
                f"{len(contents)} added tokens are too many to search for in every text: tfbert supports "
                f"{_MOST_CHARACTERS:,} characters of them; add them to vocab.txt as tokens instead."
            )

    def __call__(self, texts, tokenize):
        """Returns the tokens of texts, including added tokens.

        Args:
            texts: strings [batch].
            tokenize: callable, strings [n] -> RaggedTensor int32 [n, (tokens)], for the text between the added tokens.

        Returns:
            RaggedTensor int32 [batch, (tokens)].
        """
        # `regex_split` ends a text at a zero byte; U+FFFD vanishes from a text just as it does.
        texts = tf.strings.regex_replace(texts, r"\x{0000}", "\N{REPLACEMENT CHARACTER}")
        parts = tf_text.regex_split(texts, self._pattern, self._pattern)
        same = tf.equal(parts.flat_values[:, tf.newaxis], self._contents)
        added = tf.reduce_any(same, axis=1)
        ids = tf.gather(self._ids, tf.boolean_mask(tf.argmax(tf.cast(same, tf.int8), axis=1), added))
        pieces = tokenize(tf.where(added, "", parts.flat_values))
        own = tf.RaggedTensor.from_row_lengths(ids, tf.cast(added, pieces.row_splits.dtype))
        return parts.with_flat_values(tf.concat([pieces, own], axis=1)).merge_dims(1, 2)
