"""Has Keras know tfbert's classes by name as soon as both are imported, without importing either.

`keras.models.load_model` looks a class up in a registry, which a class enters when its module is imported. But tfbert
imports its modules when they are used, since `--help` and the doctor have to answer without TensorFlow; a `.keras` file
with an optimizer of tfbert could not be loaded after `import tfbert`. So stand-ins enter the registry, each of which
imports its class when Keras makes something of it; where Keras comes after tfbert, the import of Keras is watched for.
"""

import importlib
import importlib.abc
import sys

# What is written to `.keras` files -> where it is.
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
    "Task": "tfbert.tasks.task",
    "TaskLoss": "tfbert.models.keras_model",
    "TextModel": "tfbert.models.text_model",
    "VectorModel": "tfbert.models.vector_model",
}


class _StandIn:
    """Makes a class's objects in its place: `from_config` is all that Keras asks of what it finds in the registry."""

    def __init__(self, name, module):
        self._name, self._module = name, module

    def from_config(self, config):
        return getattr(importlib.import_module(self._module), self._name).from_config(config)


class _KerasWatcher(importlib.abc.MetaPathFinder):
    """Finds Keras as the other finders do, and registers once it is imported."""

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
