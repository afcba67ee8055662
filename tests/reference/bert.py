"""BERT's encoder in NumPy float64, one text at a time: the formulas of Devlin et al. 2018, written independently."""

import numpy as np
from scipy.special import erf, softmax


def bert(tensors, config, ids, segments):
    """Returns (layers, pooled): list of [length, hidden], the embeddings' output first; [hidden] or None.

    Args:
        tensors: dict of np.ndarray by Hugging Face's names, without prefix.
        config: dict, Hugging Face's.
        ids, segments: lists of int.
    """
    w = {name: value.astype(np.float64) for name, value in tensors.items()}
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x, name):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) / np.sqrt(variance + epsilon) * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.token_type_embeddings.weight"][segments]
    x = norm(x + w["embeddings.position_embeddings.weight"][: len(ids)], "embeddings.LayerNorm")
    layers = [x]
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        q, k, v = (
            np.stack(np.split(dense(x, f"{at}.attention.self.{part}"), heads, -1)) for part in ("query", "key", "value")
        )
        attention = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1]), axis=-1) @ v
        y = dense(np.concatenate(attention, -1), f"{at}.attention.output.dense")
        x = norm(x + y, f"{at}.attention.output.LayerNorm")
        y = GELU[config["hidden_act"]](dense(x, f"{at}.intermediate.dense"))
        x = norm(x + dense(y, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        layers.append(x)
    pooled = np.tanh(dense(x[0], "pooler.dense")) if "pooler.dense.weight" in w else None
    return layers, pooled


GELU = {
    "gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}
