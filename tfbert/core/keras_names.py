"""Registers tfbert's classes with Keras as soon as both are imported, without importing either.

`keras.models.load_model` looks classes up in a registry, which they normally enter when their module is imported. But
tfbert imports its modules on first use, since `--help` and the doctor must work without TensorFlow, so a `.keras` file
with an optimizer of tfbert could not be loaded after a mere `import tfbert`. Therefore stand-ins are registered, which
import their classes when Keras instantiates them. If Keras is imported after tfbert, an import hook registers them.
"""

import importlib
import importlib.abc
import sys

# Class name in `.keras` files -> its module.
REGISTERED = {
    "AdamWeightDecay": "tfbert.optim.adam_weight_decay",
    "BertEncoder": "tfbert.models.encoder",
    "ConstantWarmup": "tfbert.optim.schedules",
    "CosineWarmup": "tfbert.optim.schedules",
    "EnsembleModel": "tfbert.inference.ensemble",
    "Lamb": "tfbert.optim.lamb",
    "LinearWarmup": "tfbert.optim.schedules",
    "PolynomialWarmup": "tfbert.optim.schedules",
    "PretrainingModel": "tfbert.tasks.masked_lm.model",
    "SlantedTriangular": "tfbert.optim.schedules",
    "SpanModel": "tfbert.tasks.span.model",
    "TaggingModel": "tfbert.tasks.tagging.model",
    "Task": "tfbert.tasks.task",
    "TaskLoss": "tfbert.models.keras_model",
    "TextModel": "tfbert.models.text_model",
    "VectorModel": "tfbert.models.vector_model",
}


class _StandIn:
    """Stands in for a class: `from_config` is all that Keras calls on what it finds in the registry."""

    def __init__(self, name, module):
        self._name, self._module = name, module

    def from_config(self, config):
        return getattr(importlib.import_module(self._module), self._name).from_config(config)


class _KerasWatcher(importlib.abc.MetaPathFinder):
    """An import hook that finds Keras as the other finders do, and registers the stand-ins once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            spec.loader.exec_module = self._registering(spec.loader.exec_module)
        return spec

    def _registering(self, exec_module):
        def execute(module):
            exec_module(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        return execute


def register():
    """Registers the stand-ins, now or when Keras is imported."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _KerasWatcher())


def _register():
    registry = sys.modules["keras"].saving.get_custom_objects()
    for name, module in REGISTERED.items():
        registry.setdefault(f"tfbert>{name}", _StandIn(name, module))
