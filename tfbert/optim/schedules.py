"""How the learning rate goes over the steps: a warm-up to the peak, then one of several ways down."""

from __future__ import annotations

import math

import keras
from keras import ops

from tfbert.optim import SCHEDULES


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from a floor to the peak, then follows a curve: a straight line down, or what a subclass gives.

        η(s) = peak · (f + (1 - f) · s / warmup_steps)                                     for s < warmup_steps
        η(s) = peak · (f + (1 - f) · curve((total_steps - s) / (total_steps - warmup_steps)))   after

    where s = 0, 1, … counts the steps done, and f is the class's `floor`, 0 but for the slanted triangle. The curve's
    argument, the share of the fall that is left, goes from 1 to 0 and stays there beyond the last step.

    Args:
        peak: float. The highest learning rate.
        total_steps: int. Steps of the whole run.
        warmup_steps: int. Steps of the rise.
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
        """Returns the share of the peak where this share of the fall is left: float in [0, 1] -> the same."""
        return left

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable("tfbert")
class LinearWarmup(WarmupSchedule):
    """Falls linearly to 0.

    Source: Hugging Face's get_linear_schedule_with_warmup; Devlin et al. 2018 (1810.04805), appendix A.2. Deviation
    from google-research/bert: there the fall counts from step 0, so that the rate jumps down where the two meet.
    """


@keras.saving.register_keras_serializable("tfbert")
class CosineWarmup(WarmupSchedule):
    """Falls to 0 along half a cosine: curve(x) = (1 + cos(π (1 - x))) / 2.

    Source: Loshchilov and Hutter 2016 (1608.03983), equation 5, one cycle with η_min = 0. Deviation: the warm-up.
    """

    def curve(self, left):
        """Returns half a cosine."""
        return 0.5 * (1.0 - ops.cos(math.pi * left))


@keras.saving.register_keras_serializable("tfbert")
class PolynomialWarmup(WarmupSchedule):
    """Falls to 0 as a power: curve(x) = x^power.

    Source: tf.train.polynomial_decay as google-research/bert calls it, which takes power 1, the linear fall.

    Args:
        peak, total_steps, warmup_steps: as `WarmupSchedule` takes them.
        power: float.
    """

    def __init__(self, peak, total_steps, warmup_steps=0, power=2.0):
        super().__init__(peak, total_steps, warmup_steps)
        self.power = power

    def curve(self, left):
        """Returns a power of what is left."""
        return ops.power(left, self.power)

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return super().get_config() | {"power": self.power}


@keras.saving.register_keras_serializable("tfbert")
class ConstantWarmup(WarmupSchedule):
    """Stays at the peak."""

    def curve(self, left):
        """Returns 1."""
        return ops.ones_like(left)


@keras.saving.register_keras_serializable("tfbert")
class SlantedTriangular(WarmupSchedule):
    """Rises from peak / 32 and falls linearly back to it.

    Source: Howard and Ruder 2018 (1801.06146), equation 3, with ratio = 32, and cut = warmup_steps. Deviation: the
    paper's cut_frac of the fall is taken to be cut / T exactly, so that the end is at peak / 32 even where cut was
    rounded.
    """

    floor = 1.0 / 32


def make_schedule(
    name: str, peak: float, total_steps: int, warmup_steps: int = 0, power: float = 2.0
) -> WarmupSchedule:
    """Returns a schedule by name.

    Args:
        name: str, a key of SCHEDULES.
        peak: float. The highest learning rate.
        total_steps, warmup_steps: int. Steps of the whole run, and of the rise.
        power: float. For "polynomial" alone.
    """
    return SCHEDULES[name](peak, total_steps, warmup_steps, **({"power": power} if name == "polynomial" else {}))


def linear_warmup(peak: float, total_steps: int, warmup_steps: int = 0) -> LinearWarmup:
    """Returns `make_schedule("linear", …)`, BERT's own."""
    return make_schedule("linear", peak, total_steps, warmup_steps)
