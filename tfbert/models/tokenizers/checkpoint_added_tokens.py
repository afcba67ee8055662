"""The added tokens of a folder in Hugging Face's layout, which three files may describe."""

import re
import reprlib

from tfbert.core.errors import InputError
from tfbert.models.model_files import optional_json
from tfbert.models.tokenizers.added_tokens import AddedToken


def read_added_tokens(folder, settings, specials, file, pieces):
    """Returns the tokens besides WordPiece, including BERT's special tokens: list of AddedToken.

    They are numbered as huggingface/tokenizers does (`added_vocabulary.rs`, `add_tokens`): by the vocabulary, else
    after it, in the order of their declared ids.

    Args:
        folder: str.
        settings, specials, file: dict. The content of tokenizer_config.json, special_tokens_map.json and
            tokenizer.json, empty if there is none.
        pieces: dict of str to int. The WordPiece tokens.

    Raises:
        InputError: one is not supported, or the files contradict each other.
    """
    declared = _declared(folder, settings, specials, file)
    for content, about in declared.items():
        _check_added(folder, content, about)
    ids = {content: about["id"] for content, about in declared.items()}
    tokens, following, largest = [], len(pieces), max(pieces.values(), default=-1)
    for content, about in sorted(declared.items(), key=lambda item: (ids[item[0]] is None, ids[item[0]] or 0)):
        index = pieces.get(content, following)
        if about["id"] not in (None, index) or (content not in pieces and index <= largest):
            raise InputError(
                f"The tokenizer in {folder} has the added token {content!r} with the id {about['id']}, but "
                f"huggingface/tokenizers gives it {index}: its files do not belong together, or have gaps."
            )
        following = max(following, index + 1)
        tokens.append(AddedToken(content, index, about["normalized"], about["special"], content in pieces))
    return tokens


def content_of(token):
    """Returns the text of a token, which is given alone or with its flags."""
    return token.get("content") if isinstance(token, dict) else token


def is_id(value):
    """Returns whether a value of a file can be an id."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**8


def _check_added(folder, content, about):
    trouble = {
        "matches whole words only (single_word)": about["single_word"],
        "begins or ends with a blank": content != content.strip() or not content,
        "has an invalid id": about["id"] is not None and not is_id(about["id"]),
        "contains half a character (a lone surrogate)": content != content.encode("utf-8", "ignore").decode(),
        "contains a zero byte": "\0" in content or "\N{REPLACEMENT CHARACTER}" in content,
    }
    for reason, found in trouble.items():
        if found:
            raise InputError(
                f"The added token {reprlib.repr(content)} of the tokenizer in {folder} {reason}, which tfbert does not "
                "support. Remove it from the files if no text contains it."
            )


def _declared(folder, settings, specials, file):
    """Returns the added tokens described in the files: dict of content -> dict of id, normalized, special, single_word.

    If two describe the same token, the first one counts; ids must agree.
    """
    found = {}
    for about in _abouts(folder, settings, specials, file):
        content, special = about.get("content"), about.get("special", False) is True
        if not isinstance(content, str):
            raise InputError(f"The tokenizer in {folder} has the added token {reprlib.repr(content)}; it must be text.")
        normalized, whole_word = about.get("normalized", not special), about.get("single_word", False)
        new = {"id": about.get("id"), "special": special}
        new |= {"normalized": bool(normalized), "single_word": bool(whole_word)}
        before = found.setdefault(content, new)
        if before["id"] is None:
            before["id"] = new["id"]
        if new["id"] not in (None, before["id"]):
            raise InputError(
                f"The tokenizer in {folder} gives the added token {content!r} two ids, {before['id']} and {new['id']}."
            )
    return found


def _abouts(folder, settings, specials, file):
    """Returns the added tokens of every file, as Hugging Face writes them: list of dict.

    Source: huggingface/transformers 5.23, `PreTrainedTokenizerBase._from_pretrained`. If there is an
    `added_tokens_decoder`, added_tokens.json and special_tokens_map.json are ignored.
    """
    decoder = _dict(folder, settings.get("added_tokens_decoder") or {})
    abouts = [{"id": _whole(index), **_dict(folder, about)} for index, about in decoder.items()]
    abouts += [_dict(folder, about) for about in _list(folder, file.get("added_tokens") or [])]
    extra = list(_extra_specials(folder, settings))
    if not decoder:
        # Under this name, a token of added_tokens.json becomes special only in the other file.
        but = {key: value for key, value in specials.items() if key != "additional_special_tokens"}
        special = [content_of(token) for token in (*extra, *_extra_specials(folder, but))]
        added = optional_json(folder, "added_tokens.json")
        abouts += [{"content": name, "id": index, "special": name in special} for name, index in added.items()]
        extra += _extra_specials(folder, specials)
    return abouts + [{**(token if isinstance(token, dict) else {"content": token}), **_SPECIAL} for token in extra]


_SPECIAL = {"id": None, "special": True}


def _extra_specials(folder, source):
    """Yields the special tokens of a tokenizer_config.json or special_tokens_map.json that have no id there."""
    for key in ("additional_special_tokens", "extra_special_tokens"):
        value = source.get(key) or []
        yield from value.values() if isinstance(value, dict) else _list(folder, value)
    yield from (value for key, value in source.items() if key.endswith("_token") and isinstance(value, (str, dict)))


def _dict(folder, value):
    if not isinstance(value, dict):
        raise InputError(f"The tokenizer in {folder} is damaged: {reprlib.repr(value)} is found in place of an object.")
    return value


def _list(folder, value):
    if not isinstance(value, list):
        raise InputError(f"The tokenizer in {folder} is damaged: {reprlib.repr(value)} is found in place of a list.")
    return value


def _whole(text):
    return int(text) if re.fullmatch(r"\d{1,9}", text) else text
