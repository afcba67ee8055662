"""DistilBERT (Sanh et al. 2019, 1910.01108): BERT with half the layers, without segments and pooler."""

import keras

from tfbert.models.families.family import Family, Parts, blocks_of


class DistilBert(Family):
    """Token and position embeddings alone.

    transformers' DistilBertForSequenceClassification has a dense layer and ReLU over [CLS], `pre_classifier`, where
    BERT has its pooler: it is this family's pooler, new where a checkpoint has none.
    """

    model_type, architecture = "distilbert", "DistilBert"
    dimensions = {
        "vocabulary_size": "vocab_size",
        "hidden_dim": "dim",
        "num_layers": "n_layers",
        "num_heads": "n_heads",
        "intermediate_dim": "hidden_dim",
        "max_sequence_length": "max_position_embeddings",
    }
    activation_name, epsilon_name = "activation", None
    dropout_names = ("dropout", "attention_dropout", "seq_classif_dropout")
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
    def backbone(cls, config, dtype):
        import keras_hub

        sizes = {ours: config[theirs] for ours, theirs in cls.dimensions.items()}
        return keras_hub.models.DistilBertBackbone(**sizes, dtype=dtype)

    @classmethod
    def parts(cls, backbone):
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
