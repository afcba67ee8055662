"""Trains, keeps the best model by dev score, scores it on test."""

import os

from tfbert.core.files import json_of
from tfbert.modes.build import strategy_of
from tfbert.modes.folds import train_model
from tfbert.modes.trainer import Trainer, finished_results
from tfbert.training.devices import is_chief


def train_mode(config):
    """Trains, keeps the best model by dev score, scores it on test: what --mode=train does.

    Returns:
        dict. The content of `eval_results.json`; of a recipe of stages, that of each stage by its name.
    """
    strategy = strategy_of(config)
    trainer, stages = Trainer(strategy), config.stages()
    results, folder = {}, config.training.output_dir
    for name, stage in stages:
        folder = stage.training.output_dir
        results[name] = finished_results(stage)
        print(f"Stage {name}: {'it is finished already' if results[name] else folder}.", flush=True)
        results[name] = results[name] or train_model(stage, trainer)
    if not stages:
        results = train_model(config, trainer)
    if is_chief(strategy):
        print(json_of(results))
        print(f"The model is in {os.path.join(folder, 'model')}.")
    return results
