"""What the modes share that work with a saved model."""

import os

from tfbert.core.errors import InputError
from tfbert.inference.saved_model import load_model
from tfbert.modes.build import dtype_of


def model_folder(config):
    """Returns the folder of the model to use: the one named, or that of the run in output_dir."""
    return config.model.preset or os.path.join(config.training.output_dir, "model")


def saved_model(config, strategy):
    """Returns the saved model that the settings name, on the devices of a strategy."""
    with strategy.scope():
        model = load_model(model_folder(config), dtype=dtype_of(config))
    if config.training.windows_per_step and "windows_per_step" in model.task.rules.ignores:
        raise InputError(
            f"--windows_per_step={config.training.windows_per_step} has no effect with a model of "
            f"--task={model.task.name}; lower --eval_batch_size to save memory."
        )
    model.windows_per_step = config.training.windows_per_step
    return model


def text_columns(data, model):
    """Returns the text columns, each as it was given, else that of the model's training data: (str, str or None)."""
    own = (*model.text_columns, None)[:2]
    return data.text_column or own[0], data.text_pair_column or own[1]
