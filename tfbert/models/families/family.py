"""What an encoder is made of, and what a kind of encoders decides."""

import dataclasses
import re

import keras


@dataclasses.dataclass(frozen=True)
class Block:
    """The layers of one transformer layer: six dense ones, each with `kernel` and `bias`, and two LayerNorms.

    Attributes:
        layer: keras.layers.Layer. The whole.
        query, key, value: dense, hidden -> heads side by side.
        output: dense, what follows the attention.
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
        segments: the same; None where the encoder has no segments.
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
    """What differs between kinds of encoders; one class a kind, which is never instantiated.

    Attributes:
        model_type: str. Hugging Face's name of it.
        architecture: str. What the names of transformers' classes begin with: "Bert" in "BertForMaskedLM".
        dimensions: dict. A backbone's argument -> its name in Hugging Face's configuration.
        activation_name: str. The name of the activation there.
        epsilon_name: str. That of LayerNorm's epsilon; None: it is always 1e-12.
        dropout_names: tuple of str. Those of the rates of dropout, of which an encoder has one.
        pooler_activation: str. What follows the pooler, a key of `keras.activations`.
        renamed: sequence of (regex, replacement). From BERT's names of tensors to this family's, in order.
    """

    model_type: str
    architecture: str
    dimensions: dict
    activation_name = "hidden_act"
    epsilon_name = "layer_norm_eps"
    dropout_names = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    pooler_activation = "tanh"
    renamed = ()

    @classmethod
    def backbone(cls, config, dtype):
        """Returns a keras-hub backbone of new weights: dict, as Hugging Face's config.json has it, and dtype."""
        raise NotImplementedError

    @classmethod
    def parts(cls, backbone):
        """Returns the layers of a backbone: Parts."""
        raise NotImplementedError

    @classmethod
    def config(cls, encoder):
        """Returns what Hugging Face's config.json says of an encoder: dict."""
        config = {theirs: getattr(encoder.backbone, ours) for ours, theirs in cls.dimensions.items()}
        config |= {cls.activation_name: encoder.activation}
        if cls.epsilon_name:
            config |= {cls.epsilon_name: encoder.layer_norm_epsilon}
        return config | dict.fromkeys(cls.dropout_names, encoder.dropout_rate)

    @classmethod
    def options(cls, config):
        """Returns the arguments of an encoder that a configuration decides, beside its backbone: dict."""
        return {
            "activation": config.get(cls.activation_name, "gelu"),
            "layer_norm_epsilon": config.get(cls.epsilon_name, 1e-12) if cls.epsilon_name else 1e-12,
            "dropout_rate": config.get(cls.dropout_names[0], 0.1),
        }

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


def blocks_of(backbone):
    """Returns the Blocks of a backbone that is made of keras-hub's TransformerEncoder layers: tuple."""
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
