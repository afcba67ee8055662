"""BERT (Devlin et al. 2018, 1810.04805), and models like it: RoBERTa-wwm and MacBERT for Chinese, MiniLM."""

from tfbert.models.families.family import Family, Parts, blocks_of


class Bert(Family):
    """Token, position and segment embeddings, and a pooler: tanh of a dense layer over [CLS]."""

    model_type, architecture = "bert", "Bert"

    @classmethod
    def backbone_class(cls):
        """Returns keras_hub.models.BertBackbone."""
        import keras_hub

        return keras_hub.models.BertBackbone

    @classmethod
    def parts(cls, backbone):
        """Returns the layers of a backbone: Parts."""
        return Parts(
            backbone.token_embedding,
            backbone.position_embedding,
            backbone.segment_embedding,
            backbone.embeddings_layer_norm,
            blocks_of(backbone),
            backbone.pooled_dense,
        )
