"""Every setting once, by group: name, type, default, meaning, range, and what goes with it."""

from tfbert.config.groups.balance import BalanceConfig
from tfbert.config.groups.data import DataConfig
from tfbert.config.groups.model import ModelConfig, PretrainingConfig
from tfbert.config.groups.optimizer import OptimizerConfig
from tfbert.config.groups.runs import RuntimeConfig, SweepConfig, TrainingConfig

__all__ = [
    "BalanceConfig",
    "DataConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PretrainingConfig",
    "RuntimeConfig",
    "SweepConfig",
    "TrainingConfig",
]
