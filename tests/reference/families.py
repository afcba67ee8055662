"""Small checkpoints of each family in Hugging Face's layout, whose weights come from NumPy's generator alone."""

import json

import numpy as np

WORDS = "the a printer is down who can help reset my account please urgent thanks door will not open".split()
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ing", ".", "!"]
TEXTS = [
    "the printer is down !",
    "who can help",
    "please reset my account . thanks",
    "urgent : the doors will not open",
]

DISTILBERT = {
    "model_type": "distilbert",
    "architectures": ["DistilBertForSequenceClassification"],
    "vocab_size": len(VOCABULARY),
    "dim": 32,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": 40,
    "activation": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "seq_classif_dropout": 0.1,
    "pad_token_id": 0,
}


def distilbert_tensors():
    """Returns random weights of a DistilBERT classifier of two classes, by Hugging Face's names: dict of float32."""
    dim, hidden = DISTILBERT["dim"], DISTILBERT["hidden_dim"]
    shapes = {
        "embeddings.word_embeddings.weight": (DISTILBERT["vocab_size"], dim),
        "embeddings.position_embeddings.weight": (DISTILBERT["max_position_embeddings"], dim),
        **_norm("embeddings.LayerNorm", dim),
    }
    for number in range(DISTILBERT["n_layers"]):
        layer = f"transformer.layer.{number}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= _dense(f"{layer}.attention.{name}", dim, dim)
        shapes |= _norm(f"{layer}.sa_layer_norm", dim)
        shapes |= _dense(f"{layer}.ffn.lin1", hidden, dim) | _dense(f"{layer}.ffn.lin2", dim, hidden)
        shapes |= _norm(f"{layer}.output_layer_norm", dim)
    shapes = {f"distilbert.{name}": shape for name, shape in shapes.items()}
    return _drawn(shapes | _dense("pre_classifier", dim, dim) | _dense("classifier", 2, dim))


def write_checkpoint(folder, config, tensors):
    """Writes a checkpoint in Hugging Face's layout to a folder that is there (pathlib.Path)."""
    from safetensors.numpy import save_file

    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY), encoding="utf-8")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def _dense(name, outputs, inputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name, size):
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _drawn(shapes):
    generator = np.random.default_rng(0)
    return {name: generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
