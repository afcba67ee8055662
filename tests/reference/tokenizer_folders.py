"""Tokenizer files as people have them, for transformers and tfbert to read. Plain Python: the golden tool has no
TensorFlow."""

import json
import pathlib

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
VOCABULARY = [
    *SPECIAL, *LETTERS, *("##" + letter for letter in LETTERS), "the", "café", "cafe", "caf", "##é", "É", "Cafe",
    "Café", "中", "文", "中文", "##文", "x中", "straße", "##e", "<", ">", "[", "]", ".", ",", "covid", "##19", "covid19", "각",
]  # fmt: skip
VOCABULARY = list(dict.fromkeys(VOCABULARY))
ROWS = 128
TEXTS = [
    "the café", "The CAFÉ, Cafe\u0301", "中文 x中文y", "straße", "각 각", "see <url> now", "see<url>now.", "SEE <URL>",
    "<user> <user>x<url>", "covid19 COVID19 covid19s", "new york New  York", "[E1] a [e1]", "a\tb\nc\x00d", "x" * 101,
    "  <url>  <url>", "文中 中", "zz<url", "É é É", "İ ǅ",
]  # fmt: skip


def added(content, index=None, **flags):
    """Returns an added token as Hugging Face writes it."""
    about = {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": True,
             "special": False, **flags}  # fmt: skip
    return about if index is None else {"id": index, **about}


def whole(vocabulary=None, tokens=(), lowercase=True, strip=None, chinese=True, **parts):
    """Returns a tokenizer.json."""
    ids = vocabulary or {piece: index for index, piece in enumerate(VOCABULARY)}
    specials = [added(piece, index, special=True, normalized=False) for index, piece in enumerate(SPECIAL)]
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]  # fmt: skip
    pair = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [*specials, *tokens],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": chinese,
                       "strip_accents": strip, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing", "single": template, "pair": template + pair,
            "special_tokens": {piece: {"id": piece, "ids": [ids[piece]], "tokens": [piece]}
                               for piece in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
        **parts,
    }  # fmt: skip


def fast(**settings):
    """Returns a tokenizer_config.json of the class that takes tokenizer.json as it stands."""
    return {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]", **settings}


def bert(**settings):
    """Returns a tokenizer_config.json of BertTokenizer."""
    return {"tokenizer_class": "BertTokenizer", "do_lower_case": True, **settings}


N = len(VOCABULARY)
TEXT = "\n".join(VOCABULARY) + "\n"
BASE = {"vocab.txt": TEXT, "tokenizer_config.json": bert()}
HOLES = {piece: index + (index > 20) + (index > 60) * 3 for index, piece in enumerate(VOCABULARY)}
TOKENS = [added("<url>", N), added("<user>", N + 1, normalized=False, lstrip=True),
          added("New York", N + 2, rstrip=True), added("[E1]", N + 3, special=True, normalized=False),
          added("文中", N + 4), added("<user>x", N + 5, normalized=False)]  # fmt: skip
DECODER = {str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in TOKENS}

# Name -> files beside config.json. Read by transformers and by tfbert, to the same ids.
HONOURED = {
    **{
        f"case {lowercase} accents {strip} ideographs {chinese}": {
            "vocab.txt": TEXT,
            "tokenizer_config.json": bert(do_lower_case=lowercase, strip_accents=strip, tokenize_chinese_chars=chinese),
        }
        for lowercase in (True, False) for strip in (None, True, False) for chinese in (True, False)
    },
    "added_tokens.json": BASE | {"added_tokens.json": {"<url>": N, "[E1]": N + 1, "the": VOCABULARY.index("the")},
                                 "special_tokens_map.json": {"additional_special_tokens": ["[E1]"]}},
    "added_tokens_decoder": BASE | {"tokenizer_config.json": bert(added_tokens_decoder=DECODER)},
    "added_tokens_decoder, cased": BASE | {
        "tokenizer_config.json": bert(do_lower_case=False, added_tokens_decoder=DECODER)},
    "added tokens that are pieces": BASE | {"tokenizer_config.json": bert(
        added_tokens_decoder={str(VOCABULARY.index("covid19")): added("covid19", normalized=False)})},
    "added tokens, not split by ideographs": BASE | {"tokenizer_config.json": bert(
        tokenize_chinese_chars=False, added_tokens_decoder=DECODER)},
    "tokenizer.json's added tokens": {"tokenizer.json": whole(tokens=TOKENS), "tokenizer_config.json": fast()},
    "tokenizer.json's added tokens, BertTokenizer": {
        "tokenizer.json": whole(tokens=TOKENS), "tokenizer_config.json": bert(), "vocab.txt": TEXT},
    "tokenizer.json as it stands": {
        "tokenizer.json": whole(strip=False, chinese=False), "tokenizer_config.json": fast(do_lower_case=False)},
    "holes": {"tokenizer.json": whole(HOLES), "tokenizer_config.json": fast()},
    "holes, BertTokenizer": {"tokenizer.json": whole(HOLES), "tokenizer_config.json": bert()},
    "another vocab.txt beside tokenizer.json": {
        "tokenizer.json": whole(), "tokenizer_config.json": bert(),
        "vocab.txt": "\n".join([*SPECIAL, *VOCABULARY[:4:-1]]) + "\n"},
    "extra special tokens": BASE | {"tokenizer_config.json": bert(additional_special_tokens=["<url>", "[E1]"])},
    "bos token": BASE | {"tokenizer_config.json": bert(bos_token="<url>", eos_token="[SEP]")},
    "lines that end in CR LF and blanks": BASE | {"vocab.txt": TEXT.replace("\n", "\r\n").replace("the", "the ")},
    "no settings": {"vocab.txt": TEXT.replace("Cafe\n", "cafE\n").replace("Café\n", "cafÈ\n")},
    "class of a relative": BASE | {"tokenizer_config.json": bert(tokenizer_class="DistilBertTokenizerFast")},
}  # fmt: skip

UNIGRAM = {"type": "Unigram", "unk_id": 0, "vocab": [["[UNK]", 0.0], ["a", -1.0]]}
BPE = {"type": "BPE", "vocab": {piece: index for index, piece in enumerate(VOCABULARY)}, "merges": []}
# Name -> (files, what the refusal says). transformers reads these otherwise than tfbert could.
REFUSED = {
    "whole words only": (BASE | {"tokenizer_config.json": bert(
        added_tokens_decoder={str(N): added("<url>", single_word=True)})}, "'<url>' .*single_word"),
    "BPE": ({"tokenizer.json": whole(model=BPE), "tokenizer_config.json": fast()}, "model is 'BPE'"),
    "BPE without its name": ({"tokenizer.json": whole(model={k: BPE[k] for k in ("vocab", "merges")})},
                             "model is 'no WordPiece'"),
    "Unigram": ({"tokenizer.json": whole(model=UNIGRAM), "tokenizer_config.json": fast()}, "model is 'Unigram'"),
    "another class": (BASE | {"tokenizer_config.json": bert(tokenizer_class="XLMRobertaTokenizer")}, "XLMRoberta"),
    "Japanese": (BASE | {"tokenizer_config.json": bert(tokenizer_class="BertJapaneseTokenizer")}, "BertJapanese"),
    "Japanese by its settings": (BASE | {"tokenizer_config.json": {"word_tokenizer_type": "mecab"}}, "mecab"),
    "Japanese by config.json": ({"vocab.txt": TEXT, "config.json": {"tokenizer_class": "BertJapaneseTokenizer"}},
                                "BertJapanese"),
    "code of its own": (BASE | {"tokenizer_config.json": bert(auto_map={"AutoTokenizer": ["a.B", None]})}, "auto_map"),
    "only a BPE vocabulary": ({"vocab.json": {}, "merges.txt": ""}, "vocab.json and merges.txt"),
    "two ids": (BASE | {"tokenizer_config.json": bert(added_tokens_decoder={str(N): added("<url>")}),
                        "tokenizer.json": whole(tokens=[added("<url>", N + 1)])}, "'<url>' two ids"),
    "an id that would be another": (BASE | {"added_tokens.json": {"<url>": N + 7}}, "id .*, but .*gives it"),
    "holes and added tokens": ({"tokenizer.json": whole(HOLES, [added("<url>", N + 4)])}, "<url>.*, or have gaps"),
    "another [CLS]": (BASE | {"tokenizer_config.json": bert(cls_token="<s>")}, "cls_token='<s>'"),
    "another [MASK]": (BASE | {"special_tokens_map.json": {"mask_token": {"content": "<m>"}}}, "mask_token='<m>'"),
    "longer words": ({"tokenizer.json": whole(model=whole()["model"] | {"max_input_chars_per_word": 20})}, "is 20"),
    "other words": ({"tokenizer.json": whole(pre_tokenizer={"type": "Whitespace"})}, "pre_tokenizer is 'Whitespace'"),
    "other normal forms": ({"tokenizer.json": whole(normalizer={"type": "NFC"})}, "normalizer is 'NFC'"),
    "no clean-up": ({"tokenizer.json": whole(normalizer=whole()["normalizer"] | {"clean_text": False})}, "clean_text"),
    "no normalizer": ({"tokenizer.json": whole(normalizer=None), "tokenizer_config.json": fast()},
                      "normalizer is None"),
    "no special pieces": ({"tokenizer.json": whole(post_processor=None), "tokenizer_config.json": fast()},
                          "post_processor is 'missing'"),
    "other special pieces": ({"tokenizer.json": whole(post_processor={"type": "RobertaProcessing"})}, "RobertaPro"),
    "one id twice": ({"tokenizer.json": whole(whole()["model"]["vocab"] | {"the": 9})}, "the same id"),
    "special names as text": (BASE | {"tokenizer_config.json": bert(split_special_tokens=True)}, "split_special"),
    "case that is no case": (BASE | {"tokenizer_config.json": bert(do_lower_case="no")}, "do_lower_case='no'"),
    "more pieces than rows": (BASE | {"vocab.txt": TEXT + "".join(f"p{n}\n" for n in range(ROWS))}, "embeddings"),
    "ids beyond the rows": ({"tokenizer.json": whole(whole()["model"]["vocab"] | {"the": ROWS})}, "embeddings"),
    "an id of a billion": ({"tokenizer.json": whole(whole()["model"]["vocab"] | {"the": 10**9})}, "'the' has the id"),
    "a negative id": ({"tokenizer.json": whole(whole()["model"]["vocab"] | {"the": -1})}, "'the' has the id -1"),
}  # fmt: skip


def write_folder(folder, files, config):
    """Writes a folder's files: text as it is, the rest as JSON; config.json from both."""
    folder = pathlib.Path(folder)
    files = files | {"config.json": config | files.get("config.json", {})}
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (folder / name).write_bytes(text.encode("utf-8"))
