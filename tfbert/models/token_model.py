"""Encoder and head as one Keras model for predictions at some tokens of a window."""

from tfbert.data.windows import LongText
from tfbert.models.encoder import BertEncoder
from tfbert.models.freezing import freeze_layers
from tfbert.models.keras_model import BatchModel, task_from_config
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.models.vector_model import encoder_vectors


class TokenModel(BatchModel):
    """The base class of token models: the last layer is computed only at the positions to predict.

    Features, besides those of the encoder: `target_at` int32, the flat indices (row * S + column) of the positions to
    predict, in a shape of the subclass. Each example has one window, so W is M.

    Attributes:
        encoder: BertEncoder.
        task: one of TASKS.
        tokenizer: BertTokenizer.
        head: keras.layers.Layer. Applied to the vectors at the positions to predict.
        max_seq_length: int. The longest sequence the model was made for.
        text_columns: tuple of str. The text columns of the training data.
        width: int. Number of outputs per example.
        long_text: LongText, of one window.
        windows_per_step: None: all windows at once.
    """

    long_text = LongText()
    windows_per_step = None

    def __init__(self, encoder, task, tokenizer, head, max_seq_length, text_columns, pooler=False, **kwargs):
        """Takes the parts of the model.

        Args:
            encoder, task, tokenizer, head, max_seq_length, text_columns: as in the attributes.
            pooler: bool. Whether the encoder's pooler is used.
        """
        super().__init__(dtype="float32", **kwargs)  # regardless of Keras' global policy, as its parts have their own
        self.encoder, self.task, self.tokenizer, self.head = encoder, task, tokenizer, head
        self.width = task.outputs
        self.max_seq_length, self.text_columns = max_seq_length, tuple(text_columns)
        encoder.train_only(encoder.num_layers, pooler=pooler)
        self.built = True

    def get_config(self):
        """Returns everything that `from_config` needs, including the vocabulary: dict, JSON-serialisable."""
        return self.shared_config() | {"task": self.task.get_config()}

    @classmethod
    def from_config(cls, config):
        """Returns a model from what `get_config` returned, with new weights."""
        config = dict(config)
        encoder, task = BertEncoder.from_config(config.pop("encoder")), task_from_config(config.pop("task"))
        tokenizer, frozen = config.pop("tokenizer"), config.pop("frozen")
        tokenizer = BertTokenizer.from_config(tokenizer) if tokenizer else encoder.tokenizer
        model = cls(encoder, task, tokenizer, cls.new_head(encoder, task), **config)
        freeze_layers(model, frozen)
        return model

    @staticmethod
    def new_head(encoder, task, init_seed=0):
        """Returns a head with new weights, for the constructor: BertEncoder, Task, int -> keras.layers.Layer."""
        raise NotImplementedError

    def last_layer(self, features, places, training=False, seed=None):
        """Returns the last layer at some positions.

        Args:
            features: dict, the batch's.
            places: int32 [K]. Flat indices.
            training: bool.
            seed: int32 [2] or None. Seed of dropout.

        Returns:
            float [K, hidden].
        """
        *_, last = self.encoder(features, training=training, seed=seed, last_layer_at=places)
        return last

    def calibrated(self, outputs):
        """Returns the outputs unchanged: np.float32 [N, width] -> the same."""
        return outputs

    def vector_model(self, pooling=None, max_seq_length=128, long_text=LongText(), windows_per_step=None):
        """Returns a VectorModel of the encoder alone."""
        return encoder_vectors(self.encoder, pooling, max_seq_length, long_text, windows_per_step)

    def notes(self):
        """Returns sentences on the weights of a trained model: an empty list."""
        return []

    def about(self):
        """Returns the part of its configuration that is not the task's: an empty dict."""
        return {}

    @property
    def hugging_face(self):
        """The suffix of the class name in transformers, str."""
        return self.task.hugging_face

    def beyond_transformers(self):
        """Returns sentences on how its predictions differ from those in transformers: an empty list."""
        return []
