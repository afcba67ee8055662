"""What tasks share that have one answer for each text, or pair of texts."""

import dataclasses

from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import tokenize_examples
from tfbert.data.inspection import inspect_examples
from tfbert.data.windows import LongText
from tfbert.models.text_model import build_model, check_head
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.rules import RULES
from tfbert.tasks.task import Task


class TextTask(Task):
    """One label a row, which becomes a number or an array; one vector a text, a head over it."""

    rules = RULES["regression"]
    saved_keys = ("labels", "pooling", "head_layers", "head_activation", "long_text", "decision")
    problem_type = None  # transformers' name for the loss

    def __init__(self, labels=()):
        self.labels = list(labels)

    def encode_label(self, label, where):
        """Returns a row's label as the loss takes it: number or np.ndarray.

        Args:
            label: str, int, float or list, as the file has it.
            where: (file, line), for messages.

        Raises:
            InputError: it is none.
        """
        raise NotImplementedError

    def decode_label(self, label):
        """Returns what `encode_label` took, as JSON has it."""
        raise NotImplementedError

    def initial_bias(self, labels):
        """Returns the head's first biases: np.ndarray [N, ...], the training data's labels -> float32 [outputs]."""
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
