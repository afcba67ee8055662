"""How a task's loss is changed for training: smoothed labels, weights, focus, the prior in the logits."""

import dataclasses

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """What `training_loss` has beyond the plain loss.

    Attributes:
        label_smoothing: float. The share ε of the target spread evenly over the labels.
        class_weights: float [outputs] or None. Factors of the loss: of a class, that of its examples; of a label, that
            of the examples that hold it.
        focal_gamma: float or None. The focusing power γ of the focal loss; None: cross-entropy.
        focal_alpha: float or None. Its weight α of the positive class (two classes: the second), 1 - α of the other.
        logit_offsets: float [outputs] or None. Added to the logits in training only: τ log p of logit adjustment.
    """

    label_smoothing: float = 0.0
    class_weights: tuple | None = None
    focal_gamma: float | None = None
    focal_alpha: float | None = None
    logit_offsets: tuple | None = None

    def shifted(self, logits):
        """Returns the logits that the loss sees: float [M, outputs] -> float [M, outputs].

        Source: Menon et al. 2020 (2007.07314), equation 10; for one of several labels, whose two classes have the
        logits 0 and x, the offset is the log-odds.
        """
        return logits if self.logit_offsets is None else logits + np.asarray(self.logit_offsets, np.float32)

    def focused(self, log_probabilities):
        """Returns -(1 - p)^γ log p, or -log p without γ: float -> float, element by element.

        Source: Lin et al. 2017 (1708.02002), equation 4. 1 - p is held above 1e-7, where powers below one have no
        finite slope.
        """
        if self.focal_gamma is None:
            return -log_probabilities
        return -ops.power(ops.maximum(-ops.expm1(log_probabilities), 1e-7), self.focal_gamma) * log_probabilities
