"""BERT (Devlin et al. 2018, 1810.04805), and what is built like it: RoBERTa-wwm and MacBERT for Chinese, MiniLM."""

from tfbert.models.families.family import Family, Parts, blocks_of


class Bert(Family):
    """Token, position and segment embeddings, and a pooler: tanh of a dense layer over [CLS]."""

    model_type, architecture = "bert", "Bert"
    dimensions = {
        "vocabulary_size": "vocab_size",
        "hidden_dim": "hidden_size",
        "num_layers": "num_hidden_layers",
        "num_heads": "num_attention_heads",
        "intermediate_dim": "intermediate_size",
        "max_sequence_length": "max_position_embeddings",
        "num_segments": "type_vocab_size",
    }

    @classmethod
    def backbone(cls, config, dtype):
        import keras_hub

        sizes = {ours: config[theirs] for ours, theirs in cls.dimensions.items()}
        return keras_hub.models.BertBackbone(**sizes, dtype=dtype)

    @classmethod
    def parts(cls, backbone):
        return Parts(
            backbone.token_embedding,
            backbone.position_embedding,
            backbone.segment_embedding,
            backbone.embeddings_layer_norm,
            blocks_of(backbone),
            backbone.pooled_dense,
        )
