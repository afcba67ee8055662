"""The files of a saved model for transformers."""

import json


def beyond_transformers(model):
    """Returns sentences on how a model's predictions differ from those in transformers: list of str."""
    cleaned = "Texts are first cleaned of HTML and the like (clean_text)."
    return model.beyond_transformers() + [cleaned] * bool(model.tokenizer.clean)


def hugging_face_files(model):
    """Returns the content of the files in Hugging Face's format: dict of name -> str.

    Args:
        model: TextModel or PretrainingModel.
    """
    return {
        "config.json": json.dumps(_config(model), indent=2),
        "tokenizer_config.json": json.dumps(_tokenizer_config(model), indent=2),
        "vocab.txt": "".join(f"{_line(*numbered)}\n" for numbered in enumerate(_own_pieces(model.tokenizer))),
    }


def _config(model):
    encoder = model.encoder
    beyond = beyond_transformers(model)
    config = {
        "architectures": [encoder.family.architecture + model.hugging_face],
        "model_type": encoder.family.model_type,
        **encoder.family.sizes(encoder.backbone),
        "hidden_act": encoder.activation,
        "layer_norm_eps": encoder.layer_norm_epsilon,
        "hidden_dropout_prob": encoder.dropout_rate,
        "attention_probs_dropout_prob": encoder.attention_dropout_rate,
        **model.task.hugging_face_config(),
        "pad_token_id": model.tokenizer.pad_id,
        **({"tfbert_beyond_transformers": beyond} if beyond else {}),
    }
    return encoder.family.own_config(config)


def _tokenizer_config(model):
    tokenizer = model.tokenizer
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": tokenizer.lowercase,
        "model_max_length": model.max_seq_length,
    }
    if tokenizer.strip_accents is not None:
        config["strip_accents"] = tokenizer.strip_accents
    if not tokenizer.tokenize_chinese_chars:
        config["tokenize_chinese_chars"] = False
    if tokenizer.added_tokens:
        config["added_tokens_decoder"] = {str(token.id): _added_token(token) for token in tokenizer.added_tokens}
    return config


def _added_token(token):
    flags = {"lstrip": False, "rstrip": False, "single_word": False}
    return {"content": token.content, **flags, "normalized": token.normalized, "special": token.special}


def _own_pieces(tokenizer):
    """Returns the WordPiece tokens, up to the first appended added token."""
    added = [token.id for token in tokenizer.added_tokens if not token.in_vocabulary]
    return tokenizer.vocabulary[: min(added, default=None)]


def _line(index, piece):
    """Returns a token as a line of vocab.txt, or a placeholder if it does not fit in a line, as no word has it then."""
    fits = piece and piece == (piece.rstrip() or piece) and not set(piece) & set("\r\n")
    return piece if fits else f"[no piece {index}]"
