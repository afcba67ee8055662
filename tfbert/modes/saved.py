"""What the modes share that work with a saved model."""

import os

from tfbert.core.errors import InputError
from tfbert.inference.saved_model import load_model
from tfbert.modes.build import dtype_of, strategy_of, text_columns_of


def model_folder(config):
    """Returns the folder of the model to use: the one named, or that of the run in output_dir."""
    return config.model.preset or os.path.join(config.training.output_dir, "model")


def saved_model(config):
    """Returns (model, strategy): the saved model that the settings name, on their devices."""
    strategy = strategy_of(config)
    with strategy.scope():
        model = load_model(model_folder(config), dtype=dtype_of(config))
    if config.training.windows_per_step and "windows_per_step" in model.task.rules.ignores:
        raise InputError(
            f"--windows_per_step={config.training.windows_per_step} does nothing with a model of "
            f"--task={model.task.name}; lower --eval_batch_size to save memory."
        )
    model.windows_per_step = config.training.windows_per_step
    return model, strategy


def text_columns(data, model):
    """Returns the text columns: those given, else those of the model's training data."""
    given = text_columns_of(data)
    columns = given if given != ("text",) else tuple(model.text_columns)
    return columns if len(columns) == 2 else (*columns, None)
