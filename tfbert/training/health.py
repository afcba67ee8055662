"""Detection of failing runs: vanishing gradients, constant predictions, scores no better than guessing."""

import numpy as np

from tfbert.optim.parameter_groups import parts_of
from tfbert.training.evaluation import scores

# If this fraction of the dev predictions is the same, a run predicts only one class.
ONE_CLASS = 0.99
# Below this fraction of the head's gradient norm, a part's gradient has vanished.
VANISHED = 1e-2
HIGH_RATE = 1e-4


class RunHealth:
    """Distinguishes failing runs from good ones, from the first steps on.

    Mosbach et al. 2020 (2006.04884), section 5.1: a failed run's gradients vanish in all layers but the top ones early
    in training; section 3: it scores no better than the majority class. Zhang et al. 2020 (2006.05987), section 4:
    without bias correction the first steps are too large.

    Attributes:
        baseline: dict. The dev scores of a constant answer: the majority class, the mean, or the labels that apply to
            most texts.
        warnings: dict of str. The warnings so far: kind -> sentence.
    """

    def __init__(self, task, dev, metric, learning_rate, bias_correction, warmup_steps):
        """Scores the baseline.

        Args:
            task: one of TASKS.
            dev: the dev examples, which have `labels`.
            metric: str. The dev score by which a run is judged.
            learning_rate: float. The peak learning rate.
            bias_correction: bool.
            warmup_steps: int.
        """
        self.baseline = scores(task, dev.labels, task.constant_answers(dev))
        self._task, self._metric = task, metric
        self._learning_rate, self._bias_correction, self._warmup = learning_rate, bias_correction, warmup_steps
        self.warnings = {}

    def failed(self, dev_scores):
        """Returns why a run with these dev scores has failed, None where it has not.

        One whose outputs rank the texts well has not, whatever its answers: it may need another threshold.
        """
        score = dev_scores.get(self._metric)
        baseline = self.baseline.get(self._metric, 0.0)  # a constant correlates with nothing
        if self._task.is_better(self._metric, score, baseline) or self._task.has_learned(dev_scores, self.baseline):
            return None
        shown = "undefined" if score is None else f"{score:.4f}"
        return f"{self._metric} on dev is {shown}, no better than {baseline:.4f}, the score of a constant answer"

    def look(self, step, norms, best=None, outputs=None, dev_scores=None):
        """Checks a run; returns new warnings, each kind only once.

        Args:
            step: int.
            norms: dict of float. The gradient norm of each part of the model, from the bottom up. They are ignored for
                a run that is better than guessing, as gradients also vanish once everything is learnt.
            best: dict. The best dev scores so far, if there was an evaluation.
            outputs: np.float32 [N, outputs]. The model's outputs on dev, if it was just evaluated.
            dev_scores: dict. The scores of these outputs.

        Returns:
            list of str.
        """
        found = {}
        weak = vanished(norms)
        if weak and (not best or self.failed(best)):
            found["vanished gradients"] = (
                f"Step {step}: the gradients of {weak[0]}{' to ' + weak[-1] if weak[1:] else ''} have vanished: they "
                f"are below {VANISHED:g} of the head's. Likely cause: {self._cause()}."
            )
        if outputs is not None and majority_share(self._task, outputs) >= ONE_CLASS and self.failed(dev_scores):
            found["one class"] = f"Step {step}: every dev text gets the same answer. Likely cause: {self._cause()}."
        new = {kind: text for kind, text in found.items() if kind not in self.warnings}
        self.warnings |= new
        return list(new.values())

    def hopeless(self, best, share):
        """Returns whether a run has failed: no better than guessing, and half done or with vanished gradients.

        Args:
            best: dict. The best dev scores so far.
            share: float. Fraction of the run that is done.
        """
        return bool(self.failed(best)) and (share >= 0.5 or "vanished gradients" in self.warnings)

    def _cause(self):
        causes = []
        if not self._bias_correction:
            causes.append("no bias correction (--bias_correction)")
        if self._learning_rate >= HIGH_RATE:
            causes.append(f"a learning rate of {self._learning_rate:g}, which is high (2e-5 to 5e-5 is usual)")
        if not self._warmup:
            causes.append("no warm-up (--warmup_steps)")
        return " and ".join(causes) or "an unlucky seed, or too few steps (--num_train_epochs)"


def part_norms(norms, encoder):
    """Returns the gradient norm of each part of the model from those of its variables: part -> float.

    Args:
        norms: dict of path -> float, as `AdamWeightDecay.gradient_norms` returns it.
        encoder: BertEncoder.
    """
    parts = parts_of(list(norms), encoder)
    return {part: float(np.sqrt(sum(norms[path] ** 2 for path in paths))) for part, paths in parts.items()}


def vanished(norms):
    """Returns the parts whose gradient is negligible compared with the head's: list of str.

    A gradient of exactly 0 belongs to a part that is not trained yet (gradual unfreezing).
    """
    head = norms.get("head", 0.0)
    return [part for part, norm in norms.items() if 0 < norm < VANISHED * head]


def majority_share(task, outputs):
    """Returns the fraction of the most frequent answer among a task's predictions: float, 0 for regression.

    Args:
        task: one of TASKS.
        outputs: np.float32 [N, outputs].
    """
    answers = task.answered(outputs)
    if answers is None:
        return 0.0
    return np.unique(answers, axis=0, return_counts=True)[1].max() / len(answers)
