"""The base class of token models whose head is one dense layer."""

from tfbert.models.checkpoint_tensors import head_tensors, load_head_tensors
from tfbert.models.token_model import TokenModel
from tfbert.training.evaluation import Evaluator


class DenseModel(TokenModel):
    """A token model with a Head, and answers for rows in memory.

    Attributes of the class:
        head_name: str. The head's name in a model folder, as transformers has it.
    """

    head_name = None

    def outputs_of(self, rows, batch_size):
        """Returns the outputs for rows in memory: list of dict, int -> object [rows], as `of_rows` makes them."""
        if not rows:
            return []
        evaluator = self.traced(("rows",), lambda: Evaluator(self))
        try:
            return evaluator.outputs(self.batches_of(rows, batch_size))
        finally:
            evaluator.forget_data()

    def head_tensors(self):
        """Returns the head's weights by their names in a model folder: dict of np.ndarray."""
        return head_tensors(self._head_variables())

    def load_head(self, reader, folder):
        """Loads the head's weights from a folder written by `save_model`: SafetensorsReader, its name for messages."""
        load_head_tensors(self._head_variables(), reader, folder)

    def _head_variables(self):
        return {f"{self.head_name}.weight": (self.head.kernel, True), f"{self.head_name}.bias": (self.head.bias, False)}
