"""The tokenizer of a folder in Hugging Face's layout: the arguments that give BertTokenizer the same ids."""

import os
import re
import reprlib

from tfbert.core.errors import InputError
from tfbert.models.model_files import has_file, optional_json
from tfbert.models.tokenizers.checkpoint_added_tokens import content_of, is_id, read_added_tokens
from tfbert.models.tokenizers.tokenizer_files import TokenizerFiles
from tfbert.models.tokenizers.wordpiece import SPECIAL_PIECES, read_vocabulary

# Classes that build BERT's tokenizer from their own settings, and classes that use tokenizer.json unchanged.
_BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer")
_JSON_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
_SPECIAL_KEYS = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL_PIECES))
_OTHER_VOCABULARIES = ("vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def read_tokenizer(folder, config):
    """Returns the tokenizer's settings of a folder in Hugging Face's layout, as transformers reads them.

    If both `tokenizer.json` and `vocab.txt` exist, the former counts. Two things differ, with a message: case and
    similar settings that are only in tokenizer.json, which transformers ignores for a BertTokenizer; and case if
    nothing says so, where transformers assumes lower case: see `looks_lowercase`.

    Args:
        folder: str.
        config: dict, the content of config.json.

    Raises:
        InputError: a file is missing or damaged, or the tokenizer is not BERT's.
    """
    settings = optional_json(folder, "tokenizer_config.json")
    specials = optional_json(folder, "special_tokens_map.json")
    whole = _check_class(folder, settings, config)
    file = optional_json(folder, "tokenizer.json")
    if file:
        _check_pipeline(folder, file, whole)
    _check_specials(folder, {**specials, **settings})
    pieces = _pieces(folder, file)
    options, notes = _options(folder, {} if whole else settings, file, pieces, whole)
    added = read_added_tokens(folder, settings, specials, file, pieces)
    vocabulary = _listed(folder, {**pieces, **{token.content: token.id for token in added}})
    looked_for = tuple(token for token in added if token.content not in SPECIAL_PIECES)
    return TokenizerFiles(vocabulary, *options, looked_for, notes)


def check_table(vocabulary, rows, where):
    """Raises InputError if a vocabulary has ids without a row in the embedding table."""
    if len(vocabulary) > rows:
        raise InputError(
            f"The vocabulary in {where} has {len(vocabulary):,} tokens, but the model only {rows:,} embeddings "
            "(vocab_size): they do not belong together. Use the vocabulary that the model was trained with."
        )


def looks_lowercase(vocabulary):
    """Returns whether a vocabulary is uncased: apart from special tokens, it has none with capital letters."""
    return not any(re.fullmatch(r"[A-Z][A-Za-z]*", piece) for piece in vocabulary)


def _check_class(folder, settings, config):
    """Returns whether tokenizer.json is the whole tokenizer; InputError if it is not BERT's."""
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or "BertTokenizer"
    base = name.removesuffix("Fast") if isinstance(name, str) else name
    if base not in (*_BERT_CLASSES, *_JSON_CLASSES):
        raise InputError(
            f"{folder} has the tokenizer {reprlib.repr(name)}; tfbert has only BERT's ({', '.join(_BERT_CLASSES)}, "
            "or a tokenizer.json that describes the same)."
        )
    for key in ("auto_map", "word_tokenizer_type", "subword_tokenizer_type"):
        if settings.get(key):
            raise InputError(
                f"tokenizer_config.json in {folder} has {key}={reprlib.repr(settings[key])}: it does not split words "
                "as BERT does, which tfbert does not support."
            )
    if base in _JSON_CLASSES and not has_file(folder, "tokenizer.json"):
        raise InputError(f"{folder} has the tokenizer {name!r}, which needs tokenizer.json, but there is no such file.")
    return base in _JSON_CLASSES


def _check_pipeline(folder, file, whole):
    """Raises InputError if tokenizer.json describes another tokenizer than BERT's.

    Source: huggingface/tokenizers, the serialized BertNormalizer, BertPreTokenizer, WordPiece and post-processors.
    """
    parts = {part: file.get(part) or {} for part in ("model", "normalizer", "pre_tokenizer", "post_processor")}
    for name, part in parts.items():
        if not isinstance(part, dict):
            raise InputError(f"{folder}/tokenizer.json is damaged: its {name} is {reprlib.repr(part)}.")
    model = parts["model"]
    found = {
        "model": _model_kind(model),
        "model's unk_token": model.get("unk_token", "[UNK]"),
        "model's continuing_subword_prefix": model.get("continuing_subword_prefix", "##"),
        "model's max_input_chars_per_word": model.get("max_input_chars_per_word", 100),
        "normalizer": parts["normalizer"].get("type", None if whole else "BertNormalizer"),
        "normalizer's clean_text": parts["normalizer"].get("clean_text", True),
        "pre_tokenizer": parts["pre_tokenizer"].get("type", None if whole else "BertPreTokenizer"),
        "post_processor": _template(parts["post_processor"], whole),
    }
    for name, value in found.items():
        if value != _PIPELINE[name] or type(value) is not type(_PIPELINE[name]):
            raise InputError(
                f"tokenizer.json in {folder} is not BERT's tokenizer: its {name} is {reprlib.repr(value)}, but "
                f"tfbert supports only BERT's, {_PIPELINE[name]!r}."
            )


def _model_kind(model):
    kind = model.get("type")
    if isinstance(model.get("vocab"), dict) and "merges" not in model:
        return "WordPiece" if kind is None else kind
    return kind if kind not in (None, "WordPiece") else "no WordPiece"


_TEMPLATE = "[CLS] A [SEP] and [CLS] A [SEP] B [SEP]"
_PIPELINE = {
    "model": "WordPiece",
    "model's unk_token": "[UNK]",
    "model's continuing_subword_prefix": "##",
    "model's max_input_chars_per_word": 100,
    "normalizer": "BertNormalizer",
    "normalizer's clean_text": True,
    "pre_tokenizer": "BertPreTokenizer",
    "post_processor": _TEMPLATE,
}
_SINGLE = [("[CLS]", 0), ("A", 0), ("[SEP]", 0)]
_PAIR = [*_SINGLE, ("B", 1), ("[SEP]", 1)]


def _template(processor, whole):
    """Returns the template that a post-processor adds: _TEMPLATE, or another description."""
    kind = processor.get("type")
    if kind is None:
        return "missing" if whole else _TEMPLATE
    try:
        if kind == "BertProcessing":
            same = (processor["cls"][0], processor["sep"][0]) == ("[CLS]", "[SEP]")
        elif kind == "TemplateProcessing":
            found = [[_template_part(part) for part in processor[name]] for name in ("single", "pair")]
            same = found == [_SINGLE, _PAIR]
        else:
            same = False
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        same = False
    return _TEMPLATE if same else f"another {kind}"


def _template_part(part):
    [(_, about)] = part.items()
    return about["id"], about["type_id"]


def _check_specials(folder, settings):
    for key, piece in _SPECIAL_KEYS.items():
        value = settings.get(key)
        if value is not None and content_of(value) != piece:
            raise InputError(
                f"The tokenizer in {folder} has {key}={reprlib.repr(content_of(value))}; tfbert takes only {piece} in "
                "this place."
            )
    if settings.get("split_special_tokens"):
        raise InputError(f"The tokenizer in {folder} has split_special_tokens=true, which tfbert does not support.")


def _pieces(folder, file):
    """Returns the tokens of WordPiece: dict of str to int."""
    if file:
        pieces = file["model"]["vocab"]
        damaged = [piece for piece, index in pieces.items() if not is_id(index)]
        if damaged:
            raise InputError(
                f"{folder}/tokenizer.json is damaged: the token {reprlib.repr(damaged[0])} has the id "
                f"{reprlib.repr(pieces[damaged[0]])}."
            )
        return pieces
    if not has_file(folder, "vocab.txt"):
        others = [name for name in _OTHER_VOCABULARIES if has_file(folder, name)]
        hint = f" {' and '.join(others)} belong to another tokenizer than BERT's." if others else ""
        raise InputError(f"{folder} has neither vocab.txt nor tokenizer.json; one must give the vocabulary.{hint}")
    vocabulary = read_vocabulary(os.path.join(folder, "vocab.txt"))
    pieces = {piece: index for index, piece in enumerate(vocabulary)}
    if len(pieces) < len(vocabulary):
        twice = next(piece for index, piece in enumerate(vocabulary) if pieces[piece] != index)
        raise InputError(f"The vocabulary in {folder} contains the token {twice!r} twice; every token must occur once.")
    return pieces


def _options(folder, settings, file, pieces, whole):
    """Returns ([lowercase, strip_accents, tokenize_chinese_chars], notes)."""
    normalizer = file.get("normalizer") or {}
    usual = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    in_json = {"do_lower_case": "lowercase", "tokenize_chinese_chars": "handle_chinese_chars"}
    found, notes = [], []
    for name, default in usual.items():
        key = in_json.get(name, name)
        silent = looks_lowercase(pieces) if key == "lowercase" else default
        value = settings.get(name, normalizer.get(key, silent))
        if not isinstance(value, bool) and value is not default:
            raise InputError(f"The tokenizer in {folder} has {name}={reprlib.repr(value)}; it must be true or false.")
        if value != default and name not in settings and not whole:
            where = "from tokenizer.json" if key in normalizer else "judging by its vocabulary"
            notes.append(
                f"{folder}/tokenizer_config.json does not set {name}: {str(value).lower()} is used, {where}; "
                f"transformers uses {str(default).lower().replace('none', 'the value of do_lower_case')}."
            )
        found.append(value)
    return found, tuple(notes)


def _listed(folder, ids):
    """Returns the tokens by id: dict of str to int -> list of str, with placeholders for unused ids."""
    size = max(ids.values(), default=-1) + 1
    vocabulary = [f"[no piece {index}]" for index in range(min(size, 2 * len(ids) + 10_000))]
    for piece, index in ids.items():
        if index >= len(vocabulary):
            raise InputError(f"The tokenizer in {folder} has {len(ids):,} tokens, and {piece!r} has the id {index:,}.")
        if vocabulary[index] != f"[no piece {index}]":
            twice = f"{piece!r} and {vocabulary[index]!r}"
            raise InputError(f"The tokenizer in {folder} gives {twice} the same id, {index}.")
        vocabulary[index] = piece
    return vocabulary
