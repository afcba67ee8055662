"""Helpers of the modes that use a saved model."""

import os

from tfbert.inference.saved_model import load_model
from tfbert.modes.build import dtype_of


def model_folder(config):
    """Returns the folder of the model to use: --preset, or that of the run in output_dir."""
    return config.model.preset or os.path.join(config.training.output_dir, "model")


def saved_model(config, strategy):
    """Returns the saved model that the settings name, on the devices of a strategy."""
    with strategy.scope():
        windows_per_step = config.training.windows_per_step
        return load_model(model_folder(config), dtype=dtype_of(config), windows_per_step=windows_per_step)


def text_columns(data, model):
    """Returns the text columns, as given or else those of the model's training data: (str, str or None)."""
    own = (*model.text_columns, None)[:2]
    return data.text_column or own[0], data.text_pair_column or own[1]
