"""What is predicted: one class a kind of task, all in TASKS."""

import dataclasses
import json

import numpy as np

from tfbert.tasks.classification import Classification
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.masked_lm.task import MaskedLM
from tfbert.tasks.multilabel import Multilabel
from tfbert.tasks.regression import Regression

TASKS = {task.name: task for task in (Classification, Multilabel, Regression, MaskedLM)}


def task_config(task):
    """Returns what a task is made of, how it trains and how it decides: dict, as JSON has it."""
    config = {"task": task.name, "arguments": task.get_config(), "decision": dataclasses.asdict(task.decision)}
    return json.loads(json.dumps(config, default=lambda numbers: np.asarray(numbers).tolist()))


def task_from_config(config):
    """Returns the task of what `task_config` returned."""
    task = TASKS[config["task"]](**config["arguments"])
    task.decision = Decision(**config["decision"])
    return task
