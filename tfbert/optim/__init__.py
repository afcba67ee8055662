"""How weights change: the optimisers, all in OPTIMIZERS; schedules; groups of variables."""

from tfbert.optim.adam_weight_decay import AdamWeightDecay
from tfbert.optim.lamb import Lamb

OPTIMIZERS = {"adamw": AdamWeightDecay, "lamb": Lamb}
