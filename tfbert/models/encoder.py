"""BERT over rows of packed windows, returning every layer's output."""

import functools

import keras
from keras import ops

from tfbert.core.errors import InputError
from tfbert.core.keras_setup import check_keras
from tfbert.core.xla import can_compile_parts
from tfbert.models.activations import ACTIVATIONS
from tfbert.models.dropout import dropout, first_seed, site_seed
from tfbert.models.families import FAMILIES
from tfbert.models.freezing import freeze_layers, frozen_layers
from tfbert.models.fused import attention, biased_activation, norm, residual_norm
from tfbert.models.mixout import Mixout
from tfbert.models.remat import recomputed
from tfbert.models.tokenizers.wordpiece import BertTokenizer
from tfbert.models.traces import KeepsTraces

_DTYPES = ("float32", "mixed_bfloat16")
# Below this width, compiling takes longer than hundreds of steps save; at 384, 150 steps of SST-2 suffice.
_COMPILED_WIDTH = 256


@keras.saving.register_keras_serializable("tfbert")
class BertEncoder(KeepsTraces, keras.Model):
    """An encoder: a keras-hub backbone of one of FAMILIES, run over the rows of a batch (`tfbert.data.rows`).

    The backbone owns the weights; the computation is implemented here, because rows hold several windows: positions
    restart in each window, attention stays within it, and every layer's output is returned.

    Call it with the batch's features (a dict; `token_ids`, `segment_ids`, `positions`, `window_ids`, int32 [R, S]).
    Returns a list of num_layers + 1 float tensors [R, S, hidden]: the embeddings' output, then each layer's.

    Attributes:
        backbone: keras_hub Backbone.
        family: Family. The kind of encoder.
        parts: Parts. The backbone's layers.
        activation: str, a key of ACTIVATIONS. "gelu" is the exact one (erf), as Hugging Face names it; "gelu_new" the
            tanh approximation of google-research/bert and keras-hub.
        layer_norm_epsilon: float.
        dropout_rate: float. For the embeddings and both outputs of a layer.
        attention_dropout_rate: float. For the attention probabilities.
        remat: bool. Whether training keeps only the input of each layer and recomputes the rest.
        mixout: Mixout or None. Replaces dropout (`adapt`).
        tokenizer: BertTokenizer or None. The tokenizer that belongs to the weights.

    Source: Devlin et al. 2018 (1810.04805), google-research/bert `modeling.py`.
    """

    def __init__(
        self,
        backbone,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        dropout_rate=None,
        attention_dropout_rate=None,
        family="bert",
        remat=False,
        **kwargs,
    ):
        check_keras()
        # Keras would cast the whole embedding table, half of a small BERT, for the few tokens of a batch.
        super().__init__(autocast=False, **kwargs)
        _check_dtype(self.dtype_policy)
        self.backbone, self.family = backbone, FAMILIES[family]
        self.parts = self.family.parts(backbone)
        self.pooler, self._set_aside = self.parts.pooler, ()
        for variable in backbone.variables:
            # Nor in the layers that call this one: mixout needs a small difference before it is cast here.
            variable._autocast = False
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout_rate = backbone.dropout if dropout_rate is None else dropout_rate
        if not 0 <= self.dropout_rate < 1:
            raise InputError(f"dropout must be at least 0 and below 1. Received: {self.dropout_rate}.")
        same = attention_dropout_rate is None
        self.attention_dropout_rate = self.dropout_rate if same else attention_dropout_rate
        self.num_layers, self.num_heads = backbone.num_layers, backbone.num_heads
        self.hidden_dim = backbone.hidden_dim
        self.mixout, self.remat, self.tokenizer = None, remat, None
        self._seeds = keras.random.SeedGenerator(first_seed())
        self.built = True

    def get_config(self):
        """Returns everything that `from_config` needs, including the vocabulary: dict, JSON-serialisable."""
        return {
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "family": self.family.model_type,
            "backbone": self.backbone.get_config(),
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
            "remat": self.remat,
            "mixout": self.mixout and self.mixout.arguments(),
            "tokenizer": self.tokenizer and self.tokenizer.get_config(),
            "frozen": frozen_layers(self),
        }

    @classmethod
    def from_config(cls, config):
        """Returns an encoder from what `get_config` returned, with new weights."""
        config = dict(config)
        mixout, tokenizer, frozen = (config.pop(key) for key in ("mixout", "tokenizer", "frozen"))
        encoder = cls(FAMILIES[config["family"]].backbone_class().from_config(config.pop("backbone")), **config)
        encoder.tokenizer = tokenizer and BertTokenizer.from_config(tokenizer)
        if mixout:
            encoder.adapt(Mixout(encoder, **mixout))
        freeze_layers(encoder, frozen)
        return encoder

    def adapt(self, mixout):
        """Computes with the kernels that a Mixout makes of the encoder's own, without dropout in its layers."""
        self.mixout = mixout

    def call(self, features, training=False, seed=None, last_layer_at=None, depth=None):
        """Computes every layer's output.

        Args:
            features: dict of int32 [R, S] tensors.
            training: bool. Whether to apply dropout, or mixout.
            seed: int32 [2]. Seed of the dropout and mixout masks; None: the next of the encoder's own generator.
            last_layer_at: int32 [W], flat indices of tokens (row * S + column). The last layer's output is computed
                only for these, [W, hidden], which saves the feed-forward of all others; None: for every token.
            depth: int. Number of layers, from the bottom; None: all.
        """
        seed = self.dropout_seed(training, seed)
        rows, length = ops.shape(features["token_ids"])
        x = self._embed(features, seed)
        outputs = [x]
        depth = self.num_layers if depth is None else depth
        for layer in range(depth):
            at = last_layer_at if layer == depth - 1 else None
            compute = functools.partial(self._layer, layer, window_ids=features["window_ids"], at=at)
            x = recomputed(compute, x, seed) if self.remat and training else compute(x, seed)
            outputs.append(x)
        last = len(outputs) if last_layer_at is None else -1
        return [ops.reshape(x, (rows, length, self.hidden_dim)) for x in outputs[:last]] + outputs[last:]

    def dropout_seed(self, training, seed=None):
        """Returns the seed for a call: None outside training, else the one given, else a new one."""
        if not training:
            return None
        return ops.cast(self._seeds.next(), "int32") if seed is None else seed

    def begin_masks(self, seed):
        """Starts a new stream of mask seeds: int."""
        self._seeds.state.assign([seed, 0])

    def check_length(self, max_seq_length):
        """Raises InputError for sequences that are longer than the encoder has positions."""
        positions = self.backbone.max_sequence_length
        if max_seq_length > positions:
            raise InputError(
                f"max_seq_length must be at most {positions}, the number of positions of this encoder. Received: "
                f"{max_seq_length}."
            )

    def check_segments(self, texts):
        """Raises InputError for examples with more texts (int) than the encoder has segments."""
        segments = self.backbone.num_segments if self.parts.segments else texts  # a family without segments takes any
        if texts > segments:
            raise InputError(
                f"This encoder was pre-trained on single texts (type_vocab_size {segments}), but the examples have "
                f"{texts}; leave out the second text, or join both in one column."
            )

    def pool(self, vectors, training=False, seed=None):
        """Applies BERT's pooler, dense + tanh, to [CLS] vectors: float [W, hidden] -> float [W, hidden]."""
        activation = keras.activations.get(self.family.pooler_activation)
        return activation(self._dense(vectors, self.pooler, self.dropout_seed(training, seed)))

    def train_only(self, depth, pooler):
        """Makes only the lowest layers, and optionally the pooler, trainable, as unused parts have no gradient.

        Parts excluded by an earlier call, for another model, become trainable again.

        Args:
            depth: int. Number of layers, from the bottom.
            pooler: bool.
        """
        layers = [block.layer for block in self.parts.blocks] + [self.pooler]
        for layer in layers:
            layer.trainable |= layer.path in self._set_aside
        unused = layers[depth:-1] + ([] if pooler else [self.pooler])
        self._set_aside = tuple(layer.path for layer in unused if layer.trainable)
        for layer in unused:
            layer.trainable = False

    def _embed(self, features, seed):
        """Sums word, position and segment embeddings, normalised: -> float [R * S, hidden]."""
        parts = self.parts
        x = self._lookup(parts.tokens.embeddings, features["token_ids"])
        x += self._lookup(parts.positions.position_embeddings, features["positions"])
        if parts.segments:
            x += self._lookup(parts.segments.embeddings, features["segment_ids"])
        rate = 0.0 if self.mixout else self.dropout_rate
        return dropout(self.norm(x, parts.embeddings_norm), rate, site_seed(seed, 0))

    def _layer(self, layer, x, seed, window_ids, at):
        """One transformer layer with post-normalisation: float [R * S, hidden] -> the same, or its rows `at`."""
        block = self.parts.blocks[layer]
        # Batches of static shapes are for steps that are compiled as a whole, or run eagerly.
        compiled = None in window_ids.shape and self.hidden_dim >= _COMPILED_WIDTH and can_compile_parts()
        mixed = self.mixout and layer in self.mixout.layers
        rate, attention_rate = (0.0, 0.0) if mixed else (self.dropout_rate, self.attention_dropout_rate)
        seeds = [site_seed(seed, 1 + 3 * layer + place) for place in range(3)]

        def add_and_norm(x, y, dense, layer_norm, mask_seed):
            y = ops.matmul(y, self._kernel(dense, seed))
            vectors = [self._cast(vector) for vector in (dense.bias, layer_norm.gamma, layer_norm.beta)]
            return residual_norm(x, y, *vectors, rate, mask_seed, self.layer_norm_epsilon, compiled)

        y = self._attention(block, x, window_ids, seed, attention_rate, seeds[0], compiled)
        if at is not None:
            x, y, compiled = ops.take(x, at, axis=0), ops.take(y, at, axis=0), False
        x = add_and_norm(x, y, block.output, block.attention_norm, seeds[1])
        y = ops.matmul(x, self._kernel(block.intermediate, seed))
        y = biased_activation(y, self._cast(block.intermediate.bias), ACTIVATIONS[self.activation], compiled)
        return add_and_norm(x, y, block.ffn_output, block.ffn_norm, seeds[2])

    def _attention(self, block, x, window_ids, seed, rate, mask_seed, compiled):
        """The concatenated attention heads, before the output projection: float [R * S, hidden] -> the same."""
        rows, length = ops.shape(window_ids)
        heads, hidden = self.num_heads, self.hidden_dim
        parts = [block.query, block.key, block.value]
        # One product for all three; the gradient of unstack is a concatenation, that of indexing three padded copies.
        kernel = ops.concatenate([self._kernel(part, seed) for part in parts], axis=1)
        offset = ops.concatenate([self._cast(part.bias, (hidden,)) for part in parts], axis=0)
        qkv = ops.reshape(ops.matmul(x, kernel) + offset, (rows, length, 3, heads, hidden // heads))
        q, k, v = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3, axis=0)
        y = attention(q, k, v, window_ids, rate, mask_seed, compiled)
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, hidden))

    def norm(self, x, layer):
        """Normalises the rows of x with a layer's gamma and beta: float [..., hidden] -> float of the compute dtype."""
        return self._cast(norm(x, layer.gamma, layer.beta, self.layer_norm_epsilon))

    def _dense(self, x, layer, seed):
        return ops.matmul(x, self._kernel(layer, seed)) + self._cast(layer.bias)

    def _kernel(self, layer, seed):
        """Returns a dense layer's kernel, mixed where mixout covers it: float [inputs, outputs]."""
        shape = layer.kernel.shape
        # Attention kernels are split by head: query, key and value [hidden, heads, d], output [heads, d, hidden].
        flat = shape if len(shape) == 2 else (self.hidden_dim, self.hidden_dim)
        kernel = ops.reshape(layer.kernel, flat)
        return self._cast(self.mixout.mix(layer, kernel, seed) if self.mixout else kernel)

    def _lookup(self, table, ids):
        return self._cast(ops.take(table, ops.reshape(ids, (-1,)), axis=0))

    def _cast(self, value, shape=None):
        value = ops.cast(value, self.compute_dtype)
        return value if shape is None else ops.reshape(value, shape)


def _check_dtype(policy):
    if policy.name not in _DTYPES:
        raise InputError(
            f"An encoder's dtype must be {' or '.join(_DTYPES)}: the weights are float32 in both. Received: "
            f"{policy.name}."
        )
