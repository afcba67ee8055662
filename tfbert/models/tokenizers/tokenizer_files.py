"""What a model folder says of its tokenizer, whatever its layout."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TokenizerFiles:
    """What a folder says of its tokenizer.

    Attributes:
        vocabulary: list of str.
        lowercase: bool.
        strip_accents: bool or None.
        tokenize_chinese_chars: bool.
        added_tokens: tuple of AddedToken.
        notes: list of str. What there is to be told of it.
    """

    vocabulary: list
    lowercase: bool
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    added_tokens: tuple = ()
    notes: tuple = ()
