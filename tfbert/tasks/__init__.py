"""What is predicted: one class a kind of task, all in TASKS."""

from tfbert.tasks.classification import Classification
from tfbert.tasks.masked_lm.task import MaskedLM
from tfbert.tasks.multilabel import Multilabel
from tfbert.tasks.regression import Regression

TASKS = {task.name: task for task in (Classification, Multilabel, Regression, MaskedLM)}
