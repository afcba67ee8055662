"""A small random question-answering BERT in Hugging Face's layout, and questions for it."""

import json

import numpy as np

from tests.reference.sentences import CONFIG as TAGGER
from tests.reference.sentences import VOCABULARY, tagger_tensors

QUESTIONS = [
    ("where lives john", "John lives in New York, near the sea."),
    ("谁在北京？", "中国人在北京。"),
    ("what?", "Zürich 42"),
]
CONFIG = {name: value for name, value in TAGGER.items() if not name.endswith(("2id", "2label"))}
CONFIG |= {"architectures": ["BertForQuestionAnswering"]}


def answerer_tensors():
    """Returns random weights of a BERT question answerer without a pooler, by Hugging Face's names: dict of float32."""
    tensors = {name: value for name, value in tagger_tensors().items() if not name.startswith("classifier")}
    generator = np.random.default_rng(1)
    tensors["qa_outputs.weight"] = generator.normal(0, 0.3, (2, CONFIG["hidden_size"])).astype(np.float32)
    tensors["qa_outputs.bias"] = generator.normal(0, 0.3, 2).astype(np.float32)
    return tensors


def write_answerer(folder):
    """Writes that model to a folder that is there (pathlib.Path)."""
    from safetensors.numpy import save_file

    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY), encoding="utf-8")
    save_file(answerer_tensors(), folder / "model.safetensors", {"format": "pt"})
