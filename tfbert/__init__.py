"""tfbert: fine-tune BERT with Keras 3 and TensorFlow. The public names, imported on first use."""

import importlib
import os

from tfbert.core.keras_names import register as _register
from tfbert.core.keras_setup import check_keras
from tfbert.core.names import did_you_mean as _did_you_mean

__version__ = "0.1.0"

# On CPUs without AVX-512, TensorFlow leaves off oneDNN's kernels, which halve the time of a step. It reads the variable
# when it is imported, which importing tfbert does not do.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_register()

_HOME = {
    "AdamWeightDecay": "optim.adam_weight_decay",
    "InputError": "core.errors",
    "Lamb": "optim.lamb",
    "LongText": "data.windows",
    "TASKS": "tasks",
    "add_mixout": "models.mixout",
    "build_model": "models.text_model",
    "build_pretraining_model": "tasks.masked_lm.model",
    "build_span_model": "tasks.span.model",
    "build_tagging_model": "tasks.tagging.model",
    "doctor": "modes.doctor",
    "epoch_draws": "tasks.labelled.balance",
    "evaluate": "training.evaluation",
    "extract_features": "inference.features",
    "fill_mask": "tasks.masked_lm.fill_mask",
    "layer_decay": "optim.parameter_groups",
    "linear_warmup": "optim.schedules",
    "load_config": "config.load",
    "load_encoder": "models.presets",
    "load_model": "inference.saved_model",
    "load_tokenizer": "models.presets",
    "make_dataset": "data.datasets",
    "make_schedule": "optim.schedules",
    "make_strategy": "training.devices",
    "predict": "inference.predict",
    "preflight": "modes.preflight.report",
    "reinitialize": "models.initialization",
    "run": "run",
    "save_model": "inference.saved_model",
    "train": "training.loop",
}
# Available whatever the settings of Keras; `run` checks them itself.
_WITHOUT_KERAS = ("InputError", "modes.doctor", "load_config", "run")
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(
            f"module 'tfbert' has no attribute {name!r}; it has {', '.join(__all__)}.{_did_you_mean(name, __all__)}"
        )
    if name not in _WITHOUT_KERAS:
        check_keras()
    return getattr(importlib.import_module(f"tfbert.{_HOME[name]}"), name)


def __dir__():
    return __all__
