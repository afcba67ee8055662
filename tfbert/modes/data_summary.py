"""Statistics of the data of a run, and the settings that they suggest."""

import dataclasses

import numpy as np

from tfbert.config.load import given_settings
from tfbert.core.text_table import aligned
from tfbert.data.inspection import advice, findings, overview
from tfbert.modes.build import copies_of


@dataclasses.dataclass(frozen=True)
class DataSummary:
    """What was found in the data sets of a run.

    Attributes:
        head, rows: a table, with the number of rows and the lengths of the texts of each data set.
        findings: list of str. What looks wrong with the data.
        advice: list of str. Settings to try, each with its reason.
    """

    head: list
    rows: list
    findings: list
    advice: list

    def lines(self):
        """Returns the summary as lines of text: list of str."""
        found = [f"  {line}" for line in self.findings]
        suggested = ["", "Worth trying:", *(f"  {line}" for line in self.advice)] if self.advice else []
        return [*aligned([self.head, *self.rows]), *found, *suggested]


def summarize_data(config, task, tokenizer, datasets, steps, packed=False):
    """Returns a DataSummary, or None if the task does not inspect its data.

    Args:
        config: Config.
        task: one of TASKS.
        tokenizer: BertTokenizer.
        datasets: dict of ExampleBatches, by split.
        steps: int. Steps of the run.
        packed: bool. Whether short texts share a row.
    """
    data = config.data
    examples = {split: dataset.examples for split, dataset in datasets.items()}
    if data.augment:
        examples["train"] = examples["train"].subset(np.arange(0, examples["train"].size, 1 + copies_of(data)))
    found = {split: task.inspection(each, tokenizer) for split, each in examples.items()}
    if None in found.values():
        return None
    given, scored, batch_size = given_settings(config), "dev" in found, config.training.train_batch_size
    suggested = advice(task, found["train"], steps, batch_size, data.max_seq_length, given, packed, scored)
    return DataSummary(*overview(found, data.max_seq_length), findings(task, found), suggested)
