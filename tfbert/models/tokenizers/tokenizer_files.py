"""The tokenizer's settings of a model folder, independent of its layout."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """The settings of a folder's tokenizer.

    Attributes:
        vocabulary: list of str.
        lowercase: bool.
        strip_accents: bool or None.
        tokenize_chinese_chars: bool.
        added_tokens: tuple of AddedToken.
        notes: list of str. Messages about it.
    """

    vocabulary: list
    lowercase: bool
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    added_tokens: tuple = ()
    notes: tuple = ()
