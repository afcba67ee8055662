"""How the learning rate goes over the steps."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfbert")
class LinearWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 to the peak, then falls linearly to 0.

        η(s) = peak · s / warmup_steps                                   for s < warmup_steps
        η(s) = peak · (total_steps - s) / (total_steps - warmup_steps)   after, never below 0

    where s = 0, 1, … counts the steps done. Source: Hugging Face's get_linear_schedule_with_warmup. Deviation from
    google-research/bert: there the fall counts from step 0, so that the rate jumps down where the two meet.

    Args:
        peak: float.
        total_steps, warmup_steps: int.
    """

    def __init__(self, peak, total_steps, warmup_steps=0):
        self.peak, self.total_steps, self.warmup_steps = peak, total_steps, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rising = step / max(self.warmup_steps, 1)
        falling = (self.total_steps - step) / max(self.total_steps - self.warmup_steps, 1)
        return self.peak * ops.maximum(0.0, ops.where(step < self.warmup_steps, rising, falling))

    def get_config(self):
        """Returns the arguments of the constructor, for saving."""
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


def linear_warmup(peak, total_steps, warmup_steps=0):
    """Returns the LinearWarmup schedule: linear warm-up, then linear decay to 0.

    Args:
        peak: float. The highest learning rate.
        total_steps: int. Steps of the whole run.
        warmup_steps: int. Steps of the rise.
    """
    return LinearWarmup(peak, total_steps, warmup_steps)
