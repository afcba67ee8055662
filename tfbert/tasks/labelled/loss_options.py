"""Modifications of the training loss: label smoothing, class weights, focal loss, logit adjustment."""

import dataclasses

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """The modifications of the plain loss in `training_loss`.

    Attributes:
        label_smoothing: float. The fraction ε of the target that is spread evenly over the labels.
        class_weights: float [outputs] or None. Factors of the loss of the examples of each class, or with each label.
        focal_gamma: float or None. The focusing parameter γ of the focal loss; None: cross-entropy.
        focal_alpha: float or None. The weight α of the positive class in the focal loss; the other has 1 - α.
        logit_offsets: float [outputs] or None. Added to the logits in training only: τ log p of logit adjustment.
    """

    label_smoothing: float = 0.0
    class_weights: tuple | None = None
    focal_gamma: float | None = None
    focal_alpha: float | None = None
    logit_offsets: tuple | None = None

    def shifted(self, logits):
        """Returns the logits that the loss sees: float [M, outputs] -> float [M, outputs].

        Source: Menon et al. 2020 (2007.07314), equation 10; for multi-label, where a label's two classes have
        the logits 0 and x, the offset is the log-odds.
        """
        return logits if self.logit_offsets is None else logits + np.asarray(self.logit_offsets, np.float32)

    def focused(self, log_probabilities):
        """Returns -(1 - p)^γ log p, or -log p without γ: float -> float, element by element.

        Source: Lin et al. 2017 (1708.02002), equation 4. 1 - p is clipped at 1e-7, below which powers less than one
        have no finite slope.
        """
        if self.focal_gamma is None:
            return -log_probabilities
        return -ops.power(ops.maximum(-ops.expm1(log_probabilities), 1e-7), self.focal_gamma) * log_probabilities
