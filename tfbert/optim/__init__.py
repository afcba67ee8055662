"""Optimisers (OPTIMIZERS), learning-rate schedules (SCHEDULES) and groups of variables."""

from tfbert.core.variants import Variants

OPTIMIZERS = Variants(
    adamw="tfbert.optim.adam_weight_decay:AdamWeightDecay",
    lamb="tfbert.optim.lamb:Lamb",
)
SCHEDULES = Variants(
    linear="tfbert.optim.schedules:LinearWarmup",
    cosine="tfbert.optim.schedules:CosineWarmup",
    polynomial="tfbert.optim.schedules:PolynomialWarmup",
    constant="tfbert.optim.schedules:ConstantWarmup",
    slanted_triangular="tfbert.optim.schedules:SlantedTriangular",
)
