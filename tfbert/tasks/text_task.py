"""The base class of tasks with one answer for each text or text pair."""

import dataclasses

from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.inspection import inspect_examples
from tfbert.data.windows import LongText
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.rules import RULES
from tfbert.tasks.task import Task


class TextTask(Task):
    """A task with one label per row, encoded as a number or an array, and a head over one vector per text."""

    rules = RULES["regression"]
    saved_keys = ("labels", "pooling", "head_layers", "head_activation", "long_text", "decision")
    problem_type = None  # the name of the loss in transformers

    def __init__(self, labels=()):
        self.labels = list(labels)

    def encode_label(self, label, where):
        """Returns the label of a row as the loss expects it: number or np.ndarray.

        Args:
            label: str, int, float or list, as the file has it.
            where: (file, line), for messages.

        Raises:
            InputError: it is not a valid label.
        """
        raise NotImplementedError

    def decode_label(self, label):
        """Returns the label that `encode_label` encoded, as JSON represents it."""
        raise NotImplementedError

    def row_label(self, row):
        return self.encode_label(row["label"], row["where"])

    def initial_bias(self, labels):
        """Returns the initial biases of the head: np.ndarray [N, ...], the training labels -> float32 [outputs]."""
        raise NotImplementedError

    def arguments(self):
        return {"labels": self.labels}

    @classmethod
    def from_json(cls, about):
        task = cls(about["labels"])
        task.decision = Decision(**about["decision"])
        return task

    def to_json(self):
        return super().to_json() | {"decision": dataclasses.asdict(self.decision)}

    def hugging_face_config(self):
        labels = self.labels or [f"LABEL_{number}" for number in range(self.outputs)]
        return ({"problem_type": self.problem_type} if self.problem_type else {}) | {
            "id2label": {str(number): str(label) for number, label in enumerate(labels)},
            "label2id": {str(label): number for number, label in enumerate(labels)},
        }

    def tokenized(self, rows, tokenizer, max_seq_length, long_text=LongText(), train=False):
        return tokenize_examples(rows(), tokenizer, max_seq_length, self.encode_label, long_text)

    def batches(self, tokenized, tokenizer, batch_size, max_seq_length, train=False, seed=0, renew=None):
        return ExampleBatches(tokenized, batch_size, max_seq_length, train, seed, renew=renew)

    def inspection(self, examples, tokenizer):
        return inspect_examples(examples, tokenizer)

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None,
        *, pooling=None, head_layers=(), head_activation="tanh", windows_per_step=None,
    ):  # fmt: skip
        # Imported when a model is built: labels, losses and scores need none.
        from tfbert.models.text_model import build_model

        return build_model(
            encoder,
            self,
            tokenizer,
            pooling or "pooler",
            max_seq_length,
            text_columns,
            init_seed,
            labels,
            head_layers,
            head_activation,
            long_text,
            windows_per_step,
        )

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        from tfbert.models.text_model import build_model, check_head

        check_head(reader, about["head_layers"], self.outputs, folder)
        model = build_model(
            encoder,
            self,
            None,
            about["pooling"],
            about["max_seq_length"],
            about["text_columns"],
            head_layers=about["head_layers"],
            head_activation=about["head_activation"],
            long_text=LongText(**about["long_text"]),
            windows_per_step=windows_per_step,
        )
        model.load_head(reader, folder)
        return model
