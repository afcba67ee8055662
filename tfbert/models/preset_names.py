"""Common names of pre-trained BERTs, and the source from which tfbert loads each of them."""

import re

# Hugging Face's names without the organisation; names of Google's archives and small models, for which Keras has
# presets; and Keras' presets of DistilBERT, which tfbert reads from Hugging Face.
PRESET_NAMES = {
    "bert-base-uncased": "hf://google-bert/bert-base-uncased",
    "bert-base-cased": "hf://google-bert/bert-base-cased",
    "bert-base-chinese": "hf://google-bert/bert-base-chinese",
    "bert-base-multilingual-cased": "hf://google-bert/bert-base-multilingual-cased",
    "bert-base-multilingual-uncased": "hf://google-bert/bert-base-multilingual-uncased",
    "bert-base-german-cased": "hf://google-bert/bert-base-german-cased",
    "bert-large-uncased": "hf://google-bert/bert-large-uncased",
    "bert-large-cased": "hf://google-bert/bert-large-cased",
    "bert-large-uncased-whole-word-masking": "hf://google-bert/bert-large-uncased-whole-word-masking",
    "bert-large-cased-whole-word-masking": "hf://google-bert/bert-large-cased-whole-word-masking",
    "bert-tiny": "bert_tiny_en_uncased",
    "bert-mini": "hf://google/bert_uncased_L-4_H-256_A-4",
    "bert-small": "bert_small_en_uncased",
    "bert-medium": "bert_medium_en_uncased",
    "google/bert_uncased_L-2_H-128_A-2": "bert_tiny_en_uncased",
    "google/bert_uncased_L-4_H-512_A-8": "bert_small_en_uncased",
    "google/bert_uncased_L-8_H-512_A-8": "bert_medium_en_uncased",
    "prajjwal1/bert-tiny": "bert_tiny_en_uncased",
    "prajjwal1/bert-small": "bert_small_en_uncased",
    "prajjwal1/bert-medium": "bert_medium_en_uncased",
    "uncased_L-2_H-128_A-2": "bert_tiny_en_uncased",
    "uncased_L-4_H-512_A-8": "bert_small_en_uncased",
    "uncased_L-8_H-512_A-8": "bert_medium_en_uncased",
    "uncased_L-12_H-768_A-12": "bert_base_en_uncased",
    "cased_L-12_H-768_A-12": "bert_base_en",
    "uncased_L-24_H-1024_A-16": "bert_large_en_uncased",
    "cased_L-24_H-1024_A-16": "bert_large_en",
    "multi_cased_L-12_H-768_A-12": "bert_base_multi",
    "chinese_L-12_H-768_A-12": "bert_base_zh",
    "distilbert-base-uncased": "hf://distilbert/distilbert-base-uncased",
    "distilbert-base-cased": "hf://distilbert/distilbert-base-cased",
    "distilbert-base-multilingual-cased": "hf://distilbert/distilbert-base-multilingual-cased",
    "distilbert-base-german-cased": "hf://distilbert/distilbert-base-german-cased",
    "distil_bert_base_en_uncased": "hf://distilbert/distilbert-base-uncased",
    "distil_bert_base_en": "hf://distilbert/distilbert-base-cased",
    "distil_bert_base_multi": "hf://distilbert/distilbert-base-multilingual-cased",
}


def source_of(name):
    """Returns the source of a BERT whose name is not a folder: "hf://ORG/NAME", a Keras preset, or the name itself.

    Names of the form ORG/NAME refer to Hugging Face.
    """
    if name in PRESET_NAMES:
        return PRESET_NAMES[name]
    return f"hf://{name}" if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) else name
