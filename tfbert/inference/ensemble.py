"""Ensembles: several models that predict as one."""

import keras
from keras import ops

from tfbert.core.errors import InputError
from tfbert.models.keras_model import BatchModel, task_from_config
from tfbert.models.text_outputs import outputs_of_texts


@keras.saving.register_keras_serializable("tfbert")
class EnsembleModel(BatchModel):
    """Averages the probabilities of its members: features -> float32 [M, outputs].

    The outputs are logits of the mean probabilities (log-odds for several labels), or the mean of the numbers, so
    that it can replace a TextModel for prediction. Each member's prior correction and temperature are applied first.

    Attributes:
        members: list of TextModel, of the same task, tokenizer and lengths.
        task: one of TASKS, with its own decision.
        tokenizer, max_seq_length, long_text, text_columns: as in TextModel.
    """

    def __init__(self, members, task, **kwargs):
        """Takes the members.

        Args:
            members: list of TextModel.
            task: one of TASKS. Its decision is that of the ensemble.
        """
        super().__init__(dtype="float32", **kwargs)  # Keras' global policy is not asked: its parts have their own
        first = members[0]
        self.members, self.task, self.tokenizer = list(members), task, first.tokenizer
        self.max_seq_length, self.long_text = first.max_seq_length, first.long_text
        self.text_columns = first.text_columns
        self.built = True

    def get_config(self):
        """Returns all that `from_config` needs, the vocabularies too: dict, as JSON has it."""
        members = [member.get_config() for member in self.members]
        return {"name": self.name, "members": members, "task": self.task.get_config()}

    @classmethod
    def from_config(cls, config):
        """Returns a model of what `get_config` returned, with new weights."""
        text_model = keras.saving.get_registered_object("tfbert>TextModel")
        members = [text_model.from_config(member) for member in config["members"]]
        return cls(members, task_from_config(config["task"]), name=config["name"])

    def vector_model(self, *about):
        """Raises InputError, as each member has its own vectors."""
        raise InputError("An ensemble has no vectors; use one of its members, FOLDER/members/*.")

    @property
    def width(self):
        """The number of the task's outputs, int."""
        return self.task.outputs

    @property
    def windows_per_step(self):
        """Windows encoded at a time, int or None."""
        return self.members[0].windows_per_step

    @windows_per_step.setter
    def windows_per_step(self, windows):
        """Sets it in all members."""
        for member in self.members:
            member.windows_per_step = windows

    def check_length(self, max_seq_length):
        """Raises InputError for sequences that are longer than a member has positions."""
        for member in self.members:
            member.check_length(max_seq_length)

    def fit(self, *args, **kwargs):
        """Refuses, as each member is trained separately.

        Raises:
            InputError: always.
        """
        raise InputError("An ensemble cannot be trained as a whole; train its members separately.")

    def call(self, features, training=False):
        outputs = [member.calibrated(member(features, training=training)) for member in self.members]
        return self.task.mean_outputs(ops.stack(outputs))

    def outputs_of(self, rows, batch_size):
        """Returns the outputs for rows in memory, calibrated: list of dict, int -> np.float32 [rows, outputs]."""
        return outputs_of_texts(self, rows, batch_size)

    def calibrated(self, outputs):
        """Returns the corrected outputs, np.float32 [N, outputs]."""
        return self.task.decision.calibrated(outputs)
