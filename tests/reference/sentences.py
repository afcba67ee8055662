"""A small random token classifier in Hugging Face's layout, and sentences for it."""

import json
import string

import numpy as np

TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *(f"##{x}" for x in string.ascii_lowercase),
    *string.digits, *".,!?'#@-", "in", "lives", "the", "new", "york", "john", *"中国人北京",
]  # fmt: skip
SENTENCES = [
    ["John", "lives", "in", "New", "York", "."],
    ["#hashtag", "@user", "don't", "U.S.", "!"],
    ["\ufe0f", "a", "\ufe0f"],
    ["北", "京", "人", "in", "Zürich", "42"],
    ["x" * 30, "y"],
    ["unknown☃", "word"],
]
CONFIG = {
    "model_type": "bert",
    "architectures": ["BertForTokenClassification"],
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "pad_token_id": 0,
    "id2label": {str(number): tag for number, tag in enumerate(TAGS)},
    "label2id": {tag: number for number, tag in enumerate(TAGS)},
}


def tagger_tensors():
    """Returns random weights of a BERT token classifier without a pooler, by Hugging Face's names: dict of float32."""
    hidden, wide = CONFIG["hidden_size"], CONFIG["intermediate_size"]
    tables = {"word": len(VOCABULARY), "position": 64, "token_type": 2}
    shapes = {f"bert.embeddings.{kind}_embeddings.weight": (rows, hidden) for kind, rows in tables.items()}
    norms, layers = ["bert.embeddings.LayerNorm"], [f"bert.encoder.layer.{n}" for n in range(2)]
    for layer in layers:
        dense = {
            "attention.self.query": (hidden, hidden), "attention.self.key": (hidden, hidden),
            "attention.self.value": (hidden, hidden), "attention.output.dense": (hidden, hidden),
            "intermediate.dense": (wide, hidden), "output.dense": (hidden, wide),
        }  # fmt: skip
        for name, shape in dense.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    shapes |= {"classifier.weight": (len(TAGS), hidden), "classifier.bias": (len(TAGS),)}
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(0, 0.3, shape) for name, shape in shapes.items()}
    for name in norms:
        tensors[f"{name}.weight"] = generator.normal(1, 0.2, hidden)
        tensors[f"{name}.bias"] = generator.normal(0, 0.2, hidden)
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def write_tagger(folder):
    """Writes that model to a folder that is there (pathlib.Path)."""
    from safetensors.numpy import save_file

    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY), encoding="utf-8")
    save_file(tagger_tensors(), folder / "model.safetensors", {"format": "pt"})
