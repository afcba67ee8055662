"""The parts of an encoder, and the interface of a family of encoders."""

import contextlib
import dataclasses
import re

import keras
from keras import ops

# keras-hub's names of the sizes -> those in a configuration.
DIMENSIONS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
}


@dataclasses.dataclass(frozen=True)
class Block:
    """The parts of one transformer layer: six dense layers with `kernel` and `bias`, and two LayerNorms.

    Attributes:
        layer: keras.layers.Layer. The whole layer.
        query, key, value: dense, hidden -> concatenated heads.
        output: dense, the output projection of attention.
        intermediate, ffn_output: dense, the feed-forward.
        attention_norm, ffn_norm: LayerNormalization, after each half.
    """

    layer: keras.layers.Layer
    query: keras.layers.Layer
    key: keras.layers.Layer
    value: keras.layers.Layer
    output: keras.layers.Layer
    intermediate: keras.layers.Layer
    ffn_output: keras.layers.Layer
    attention_norm: keras.layers.Layer
    ffn_norm: keras.layers.Layer

    @property
    def dense(self):
        """The dense layers, a tuple."""
        return self.query, self.key, self.value, self.output, self.intermediate, self.ffn_output


@dataclasses.dataclass(frozen=True)
class Parts:
    """The layers of an encoder.

    Attributes:
        tokens, positions: layers with one table each.
        segments: the same; None if the encoder has no segments.
        embeddings_norm: LayerNormalization of the sum.
        blocks: tuple of Block, from the bottom.
        pooler: dense layer, hidden -> hidden, for the vector of the first token.
    """

    tokens: keras.layers.Layer
    positions: keras.layers.Layer
    segments: keras.layers.Layer | None
    embeddings_norm: keras.layers.Layer
    blocks: tuple
    pooler: keras.layers.Layer

    @property
    def embeddings(self):
        """The layers below the blocks, a tuple."""
        tables = (self.tokens, self.positions, self.segments)
        return (*(table for table in tables if table is not None), self.embeddings_norm)

    def groups(self):
        """Returns the layers from the bottom up: dict of "embeddings", "layer 0", …, "pooler" to a list of layers."""
        blocks = {f"layer {number}": [block.layer] for number, block in enumerate(self.blocks)}
        return {"embeddings": list(self.embeddings)} | blocks | {"pooler": [self.pooler]}


class Family:
    """The differences between families of encoders; one class each, which is never instantiated.

    Attributes:
        model_type: str. Hugging Face's name of it.
        architecture: str. The prefix of the class names in transformers: "Bert" in "BertForMaskedLM".
        settings: dict. BERT's name of a setting in config.json -> this family's, if it differs.
        fixed: dict. BERT's settings that this family does not have -> their implied values.
        pooler_activation: str. The activation of the pooler, a key of `keras.activations`.
        renamed: sequence of (regex, replacement). Applied in order, from BERT's tensor names to this family's.
        beside: tuple of str. Beginnings of names without a prefix in files, such as those of heads.
    """

    model_type: str
    architecture: str
    settings = {}
    fixed = {}
    pooler_activation = "tanh"
    renamed = ()
    beside = ("cls.",)

    @classmethod
    def backbone_class(cls):
        """Returns keras-hub's class, which takes seconds to import."""
        raise NotImplementedError

    @classmethod
    def backbone(cls, sizes, dtype):
        """Returns a backbone before its weights are loaded: zeros instead of random weights.

        Args:
            sizes: dict. The arguments of keras-hub's BertBackbone.
            dtype: str or keras.DTypePolicy.
        """
        with _zeros_for_random_weights():
            return cls.backbone_class()(**sizes, dtype=dtype)

    @classmethod
    def parts(cls, backbone):
        """Returns the layers of a backbone: Parts."""
        raise NotImplementedError

    @classmethod
    def sizes(cls, backbone):
        """Returns the sizes of a backbone by the names of BERT's configuration: dict."""
        return {theirs: getattr(backbone, ours, cls.fixed.get(theirs)) for ours, theirs in DIMENSIONS.items()}

    @classmethod
    def bert_config(cls, config):
        """Returns a configuration of this family by the names of BERT's: dict -> dict."""
        names = {own: of_bert for of_bert, own in cls.settings.items()}
        return {names.get(name, name): value for name, value in config.items()} | cls.fixed

    @classmethod
    def own_config(cls, config):
        """Returns a configuration with this family's names from BERT's, the inverse: dict -> dict."""
        return {cls.settings.get(name, name): value for name, value in config.items() if name not in cls.fixed}

    @classmethod
    def tensor_name(cls, name):
        """Returns the name of a tensor in this family's files in Hugging Face's layout, without its prefix.

        Args:
            name: str. The name in Google's checkpoints, without its `bert/`.
        """
        name = re.sub(r"layer_(\d+)", r"layer.\1", name).replace("/", ".")
        name = re.sub(r"(kernel|gamma)$", "weight", name)
        name = re.sub(r"beta$", "bias", name)
        name = re.sub(r"^(cls\.predictions|cls\.seq_relationship)\.output_", r"\1.", name)
        name = name.replace(".weights", ".weight")
        name = name + ".weight" if name.endswith("_embeddings") else name
        for pattern, replacement in cls.renamed:
            name = re.sub(pattern, replacement, name)
        return name

    @classmethod
    def stored_name(cls, name):
        """Returns what `tensor_name` returns, with the prefix that files have."""
        name = cls.tensor_name(name)
        return name if name.startswith(cls.beside) else f"{cls.model_type}.{name}"


def blocks_of(backbone):
    """Returns the Blocks of a backbone with keras-hub's TransformerEncoder layers: tuple."""
    return tuple(
        Block(
            layer,
            layer._self_attention_layer.query_dense,
            layer._self_attention_layer.key_dense,
            layer._self_attention_layer.value_dense,
            layer._self_attention_layer.output_dense,
            layer._feedforward_intermediate_dense,
            layer._feedforward_output_dense,
            layer._self_attention_layer_norm,
            layer._feedforward_layer_norm,
        )
        for layer in backbone.transformer_layers
    )


@contextlib.contextmanager
def _zeros_for_random_weights():
    """Makes Keras create zeros instead of random weights, which are later loaded or drawn from our own seed.

    keras-hub's backbones take no initializer. Random weights take most of the construction time: 3.9 s of processor
    time for BERT-base with it, 0.5 to 1.5 s without; 1.2 s and 0.2 to 0.5 s for minilm (AMD EPYC, 2 cores).
    """
    draw = keras.initializers.TruncatedNormal.__call__
    keras.initializers.TruncatedNormal.__call__ = lambda self, shape, dtype=None: ops.zeros(shape, dtype)
    try:
        yield
    finally:
        keras.initializers.TruncatedNormal.__call__ = draw
