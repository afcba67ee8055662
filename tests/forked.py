"""What each forked run would import and draw first: done once, in the process that they are forked from."""

import gc
import importlib

from tfbert.core.process import tune_process, without_optional_packages
from tfbert.reports.page import drawn

tune_process()
with without_optional_packages():
    for mode in ("train", "sweep", "evaluate", "predict"):
        importlib.import_module(f"tfbert.modes.{mode}")
for package in ("keras_hub", "tensorflow_text", "sklearn.metrics", "scipy.stats"):
    importlib.import_module(package)
drawn(lambda axes: axes.plot([0, 1]))  # finds the fonts
gc.freeze()
