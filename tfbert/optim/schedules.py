"""Learning-rate schedules: linear warm-up to the peak, then one of several decays."""

from __future__ import annotations

import math

import keras
from keras import ops

from tfbert.optim import SCHEDULES


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from a floor to the peak, then follows a curve: linear decay, or that of a subclass.

        η(s) = peak · (f + (1 - f) · s / warmup_steps)                                     for s < warmup_steps
        η(s) = peak · (f + (1 - f) · curve((total_steps - s) / (total_steps - warmup_steps)))   after

    where s = 0, 1, … is the number of steps done, and f the class's `floor`, 0 except for the slanted triangle. The
    argument of the curve, the remaining fraction of the decay, goes from 1 to 0 and stays 0 beyond the last step.

    Args:
        peak: float. The highest learning rate.
        total_steps: int. Steps of the whole run.
        warmup_steps: int. Number of warm-up steps.
    """

    floor = 0.0

    def __init__(self, peak, total_steps, warmup_steps=0):
        self.peak, self.total_steps, self.warmup_steps = peak, total_steps, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = step / max(self.warmup_steps, 1)
        left = ops.maximum(0.0, (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1))
        share = ops.where(step < self.warmup_steps, rising, self.curve(left))
        return self.peak * (self.floor + (1.0 - self.floor) * share)

    def curve(self, left):
        """Returns the fraction of the peak for the remaining fraction of the decay: float in [0, 1] -> the same."""
        return left

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable("tfbert")
class LinearWarmup(WarmupSchedule):
    """Decays linearly to 0.

    Source: Hugging Face's get_linear_schedule_with_warmup; Devlin et al. 2018 (1810.04805), appendix A.2. Deviation
    from google-research/bert: there the decay starts at step 0, so the rate drops abruptly after warm-up.
    """


@keras.saving.register_keras_serializable("tfbert")
class CosineWarmup(WarmupSchedule):
    """Decays to 0 along half a cosine: curve(x) = (1 + cos(π (1 - x))) / 2.

    Source: Loshchilov and Hutter 2016 (1608.03983), equation 5, one cycle with η_min = 0. Deviation: the warm-up.
    """

    def curve(self, left):
        """Returns half a cosine."""
        return 0.5 * (1.0 - ops.cos(math.pi * left))


@keras.saving.register_keras_serializable("tfbert")
class PolynomialWarmup(WarmupSchedule):
    """Decays to 0 as a power: curve(x) = x^power.

    Source: tf.train.polynomial_decay as google-research/bert calls it, which takes power 1, the linear fall.

    Args:
        peak, total_steps, warmup_steps: as `WarmupSchedule` takes them.
        power: float.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, power=2.0):
        super().__init__(peak, total_steps, warmup_steps)
        self.power = power

    def curve(self, left):
        """Returns a power of the remaining fraction."""
        return ops.power(left, self.power)

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return super().get_config() | {"power": self.power}


@keras.saving.register_keras_serializable("tfbert")
class ConstantWarmup(WarmupSchedule):
    """Stays at the peak after warm-up."""

    def curve(self, left):
        """Returns 1."""
        return ops.ones_like(left)


@keras.saving.register_keras_serializable("tfbert")
class SlantedTriangular(WarmupSchedule):
    """Rises linearly from peak / 32 and decays linearly back to it.

    Source: Howard and Ruder 2018 (1801.06146), equation 3, with ratio = 32, and cut = warmup_steps. Deviation: the
    paper's cut_frac in the decay is taken to be exactly cut / T, so that it ends at peak / 32 even if cut was rounded.
    """

    floor = 1.0 / 32


def make_schedule(
    name: str, peak: float, total_steps: int, warmup_steps: int = 0, power: float = 2.0
) -> WarmupSchedule:
    """Returns a schedule by name.

    Args:
        name: str, a key of SCHEDULES.
        peak: float. The highest learning rate.
        total_steps, warmup_steps: int. Steps of the whole run, and of the warm-up.
        power: float. Only for "polynomial".

    Example:
        >>> schedule = tfbert.make_schedule("cosine", 1e-4, total_steps=100)
        >>> round(float(schedule(50)) * 1e6)
        50
    """
    return SCHEDULES[name](peak, total_steps, warmup_steps, **({"power": power} if name == "polynomial" else {}))


def linear_warmup(peak: float, total_steps: int, warmup_steps: int = 0) -> LinearWarmup:
    """Returns `make_schedule("linear", …)`, BERT's own.

    Example:
        >>> schedule = tfbert.linear_warmup(1e-4, total_steps=100, warmup_steps=10)
        >>> [round(float(schedule(step)) * 1e6) for step in (0, 5, 10, 55, 100)]
        [0, 50, 100, 50, 0]
    """
    return make_schedule("linear", peak, total_steps, warmup_steps)
