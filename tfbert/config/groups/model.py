"""The encoder and what stands on it; further pre-training of it: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The encoder and what stands on it."""

    task: str = setting(
        "classification",
        "What is predicted; masked_lm: further pre-training on raw text",
        choices="tfbert.tasks:TASKS",
        rules="tfbert.tasks.rules:rules_of",
        also="problem_type task_type",
    )
    preset: str | None = setting(
        None,
        "Pre-trained BERT: a Keras preset name or handle, hf://ORG/NAME, a folder (Keras, Hugging Face, Google TF1, "
        "or a model saved by tfbert), minilm, or config:FILE.json for new weights; default for evaluate and predict: "
        "OUTPUT_DIR/model",
        path=True,
        also="model_name_or_path pretrained_model_name_or_path model_name model model_path bert_model tokenizer_name "
        "init_checkpoint=FOLDER bert_config_file=FOLDER",
    )
    vocab_file: str | None = setting(
        None,
        "Vocabulary of new weights (--preset=config:FILE.json), a piece a line; --mode=vocabulary learns one",
        path=True,
    )
    vocab_size: int = setting(
        30000,
        "In vocabulary: the most pieces to learn from train_file",
        above=5,
        scope=Scope.WHOLE,
        needs={"mode=vocabulary": ""},
    )
    pooling: str | None = setting(
        None,
        "How a sequence becomes a vector: pooler, cls, mean or max of the last layer; layer:K, first_last, "
        "last4_concat, last4_mean, last4_max, all_concat, all_mean or scalar_mix of [CLS] in several; default: "
        "pooler; with --features a saved model's own, or mean",
        also="pooling_mode pooling_type",
    )
    head_layers: tuple[int, ...] = setting((), "Widths of dense layers below the head's last: 256,64")
    head_activation: str = setting(
        "tanh", "What follows each of head_layers", choices=("tanh", "relu", "gelu", "gelu_new")
    )
    dropout: float | None = setting(
        None,
        "Dropout rate in encoder and head; default: the preset's",
        minimum=0.0,
        maximum=0.9,
        also="dropout_rate hidden_dropout_prob attention_probs_dropout_prob classifier_dropout",
    )
    reinit_layers: int = setting(
        0,
        "Give so many of the top layers new weights",
        minimum=0,
        excludes={"freeze=encoder": "new weights must be trained"},
    )
    reinit_pooler: bool = setting(
        False, "Give the pooler new weights", excludes={"freeze=encoder": "new weights must be trained"}
    )
    mixout: float = setting(
        0.0,
        "In place of the encoder's dropout, let its dense layers fall back on their pre-trained weights with this "
        "probability",
        minimum=0.0,
        below=1.0,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the target spread evenly over the labels, in training",
        minimum=0.0,
        below=1.0,
        excludes={"loss=focal": ""},
        also="label_smoothing_factor",
    )
    cache_dir: str | None = setting(
        None,
        "Where fetched weights and tokenised raw text are kept, on gs:// the text only; default: weights in "
        "$TFBERT_CACHE or ~/.cache/tfbert, text nowhere",
        scope=Scope.NOTHING,
        path=True,
    )


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """Further pre-training: what is hidden of raw text (--task=masked_lm)."""

    masked_lm_prob: float = setting(
        0.15,
        "Share of the pieces of a sequence that are to be predicted",
        above=0.0,
        below=1.0,
        also="mlm_probability mlm_prob",
    )
    max_predictions_per_seq: int = setting(
        20, "The most pieces of a sequence that are; of 512 pieces 15 % are 77", minimum=1
    )
    whole_word_masking: bool = setting(False, "Mask all pieces of a word together", also="do_whole_word_mask wwm")
    max_ngram: int = setting(1, "Mask up to so many neighbouring words together", minimum=1, maximum=10)
    dynamic_masking: bool = setting(True, "New masks every epoch; off: the same")
    next_sentence: bool = setting(
        True, "Predict, too, whether the second of two segments follows the first; off: single segments"
    )
    short_seq_prob: float = setting(
        0.1, "Share of the sequences that are shorter than max_seq_length, by a random length", minimum=0.0, maximum=1.0
    )
    short_seq_length: int | None = setting(
        None,
        "Pieces of a sequence in the first part of the steps, as BERT was trained: 128, and then max_seq_length=512",
        minimum=8,
        needs={"max_steps": "an epoch has more steps of short sequences than of long"},
    )
    short_seq_share: float = setting(
        0.9,
        "Share of the steps with short_seq_length",
        above=0.0,
        below=1.0,
        needs={"short_seq_length": "the pieces of a sequence in these steps"},
    )
    held_out: tuple[str, ...] = setting(
        (),
        "Data whose texts must not stand in the training text; repeatable; in a recipe of stages: dev_file and "
        "test_file of the later ones",
        path=True,
    )
    held_out_columns: tuple[str, ...] = setting((), "Columns of those texts; repeatable; default: text_column")
    leaks: str = setting(
        "refuse",
        "What to do with those that do: refuse to train, or remove their sentences from the training text",
        choices=("refuse", "remove"),
    )
