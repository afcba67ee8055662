"""The encoder and its head, and continued pre-training: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The encoder and its head."""

    task: str = setting(
        "classification",
        "Kind of task; tagging: a tag for each word, such as named entities; span: the part of a context that answers "
        "a question; masked_lm: continued pre-training on raw text",
        choices="tfbert.tasks:TASKS",
        rules="tfbert.tasks.rules:rules_of",
        also="problem_type task_type",
    )
    preset: str | None = setting(
        None,
        "Pre-trained model: a Keras preset name or handle, a Hugging Face name (bert-base-uncased, ORG/NAME, "
        "hf://ORG/NAME), a folder (Keras, Hugging Face, Google TF1, or a model saved by tfbert), minilm, or "
        "config:FILE.json for newly initialised weights; default for evaluate and predict: OUTPUT_DIR/model",
        path=True,
        also="model_name_or_path pretrained_model_name_or_path model_name model model_path bert_model tokenizer_name "
        "init_checkpoint=FOLDER bert_config_file=FOLDER",
    )
    vocab_file: str | None = setting(
        None,
        "Vocabulary for newly initialised weights (preset=config:FILE.json), one token per line; --mode=vocabulary "
        "learns one",
        path=True,
    )
    vocab_size: int = setting(
        30000,
        "Maximum size of the vocabulary that --mode=vocabulary learns from train_file, in tokens",
        above=5,
        scope=Scope.WHOLE,
        needs={"mode=vocabulary": ""},
    )
    pooling: str | None = setting(
        None,
        "How the encoder's outputs become one vector: pooler, cls, mean or max of the last layer; layer:K, "
        "first_last, last4_concat, last4_mean, last4_max, all_concat, all_mean or scalar_mix of the [CLS] vectors of "
        "several layers; default: pooler; with --features a saved model's own, or mean",
        also="pooling_mode pooling_type",
    )
    head_layers: tuple[int, ...] = setting((), "Sizes of the hidden layers of the head: 256,64")
    head_activation: str = setting("tanh", "Activation of head_layers", choices=("tanh", "relu", "gelu", "gelu_new"))
    tag_decoding: str = setting(
        "argmax",
        "How tags are chosen in tagging: the most probable tag of each word, or (viterbi) the most probable sequence "
        "that the scheme of the tags, such as BIO, allows",
        choices=("argmax", "viterbi"),
    )
    dropout: float | None = setting(
        None,
        "Dropout rate of encoder and head; default: the preset's",
        minimum=0.0,
        maximum=0.9,
        also="dropout_rate hidden_dropout_prob attention_probs_dropout_prob classifier_dropout",
    )
    reinit_layers: int = setting(
        0,
        "Number of top encoder layers to re-initialise",
        minimum=0,
        excludes={"freeze=encoder": "new weights must be trained"},
    )
    reinit_pooler: bool = setting(
        False, "Re-initialise the pooler", excludes={"freeze=encoder": "new weights must be trained"}
    )
    mixout: float = setting(
        0.0,
        "Mixout in place of the encoder's dropout: probability that an input unit of a dense layer falls back to its "
        "pre-trained weights in a training step",
        minimum=0.0,
        below=1.0,
    )
    label_smoothing: float = setting(
        0.0,
        "Fraction of the target probability that is spread evenly over the labels, in training only",
        minimum=0.0,
        below=1.0,
        excludes={"loss=focal": ""},
        also="label_smoothing_factor",
    )
    cache_dir: str | None = setting(
        None,
        "Cache folder for downloaded weights and tokenised raw text (on gs:// for the text only); default: weights in "
        "$TFBERT_CACHE or ~/.cache/tfbert, text is not cached",
        scope=Scope.NOTHING,
        path=True,
    )


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """Continued pre-training on raw text (--task=masked_lm)."""

    masked_lm_prob: float = setting(
        0.15,
        "Fraction of the tokens in a sequence that are to be predicted",
        above=0.0,
        below=1.0,
        also="mlm_probability mlm_prob",
    )
    max_predictions_per_seq: int = setting(
        20, "Maximum number of tokens to predict per sequence; 15 % of 512 tokens are 77", minimum=1
    )
    whole_word_masking: bool = setting(False, "Mask all tokens of a word together", also="do_whole_word_mask wwm")
    max_ngram: int = setting(1, "Maximum number of neighbouring words that are masked together", minimum=1, maximum=10)
    dynamic_masking: bool = setting(True, "Draw new masks every epoch; off: the same masks in every epoch")
    next_sentence: bool = setting(
        True, "Also predict whether the second of two segments follows the first; off: single segments"
    )
    short_seq_prob: float = setting(
        0.1, "Probability that a sequence is given a random length below max_seq_length", minimum=0.0, maximum=1.0
    )
    short_seq_length: int | None = setting(
        None,
        "Sequence length of the first phase of training, in tokens; BERT was trained with 128, and then with "
        "max_seq_length=512",
        minimum=8,
        needs={"max_steps": "as an epoch of short sequences has more steps than one of long"},
    )
    short_seq_share: float = setting(
        0.9,
        "Fraction of the steps that use short_seq_length",
        above=0.0,
        below=1.0,
        needs={"short_seq_length": "the sequence length of these steps"},
    )
    held_out: tuple[str, ...] = setting(
        (),
        "Data whose texts must not occur in the training text; repeatable; default in a recipe of stages: dev_file "
        "and test_file of the later stages",
        path=True,
    )
    held_out_columns: tuple[str, ...] = setting((), "Text columns of held_out; repeatable; default: text_column")
    leaks: str = setting(
        "refuse",
        "What to do if held-out texts occur in the training text: refuse to train, or remove their sentences",
        choices=("refuse", "remove"),
    )
