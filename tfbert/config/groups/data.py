"""What is read, and how it becomes tokens: the settings."""

import dataclasses

from tfbert.config.setting import Scope, setting


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is read, and how it becomes pieces."""

    train_file: str | None = setting(
        None,
        "Training rows: a path or glob (.tsv, .csv, .jsonl, .json, .parquet, .tfrecord, .txt; .gz too; local or "
        "gs://), a raw GLUE folder such as glue_data/MRPC, or tfds:NAME[/CONFIG]:SPLIT",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    dev_file: str | None = setting(
        None,
        "Rows that choose the best checkpoint; written as train_file is",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    test_file: str | None = setting(
        None,
        "Rows to score with the best checkpoint, to evaluate, or to predict",
        scope=Scope.RESULT | Scope.GRAPH | Scope.PLACE,
        path=True,
    )
    halve_dev: bool = setting(
        False,
        "Let one half of dev_file, of the same labels, choose the best checkpoint, and the other be the test rows",
        needs={"dev_file": "the rows to be halved"},
        excludes={"test_file": "the second half would be the test rows"},
    )
    halve_dev_seed: int = setting(0, "Seed of that split, the same for all runs that are to be compared", minimum=0)
    text_column: str | None = setting(
        None, "Column of the text; default: text, for a saved model that of its training data"
    )
    text_pair_column: str | None = setting(None, "Column of the second text, for tasks on pairs")
    label_column: str = setting("label", "Column of the label (multilabel: a list, or labels separated by commas)")
    id_column: str = setting("id", "Column copied to the predictions, where the data has it", scope=Scope.NOTHING)
    quoting: str = setting(
        "auto",
        "Whether fields of TSV and CSV may stand in double quotes; auto: CSV on, TSV off",
        choices=("auto", "on", "off"),
    )
    delimiter: str | None = setting(
        None,
        "What separates the fields of TSV and CSV: a character, or tab; default: what their first line shows: comma, "
        "semicolon, tab or bar",
    )
    encoding: str | None = setting(
        None,
        "Encoding of text files, such as cp1252, gb18030 or utf-16; default: UTF-8, or what a byte order mark or the "
        "first rows show",
    )
    max_seq_length: int = setting(128, "Pieces of a sequence, [CLS] and [SEP] included; the rest is cut off", minimum=4)
    long_text: str = setting(
        "head",
        "What becomes of a text that is longer: its beginning, its end, or some of each is kept; or it is read in "
        "several windows of max_seq_length, whose vectors are merged by mean, max or attention",
        choices=("head", "tail", "head_tail", "mean", "max", "attention"),
    )
    head_pieces: int | None = setting(
        None,
        "Pieces from the beginning with head_tail; default: a quarter, 128 of 510",
        minimum=1,
        needs={"long_text=head_tail": ""},
    )
    truncation: str = setting(
        "longest_first",
        "Which side of a pair is cut, or read in windows; longest_first: piece by piece the longer one, as BERT does",
        choices=("longest_first", "only_first", "only_second"),
    )
    max_windows: int = setting(
        4,
        "The most windows of one text with --long_text=mean|max|attention; what lies beyond is lost",
        minimum=2,
        maximum=2**16,
    )
    window_stride: int | None = setting(
        None,
        "Pieces from the beginning of a window to that of the next; default: as many as fit, none twice",
        minimum=1,
        needs={"long_text=mean|max|attention": ""},
    )
    do_lower_case: bool | None = setting(None, "Lower-case and strip accents; default: as the preset was trained")
    clean_text: bool = setting(
        False,
        "Take HTML tags and entities, control characters and runs of white space out of every text, then and later "
        "when the model predicts",
    )
    augment: tuple[str, ...] = setting(
        (),
        "Train on changed copies, too, new ones every epoch, each made by one of these: delete_words, swap_words, "
        "insert_words, drop_punctuation, drop_stop_words (English and Chinese), masked_words:FOLDER (by a model of "
        "--task=masked_lm), nlpaug:char.KeyboardAug, or MODULE:FUNCTION, your own (text, rng) -> text; repeatable",
        path=True,
    )
    augment_copies: int = setting(
        1,
        "Changed copies of each training row in an epoch",
        minimum=1,
        maximum=1000,
        needs={"augment": "which makes the copies"},
    )
    augment_probability: float = setting(
        0.1,
        "Of a word or mark: that it is changed in a copy",
        above=0.0,
        maximum=1.0,
        needs={"augment": "which makes the copies"},
    )
    group_column: str | None = setting(
        None,
        "Column whose equal entries stay in one fold, such as an author or a thread; with folds",
        needs={"folds": "in which it keeps rows together"},
    )
    limit_train_rows: int | None = setting(None, "Train on the first rows only", minimum=1)

    @property
    def file_format(self):
        """How tables and text files are read: dict of arguments of `read_examples`."""
        return {"quoting": self.quoting, "delimiter": self.delimiter, "encoding": self.encoding}

    @property
    def text_columns(self):
        """The names of the text columns: (text,) or (text, second text)."""
        text = self.text_column or "text"
        return (text, self.text_pair_column) if self.text_pair_column else (text,)
