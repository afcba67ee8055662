"""What a saved model's folder says to transformers, and what it must not be taken for there."""

import json

from tfbert.tasks.masked_lm.model import PretrainingModel

_PROBLEM = {
    "classification": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


def has_berts_head(model):
    """Says whether transformers' BertForSequenceClassification computes a TextModel's outputs.

    That is dropout and one dense layer on the pooler of a single window. The head of every other model is written under
    a name that transformers does not know, so that it says which weights it misses rather than predict something else.
    """
    return model.pooling == "pooler" and model.merge is None and not model.head.hidden


def beyond_transformers(model):
    """Returns what of a model's predictions transformers does not make by itself: list of str, sentences."""
    if isinstance(model, PretrainingModel):
        return _beyond_tokenizer(model)
    decision, found = model.task.decision, []
    if not has_berts_head(model):
        found.append(
            f"Its head (pooling {model.pooling}, {model.long_text.windows} window(s), hidden layers "
            f"{[bias.shape[0] for _, bias in model.head.hidden]}) is none of transformers', which loads the encoder "
            "and reports the classifier's weights as missing."
        )
    if decision.prior_shift is not None:
        shift = [float(value) for value in decision.prior_shift]
        found.append(f"Probabilities are those of the logits plus the prior's correction, {shift}.")
    if decision.temperature != 1:
        found.append(f"Probabilities are those of the logits divided by the temperature, {decision.temperature}.")
    if decision.thresholds is not None:
        found.append(f"Answers are given from the thresholds {[float(value) for value in decision.thresholds]} on.")
    long_text = model.long_text
    cut_otherwise = len(model.text_columns) == 2 and long_text.truncation != "longest_first"
    if long_text.strategy in ("tail", "head_tail") or cut_otherwise:
        found.append(
            f"Of texts beyond {model.max_seq_length} pieces it takes what long_text={long_text.strategy}, "
            f"truncate_pair={long_text.truncation} say, not their beginning."
        )
    return found + _beyond_tokenizer(model)


def _beyond_tokenizer(model):
    return ["Texts are cleaned of HTML and the like (clean_text) before all else."] if model.tokenizer.clean else []


def hugging_face_files(model):
    """Returns the text of the files that are Hugging Face's: dict of name -> str.

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
    backbone = encoder.backbone
    beyond = beyond_transformers(model)
    config = {
        "architectures": [encoder.family.architecture + _architecture(model)],
        "model_type": encoder.family.model_type,
        "vocab_size": backbone.vocabulary_size,
        "hidden_size": backbone.hidden_dim,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_heads,
        "intermediate_size": backbone.intermediate_dim,
        "max_position_embeddings": backbone.max_sequence_length,
        "type_vocab_size": getattr(backbone, "num_segments", 1),
        "hidden_act": encoder.activation,
        "layer_norm_eps": encoder.layer_norm_epsilon,
        "hidden_dropout_prob": encoder.dropout_rate,
        "attention_probs_dropout_prob": encoder.attention_dropout_rate,
        **_labels_config(model.task),
        "pad_token_id": model.tokenizer.pad_id,
        **({"tfbert_beyond_transformers": beyond} if beyond else {}),
    }
    return encoder.family.own_config(config)


def _architecture(model):
    if isinstance(model, PretrainingModel):
        return "ForPreTraining" if model.head.next_sentence else "ForMaskedLM"
    return "ForSequenceClassification" if has_berts_head(model) else "Model"


def _labels_config(task):
    if task.name not in _PROBLEM:
        return {}
    labels = task.labels or ["LABEL_0"]
    return {
        "problem_type": _PROBLEM[task.name],
        "id2label": {str(number): str(label) for number, label in enumerate(labels)},
        "label2id": {str(label): number for number, label in enumerate(labels)},
    }


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
    """Returns the pieces of WordPiece, which end where those begin that were added."""
    added = [token.id for token in tokenizer.added_tokens if not token.in_vocabulary]
    return tokenizer.vocabulary[: min(added, default=None)]


def _line(index, piece):
    """Returns a piece as a line of vocab.txt; one that no line can hold is in no word, either, and gets a name."""
    fits = piece and piece == (piece.rstrip() or piece) and not set(piece) & set("\r\n")
    return piece if fits else f"[no piece {index}]"
