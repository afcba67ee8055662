"""The pre-training head of BERT: masked words and next sentence."""

import keras
import numpy as np
from keras import ops

from tfbert.core.errors import InputError
from tfbert.models.activations import ACTIVATIONS
from tfbert.models.checkpoint_tensors import load_variables
from tfbert.models.initialization import new_kernel


class PretrainingHead(keras.layers.Layer):
    """Dense, activation, LayerNorm and a decoder tied to the word embeddings; and the next-sentence classifier.

    Call it with float [K, hidden], the last layer at the masked positions, and the encoder; it returns float32
    [K, vocabulary].

    Source: Devlin et al. 2018 (1810.04805), section 3.1; google-research/bert `run_pretraining.py`,
    `get_masked_lm_output` and `get_next_sentence_output`.

    Attributes:
        next_sentence: bool. Whether it has the next-sentence classifier.
    """

    def __init__(self, encoder, next_sentence=True, init_seed=0, **kwargs):
        """Initialises new weights.

        Args:
            encoder: BertEncoder.
            next_sentence: bool.
            init_seed: int.
        """
        super().__init__(**kwargs)
        self.next_sentence = next_sentence
        hidden, vocabulary = encoder.hidden_dim, encoder.parts.tokens.input_dim

        def drawn(name, shape, seed):
            return self.add_weight(name=name, shape=shape, initializer=new_kernel(seed), autocast=False)

        def constant(name, units, value):
            return self.add_weight(name=name, shape=(units,), initializer=value, autocast=False)

        self.kernel = drawn("transform_kernel", (hidden, hidden), init_seed)
        self.transform_bias = constant("transform_bias", hidden, "zeros")
        self.gamma, self.beta = constant("gamma", hidden, "ones"), constant("beta", hidden, "zeros")
        self.bias = constant("bias", vocabulary, "zeros")
        if next_sentence:
            self.next_kernel = drawn("next_kernel", (2, hidden), init_seed + 1)
            self.next_bias = constant("next_bias", 2, "zeros")
        self.built = True

    def call(self, vectors, encoder):
        dtype = vectors.dtype
        x = ops.matmul(vectors, ops.cast(self.kernel, dtype)) + ops.cast(self.transform_bias, dtype)
        x = encoder.norm(ACTIVATIONS[encoder.activation](x), self)
        table = ops.cast(encoder.parts.tokens.embeddings, dtype)
        return ops.cast(ops.matmul(x, ops.transpose(table)), "float32") + ops.cast(self.bias, "float32")

    def next_sentence_logits(self, pooled):
        """Returns logits of "is next" and "is random": float [M, hidden] -> float32 [M, 2]."""
        kernel = ops.cast(ops.transpose(self.next_kernel), pooled.dtype)
        return ops.cast(ops.matmul(pooled, kernel), "float32") + ops.cast(self.next_bias, "float32")

    def named_variables(self):
        """Returns the variables by their names in Google's checkpoints: dict."""
        transform = "cls/predictions/transform"
        named = {
            f"{transform}/dense/kernel": self.kernel,
            f"{transform}/dense/bias": self.transform_bias,
            f"{transform}/LayerNorm/gamma": self.gamma,
            f"{transform}/LayerNorm/beta": self.beta,
            "cls/predictions/output_bias": self.bias,
        }
        if self.next_sentence:
            named |= {
                "cls/seq_relationship/output_weights": self.next_kernel,
                "cls/seq_relationship/output_bias": self.next_bias,
            }
        return named

    def load(self, reader, folder):
        """Loads the weights of a checkpoint; reports those that it lacks, which stay newly initialised.

        Args:
            reader: what reads tensors by name (`tfbert.models.checkpoint_tensors`).
            folder: str. For messages.

        Raises:
            InputError: its decoder is not tied to the word embeddings (`tie_word_embeddings: false`).
        """
        decoder, table = (reader.get(name) for name in ("cls/predictions/decoder/kernel", "embeddings/word_embeddings"))
        if decoder is not None and not np.array_equal(decoder, table):
            raise InputError(
                f"{folder} has a masked-word head with an untied decoder (tie_word_embeddings=false); in BERT, and in "
                "tfbert, the decoder is tied to the word embeddings."
            )
        parts = {"cls/predictions/": "masked-word head", "cls/seq_relationship/": "next-sentence classifier"}
        load_variables(self.named_variables(), reader, folder, parts)
