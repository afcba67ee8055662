"""Kinds of encoders: what differs between them, one file a kind, all in FAMILIES by Hugging Face's `model_type`."""

from tfbert.core.variants import Variants

FAMILIES = Variants(
    bert="tfbert.models.families.bert:Bert",
    distilbert="tfbert.models.families.distilbert:DistilBert",
)
