"""Files of plain Keras that name tfbert's classes, loaded in a process that has imported tfbert and used nothing."""

import importlib
import os
import pkgutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfbert
from tests.conftest import ROOT
from tfbert.core.keras_names import REGISTERED

# Looking for Keras, as a check of versions does, leaves the watch in place; importing it ends it.
TFBERT_FIRST = """
import importlib.util, sys, tfbert
assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)
before = list(sys.meta_path)
assert importlib.util.find_spec('keras').name == 'keras' and sys.meta_path == before
import keras
assert before[0] not in sys.meta_path and 'tfbert.models' not in sys.modules
"""
SCRIPT = """
model = keras.models.load_model({path!r})
assert type(model.optimizer) is tfbert.AdamWeightDecay, type(model.optimizer)
print(int(model.optimizer.iterations.numpy()), float(model.optimizer.learning_rate.numpy()))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The path of a dense model of plain Keras that was trained with AdamWeightDecay."""
    path = str(tmp_path_factory.mktemp("plain") / "m.keras")
    model = keras.Sequential([keras.layers.Input([2]), keras.layers.Dense(1)])
    model.compile(tfbert.AdamWeightDecay(tfbert.linear_warmup(1e-3, 10)), loss="mse")
    model.train_on_batch(np.ones([1, 2]), np.ones([1, 1]))
    model.save(path)
    return path


@pytest.mark.parametrize("imports", [TFBERT_FIRST, "import keras, tfbert"], ids=["tfbert first", "keras first"])
def test_a_new_process_loads_what_names_the_optimizer(saved, imports):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = imports + SCRIPT.format(path=saved)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert result.stdout.split() == ["1", str(float(tfbert.linear_warmup(1e-3, 10)(1).numpy()))], result.stderr


def test_every_registered_class_is_in_the_table():
    for module in pkgutil.walk_packages(tfbert.__path__, "tfbert."):
        if module.name.startswith(("tfbert.models", "tfbert.optim", "tfbert.tasks", "tfbert.training")):
            importlib.import_module(module.name)
    registry = keras.saving.get_custom_objects()
    names = {name.removeprefix("tfbert>"): found for name, found in registry.items() if name.startswith("tfbert>")}
    assert {name: found.__module__ for name, found in names.items()} == REGISTERED
