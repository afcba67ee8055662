"""DistilBERT (Sanh et al. 2019, 1910.01108): BERT with half the layers, without segments and pooler."""

import keras

from tfbert.models.families.family import Family, Parts, blocks_of


class DistilBert(Family):
    """Only token and position embeddings.

    transformers' DistilBertForSequenceClassification has a dense layer and ReLU over [CLS], `pre_classifier`, where
    BERT has its pooler; it is this family's pooler, newly initialised if a checkpoint has none.
    """

    model_type, architecture = "distilbert", "DistilBert"
    settings = {
        "hidden_size": "dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "hidden_dim",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "attention_dropout",
    }
    fixed = {"type_vocab_size": 1, "layer_norm_eps": 1e-12}
    beside = ("cls.", "pre_classifier.", "vocab_")
    pooler_activation = "relu"
    renamed = (
        (r"^encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)", r"transformer.layer.\1.attention.\2_lin"),
        (r"attention\.(query|key|value)_lin", lambda match: f"attention.{match[1][0]}_lin"),
        (r"^encoder\.layer\.(\d+)\.attention\.output\.dense", r"transformer.layer.\1.attention.out_lin"),
        (r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm", r"transformer.layer.\1.sa_layer_norm"),
        (r"^encoder\.layer\.(\d+)\.intermediate\.dense", r"transformer.layer.\1.ffn.lin1"),
        (r"^encoder\.layer\.(\d+)\.output\.dense", r"transformer.layer.\1.ffn.lin2"),
        (r"^encoder\.layer\.(\d+)\.output\.LayerNorm", r"transformer.layer.\1.output_layer_norm"),
        (r"^pooler\.dense", "pre_classifier"),
        (r"^cls\.predictions\.transform\.dense", "vocab_transform"),
        (r"^cls\.predictions\.transform\.LayerNorm", "vocab_layer_norm"),
        (r"^cls\.predictions\.bias", "vocab_projector.bias"),
    )

    @classmethod
    def backbone_class(cls):
        """Returns keras_hub.models.DistilBertBackbone."""
        import keras_hub

        return keras_hub.models.DistilBertBackbone

    @classmethod
    def backbone(cls, sizes, dtype):
        """Returns a backbone, which has no segments; arguments as for `Family.backbone`."""
        return super().backbone({name: size for name, size in sizes.items() if name != "num_segments"}, dtype)

    @classmethod
    def own_config(cls, config):
        """Returns a configuration with DistilBERT's names from BERT's, including the head's dropout: dict -> dict."""
        own = super().own_config(config)
        return own | {"seq_classif_dropout": own["dropout"]}

    @classmethod
    def parts(cls, backbone):
        """Returns the layers of a backbone, and a new pooler: Parts."""
        hidden = backbone.hidden_dim
        pooler = keras.layers.Dense(hidden, name="pre_classifier", dtype=backbone.dtype_policy)
        pooler.build((None, hidden))
        return Parts(
            backbone.embeddings.token_embedding,
            backbone.embeddings.position_embedding,
            None,
            backbone.embeddings_layer_norm,
            blocks_of(backbone),
            pooler,
        )
