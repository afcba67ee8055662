"""Tasks: one class for each kind, all in TASKS."""

from tfbert.core.variants import Variants

TASKS = Variants(
    classification="tfbert.tasks.classification:Classification",
    multilabel="tfbert.tasks.multilabel:Multilabel",
    regression="tfbert.tasks.regression:Regression",
    tagging="tfbert.tasks.tagging.task:Tagging",
    span="tfbert.tasks.span.task:Span",
    masked_lm="tfbert.tasks.masked_lm.task:MaskedLM",
)
