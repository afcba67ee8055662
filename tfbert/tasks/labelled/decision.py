"""From a model's outputs to its answer: prior correction, temperature and threshold."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Decision:
    """How outputs become probabilities, and probabilities an answer; saved with the model.

    Attributes:
        prior_shift: sequence of float [outputs], or None. Added to the logits to correct the prior of the
            training batches to that of the training data.
        temperature: float. The logits are divided by it.
        thresholds: sequence of float, or None. For two classes one: the probability from which the second is
            predicted; for several labels one each. None: the most probable class, or 0.5.
    """

    prior_shift: tuple | None = None
    temperature: float = 1.0
    thresholds: tuple | None = None

    def calibrated(self, outputs):
        """Returns the corrected outputs of a model: np.float32 [N, outputs] -> np.float32 [N, outputs].

        The shift is log p(c) - log p'(c) (log-odds for several labels), p being the data's prior and p' that under
        which the model was trained: Saerens et al. 2002, Adjusting the outputs of a classifier to new a priori
        probabilities, equation 4; for two classes it is theorem 2 of Elkan 2001, The foundations of cost-sensitive
        learning. The temperature: Guo et al. 2017 (1706.04599), section 4.2.
        """
        if self.prior_shift is not None:
            outputs = outputs + np.asarray(self.prior_shift, np.float32)
        return outputs if self.temperature == 1 else outputs / np.float32(self.temperature)
