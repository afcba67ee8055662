"""What `tfbert.run` can do: one function a mode, from settings to parts to results, all in MODES."""

from tfbert.core.variants import Variants

MODES = Variants(
    train="tfbert.modes.train:train_mode",
    sweep="tfbert.modes.sweep:sweep_mode",
    evaluate="tfbert.modes.evaluate:evaluate_mode",
    predict="tfbert.modes.predict:predict_mode",
    preflight="tfbert.modes.preflight.mode:preflight_mode",
)
