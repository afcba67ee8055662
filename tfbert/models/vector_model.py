"""Encoder, pooling and merge of windows as one Keras model: one vector per text."""

from __future__ import annotations

import dataclasses
import functools

import keras

from tfbert.core.errors import InputError
from tfbert.data.windows import LongText
from tfbert.models.encoder import BertEncoder
from tfbert.models.freezing import freeze_layers
from tfbert.models.keras_model import BatchModel
from tfbert.models.memory import in_chunks
from tfbert.models.pooling import Pooling, WindowMerge
from tfbert.models.text_outputs import outputs_of_texts
from tfbert.models.tokenizers.wordpiece import BertTokenizer


@keras.saving.register_keras_serializable("tfbert")
class VectorModel(BatchModel):
    """Computes one vector per text of a batch: features -> float [M, width].

    Attributes:
        encoder: BertEncoder.
        tokenizer: BertTokenizer.
        pool: Pooling.
        merge: WindowMerge; None if a text has one window.
        max_seq_length: int. The longest sequence the model was made for.
        long_text: LongText. How longer texts are handled.
        text_columns: tuple of str. The text columns of its training data.
        windows_per_step: int or None. Windows encoded at a time, to save memory; None: all of a batch.
    """

    def __init__(
        self,
        encoder,
        tokenizer,
        pooling,
        merge,
        max_seq_length,
        long_text,
        text_columns=("text",),
        windows_per_step=None,
        **kwargs,
    ):
        super().__init__(dtype="float32", **kwargs)  # regardless of Keras' global policy, as its parts have their own
        self.encoder, self.tokenizer = encoder, tokenizer
        self.pool, self.merge = pooling, merge
        self.max_seq_length, self.long_text, self.text_columns = max_seq_length, long_text, tuple(text_columns)
        self.windows_per_step = windows_per_step
        self.built = True

    def get_config(self):
        """Returns everything that `from_config` needs, including the vocabulary: dict, JSON-serialisable."""
        return self.shared_config() | {
            "pooling": self.pooling,
            "long_text": dataclasses.asdict(self.long_text),
            "windows_per_step": self.windows_per_step,
        }

    @classmethod
    def from_config(cls, config):
        """Returns a model from what `get_config` returned, with new weights."""
        config = dict(config)
        encoder, long_text = BertEncoder.from_config(config.pop("encoder")), LongText(**config.pop("long_text"))
        tokenizer, frozen = config.pop("tokenizer"), config.pop("frozen")
        pooling, merge = new_vectors(encoder, config.pop("pooling"), long_text)
        model = cls(
            encoder=encoder,
            tokenizer=BertTokenizer.from_config(tokenizer) if tokenizer else encoder.tokenizer,
            pooling=pooling,
            merge=merge,
            long_text=long_text,
            **cls._parts_above(encoder, pooling.width, config),
        )
        freeze_layers(model, frozen)
        return model

    @classmethod
    def _parts_above(cls, encoder, width, config):
        """Returns the other arguments of the constructor: dict."""
        return config

    @property
    def pooling(self):
        """The pooling's name, str."""
        return self.pool.pooling

    @property
    def width(self):
        """The size of the model's output per text, int."""
        return self.pool.width

    def call(self, features, training=False, seed=None):
        """Computes the vectors; `seed` (int32 [2]) determines dropout; None: the encoder's own generator."""
        seed = self.encoder.dropout_seed(training, seed)
        if self.windows_per_step is None:
            vectors = self.pool(features, encoder=self.encoder, training=training, seed=seed)
        else:
            compute = functools.partial(self.pool, encoder=self.encoder, training=training)
            width, dtype = self.pool.width, self.encoder.compute_dtype
            vectors = in_chunks(compute, features, seed, self.windows_per_step, width, dtype)
        return self.merge(vectors, features) if self.merge else vectors

    def outputs_of(self, rows, batch_size):
        """Returns the outputs for rows in memory, calibrated: list of dict, int -> np.float32 [rows, width]."""
        return outputs_of_texts(self, rows, batch_size)

    def calibrated(self, outputs):
        """Returns the outputs, unchanged for vectors: np.float32 [N, width]."""
        return outputs

    def notes(self):
        """Returns sentences on the weights of a trained model: list of str."""
        shares = self.pool.shares()
        if shares is None:
            return []
        return [f"Weights of the layers in the scalar mix, from the bottom: {' '.join(f'{x:.3f}' for x in shares)}"]

    def vector_model(self, pooling=None, max_seq_length=128, long_text=LongText(), windows_per_step=None):
        """Returns a VectorModel that computes vectors as this model does, with its own lengths.

        Args:
            pooling: str or None. Another pooling; None: its own.
            max_seq_length, long_text: not used; `encoder_vectors` takes them.
            windows_per_step: int or None. Windows encoded at a time; None: as in this model.

        Raises:
            InputError: another pooling has learned weights, or the merge of windows has.
        """
        same = pooling in (None, self.pooling)
        pool = self.pool if same else _new_pooling(pooling, self.encoder)
        if not same and self.merge and self.merge.weights:
            raise InputError(
                f"--pooling={pooling} cannot be merged by this model's attention over windows, which was trained on "
                f"--pooling={self.pooling}; leave --pooling out."
            )
        own = (self.max_seq_length, self.long_text, self.text_columns)
        together = windows_per_step or self.windows_per_step
        return VectorModel(self.encoder, self.tokenizer, pool, self.merge, *own, windows_per_step=together)


def encoder_vectors(encoder, pooling=None, max_seq_length=128, long_text=LongText(), windows_per_step=None):
    """Returns a VectorModel of a pre-trained encoder.

    Args:
        encoder: BertEncoder.
        pooling: str, as `Pooling` takes it; None: the mean.
        max_seq_length: int.
        long_text: LongText.
        windows_per_step: int or None. Windows encoded at a time; None: all of a batch.

    Raises:
        InputError: the pooling or the merge of windows has learned weights.
    """
    if long_text.strategy == "attention":
        raise InputError("--long_text=attention is learned in training; with a pre-trained BERT use mean or max.")
    encoder.check_length(max_seq_length)
    pool = _new_pooling(pooling or "mean", encoder)
    merge = WindowMerge(long_text.strategy, pool.width) if long_text.windows > 1 else None
    about = max_seq_length, long_text
    return VectorModel(encoder, encoder.tokenizer, pool, merge, *about, windows_per_step=windows_per_step)


def _new_pooling(pooling, encoder):
    if pooling == "scalar_mix":
        raise InputError("--pooling=scalar_mix is learned in training; this model was not trained with it.")
    return Pooling(pooling, encoder, dtype=encoder.dtype_policy)


def new_vectors(encoder, pooling, long_text, init_seed=0):
    """Returns the parts that compute one vector per text: (Pooling, WindowMerge, or None for one window)."""
    policy = encoder.dtype_policy
    pooling = Pooling(pooling, encoder, name="pooling", dtype=policy)
    if long_text.windows == 1:
        return pooling, None
    return pooling, WindowMerge(long_text.strategy, pooling.width, init_seed, name="window_merge", dtype=policy)
