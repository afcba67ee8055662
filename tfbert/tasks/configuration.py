"""A task as plain values, and back."""

import dataclasses
import json

import numpy as np

from tfbert.tasks import TASKS
from tfbert.tasks.labelled.decision import Decision


def task_config(task):
    """Returns what a task is made of, how it trains and how it decides: dict, as JSON has it."""
    config = {"task": task.name, "arguments": task.get_config(), "decision": dataclasses.asdict(task.decision)}
    return json.loads(json.dumps(config, default=lambda numbers: np.asarray(numbers).tolist()))


def task_from_config(config):
    """Returns the task of what `task_config` returned."""
    task = TASKS[config["task"]](**config["arguments"])
    task.decision = Decision(**config["decision"])
    return task
