"""Input data and tokenisation: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Input data and tokenisation."""

    train_file: str | None = setting(
        None,
        "Training data: a path or glob (.tsv, .csv, .jsonl, .json, .parquet, .tfrecord, .txt, .conll; also .gz; local "
        "or gs://), a raw GLUE folder such as glue_data/MRPC, or tfds:NAME[/CONFIG]:SPLIT",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
        also="train_path train_data train_data_file data_file data_dir task_name=tfds:glue/NAME:train "
        "dataset_name=tfds:NAME:train",
    )
    dev_file: str | None = setting(
        None,
        "Development (validation) data, which selects the best checkpoint; same formats as train_file",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
        also="validation_file valid_file eval_file eval_data_file dev_path validation_path eval_path dev_data",
    )
    test_file: str | None = setting(
        None,
        "Test data: scored with the best checkpoint after training; the input of evaluate and predict",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
        also="predict_file test_path input_file test_data",
    )
    dev_share: float | None = setting(
        None,
        "Share of the training rows to hold out as development data, stratified by label, duplicate texts kept "
        "together; split.json records the rows",
        above=0.0,
        below=1.0,
        needs={"train_file": "whose rows are split"},
        excludes={"dev_file": "both supply the development data", "folds": "each fold is held out already"},
        also="validation_split val_split validation_fraction dev_size val_size",
    )
    test_share: float | None = setting(
        None,
        "Share of the training rows to hold out as test data, in the same way",
        above=0.0,
        below=1.0,
        needs={"train_file": "whose rows are split"},
        excludes={"test_file": "both supply the test data", "folds": "each fold is held out already"},
        also="test_split test_size",
    )
    split_seed: int = setting(
        0,
        "Seed of the split by dev_share and test_share; use the same seed for runs that are to be compared",
        minimum=0,
        needs={"dev_share or test_share": "which split the rows"},
    )
    halve_dev: bool = setting(
        False,
        "Split dev_file in two, stratified by label: one half selects the best checkpoint, the other becomes the test "
        "data",
        needs={"dev_file": "the data to split"},
        excludes={"test_file": "the second half would be the test data"},
    )
    halve_dev_seed: int = setting(0, "Seed of that split; keep it the same for all runs that are compared", minimum=0)
    text_column: str | None = setting(
        None,
        "Column that holds the text; default: text, in tagging tokens, in span question, or for a saved model the "
        "column it was trained on",
        also="text_column_name text_col text_field sentence_column",
    )
    text_pair_column: str | None = setting(
        None,
        "Column that holds the second text, for tasks on pairs; default: none, in span context",
        also="text_b_column sentence2_column",
    )
    label_column: str | None = setting(
        None,
        "Column that holds the label (multilabel: a list, or labels separated by commas); default: label, in tagging "
        "tags, in span answers",
        also="label_column_name label_col target_column",
    )
    id_column: str = setting("id", "Column that is copied to the predictions, if the data has it", scope=Scope.NOTHING)
    quoting: str = setting(
        "auto",
        "Whether TSV and CSV fields may be enclosed in double quotes; auto: on for CSV, off for TSV",
        choices=("auto", "on", "off"),
    )
    delimiter: str | None = setting(
        None,
        "Delimiter of TSV and CSV fields: a character, or tab; default: that of the first line, a comma, semicolon, "
        "tab or bar",
        also="sep separator",
    )
    encoding: str | None = setting(
        None,
        "Encoding of text files, such as cp1252, gb18030 or utf-16; default: UTF-8, or as detected from a byte order "
        "mark or the first rows",
    )
    max_seq_length: int = setting(
        128,
        "Maximum number of tokens in a sequence, including [CLS] and [SEP]; long_text says what happens to longer "
        "texts",
        minimum=4,
        also="max_length max_len maxlen max_seq_len seq_length seq_len sequence_length model_max_length",
    )
    long_text: str = setting(
        "head",
        "How texts longer than max_seq_length are handled: keep their head, their tail, or some of each (head_tail); "
        "or encode several windows of max_seq_length and combine their vectors by mean, max or attention",
        choices=("head", "tail", "head_tail", "mean", "max", "attention"),
    )
    head_pieces: int | None = setting(
        None,
        "Number of tokens kept from the beginning with long_text=head_tail; default: a quarter, 128 of 510",
        minimum=1,
        needs={"long_text=head_tail": ""},
    )
    truncation: str = setting(
        "longest_first",
        "Which text of a pair is truncated, or split into windows; longest_first: remove tokens one by one from the "
        "longer text, as BERT does",
        choices=("longest_first", "only_first", "only_second"),
        also="truncation_strategy",
    )
    max_windows: int = setting(
        4,
        "Maximum number of windows per text with long_text=mean|max|attention; text beyond the last is dropped",
        minimum=2,
        maximum=2**16,
    )
    window_stride: int | None = setting(
        None,
        "Number of tokens between the starts of consecutive windows; default: the window length, so that windows do "
        "not overlap",
        minimum=1,
        needs={"long_text=mean|max|attention": ""},
        also="stride",
    )
    doc_stride: int = setting(
        128,
        "Number of tokens between the starts of consecutive windows over a context, with task=span",
        minimum=1,
    )
    max_query_length: int = setting(
        64, "Maximum number of tokens of a question, with task=span; more are cut off", minimum=1
    )
    max_answer_length: int = setting(30, "Maximum number of tokens of an answer, with task=span", minimum=1)
    do_lower_case: bool | None = setting(
        None,
        "Lower-case the text and strip accents; default: as the preset was trained",
        also="lowercase do_lowercase lower_case",
    )
    clean_text: bool = setting(
        False,
        "Remove HTML tags and control characters, decode HTML entities and collapse whitespace in every text, in "
        "training and whenever the model predicts",
    )
    augment: tuple[str, ...] = setting(
        (),
        "Also train on modified copies of the rows, generated anew every epoch, each by one of: delete_words, "
        "swap_words, insert_words, drop_punctuation, drop_stop_words (English and Chinese), masked_words:FOLDER (a "
        "model of --task=masked_lm), nlpaug:char.KeyboardAug, or MODULE:FUNCTION, your own (text, rng) -> text; "
        "repeatable",
        path=True,
    )
    augment_copies: int = setting(
        1,
        "Number of modified copies of each training row per epoch",
        minimum=1,
        maximum=1000,
        needs={"augment": "which makes the copies"},
    )
    augment_probability: float = setting(
        0.1,
        "Probability that a word or punctuation mark is changed in a copy",
        above=0.0,
        maximum=1.0,
        needs={"augment": "which makes the copies"},
    )
    group_column: str | None = setting(
        None,
        "Column whose equal values are kept in the same fold, such as an author or a thread",
        needs={"folds": "whose rows it groups"},
    )
    limit_train_rows: int | None = setting(None, "Train on the first N rows only", minimum=1, also="max_train_samples")

    @property
    def file_format(self):
        """How tables and text files are read: dict of arguments of `read_examples`."""
        return {"quoting": self.quoting, "delimiter": self.delimiter, "encoding": self.encoding}

    def text_columns(self, defaults=("text", None)):
        """Returns the names of the text columns: (text,) or (text, second text); the defaults are the task's."""
        text, pair = self.text_column or defaults[0], self.text_pair_column or defaults[1]
        return (text, pair) if pair else (text,)
