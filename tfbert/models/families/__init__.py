"""Families of encoders, one file each, all in FAMILIES by Hugging Face's `model_type`."""

from tfbert.core.variants import Variants

FAMILIES = Variants(
    bert="tfbert.models.families.bert:Bert",
    distilbert="tfbert.models.families.distilbert:DistilBert",
)
