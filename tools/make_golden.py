#!/usr/bin/env python3
"""Computes the numbers in tests/golden/ with torch and Hugging Face transformers, independently of tfbert.

In a separate environment (torch==2.13.0 transformers==5.23.0 safetensors), from the root of the checkout:

    python tools/make_golden.py tokens
    python tools/make_golden.py tokenizer_options
    python tools/make_golden.py tokenizer_folders
    python tools/make_golden.py layers --model MINILM     # the folder that tfbert keeps in ~/.cache/tfbert/minilm-*
    python tools/make_golden.py curve --model MINILM
    python tools/make_golden.py adamw
    python tools/make_golden.py pretraining
    python tools/make_golden.py families
    python tools/make_golden.py classifier
    python tools/make_golden.py tagging
    python tools/make_golden.py span
    python tools/make_golden.py span_scores --scripts FOLDER  # evaluate-v2.0.py of SQuAD, cmrc2018_evaluate.py (nltk)
"""

import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT))

from tests.reference.families import DISTILBERT, distilbert_tensors, write_checkpoint  # noqa: E402
from tests.reference.families import TEXTS as FAMILY_TEXTS  # noqa: E402
from tests.reference.questions import QUESTIONS, write_answerer  # noqa: E402
from tests.reference.sentences import SENTENCES, write_tagger  # noqa: E402
from tests.reference.shared_texts import SHARED, text_files, texts_of  # noqa: E402
from tests.reference.tokenizer_folders import HONOURED, ROWS, TEXTS, write_folder  # noqa: E402

VOCABULARIES = ("uncased", "cased", "chinese")
# Texts that break tokenisers: blank, over-long words of one to four bytes per character, zero bytes, odd spaces.
HARD = [
    "", " ", "\t\n", "a", "A" * 100, "a" * 101, "я" * 100, "я" * 101, "ก" * 60, "𝒳" * 100, "𝒳" * 101,
    "x" * 99 + "é" * 2, "don't!!", "a" * 60 + "-" + "b" * 60, "zero\x00byte", "soft\u00adhyphen",
    "zero\u200bwidth", "\ufeffbom", "\ufffd", "non\u00a0breaking\u3000wide", "line\u2028separator\u2029end",
    "café naïve CAFÉ", "e\u0301\u0323", "ÅNGSTRÖM İstanbul", "ß ﬁ ½ … ，。「」", "中文字符 mixed中文and English",
    "一" * 150, "日本語のテキスト カタカナ", "한국어 텍스트", "👍🏽👨‍👩‍👧 ok 🙂", "http://example.com/?a=b&c=%20#d",
    "@user #tag $5.00 50% a^b~c`d|e", "\u0130\u0131\u017f", "\u1e9e\u03a3\u03c2", "tab\tsep\rret",
    "unaffable unwanted,running", "x\u0300" * 120, "a\u0085b", "\u00b2\u00b3\u00b9",
]  # fmt: skip


# The files whose first texts are tokenised with every option.
OPTION_FILES = ("chnsenticorp/dev.jsonl", "goemotions/dev.jsonl", "hate_stormfront/dev.jsonl", "wnut17/dev.jsonl")
OPTIONS = [
    {"do_lower_case": lowercase, "strip_accents": strip, "tokenize_chinese_chars": chinese}
    for lowercase in (True, False)
    for strip in (None, True, False)
    for chinese in (True, False)
]
# (text, whether it is matched in normalised text).
ADDED = [("<URL>", True), ("的时候", True), ("很好", False), ("New York", True), ("é", True), ("ing", False), ("<u", False)]


def option_texts():
    """Returns real texts and those that break tokenisers, with added tokens here and there."""
    texts = HARD + [text for file in OPTION_FILES for text in texts_of(file)[:150]]
    return [text + [" <URL>", "很好<u ", "x<url>y", "", "new\tYork"][number % 5] for number, text in enumerate(texts)]


def tokenizer_options(arguments):
    """Digests of the ids that transformers gives real texts, for every option, with and without added tokens."""
    from tokenizers import AddedToken
    from transformers import BertTokenizer

    golden = {}
    for vocabulary in VOCABULARIES:
        path = SHARED / "data" / "vocab" / f"bert-base-{vocabulary}-vocab.txt"
        for number, options in enumerate(OPTIONS):
            for added in (False, True):
                tokenizer = BertTokenizer(vocab=str(path), **options)
                if added:
                    tokenizer.add_tokens([AddedToken(text, normalized=normalized) for text, normalized in ADDED])
                ids = tokenizer(option_texts(), add_special_tokens=False)["input_ids"]
                golden[f"{vocabulary} {number} {added}"] = digest(ids)
    write_json("tokenizer_options.json", golden)
    print(len(golden), len(set(golden.values())))


def tokens(arguments):
    """Ids of every text in ../shared/data as one digest per 1,000 texts, and the ids of the hard texts in full."""
    from transformers import BertTokenizer

    golden = {}
    for vocabulary in VOCABULARIES:
        path = SHARED / "data" / "vocab" / f"bert-base-{vocabulary}-vocab.txt"
        for lowercase in (True, False):
            tokenizer = BertTokenizer(vocab=str(path), do_lower_case=lowercase)
            digests = {}
            for file in text_files():
                texts = texts_of(file)
                parts = [texts[i : i + 1000] for i in range(0, len(texts), 1000)]
                digests[file] = [digest(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in parts]
            hard = tokenizer(HARD, add_special_tokens=False)["input_ids"]
            golden[f"{vocabulary}-{'lower' if lowercase else 'as-is'}"] = {"files": digests, "hard": hard}
            print(vocabulary, lowercase, sum(map(len, digests.values())), "digests")
    write_json("tokens.json", {"hard_texts": HARD, "ids": golden})


def digest(ids):
    """Returns a short digest of a list of lists of ids; the test has the same function."""
    return hashlib.sha256(json.dumps(ids, separators=(",", ":")).encode()).hexdigest()[:16]


def tokenizer_folders(arguments):
    """Ids, without special tokens, that transformers gives texts with the tokenizers of many folders."""
    import tempfile

    from transformers import AutoTokenizer

    golden = {}
    for name, files in HONOURED.items():
        with tempfile.TemporaryDirectory() as folder:
            write_folder(folder, files, {"model_type": "bert", "vocab_size": ROWS})
            tokenizer = AutoTokenizer.from_pretrained(folder)
            golden[name] = tokenizer(TEXTS, add_special_tokens=False)["input_ids"]
            assert max(map(max, golden[name])) < ROWS
    write_json("tokenizer_folders.json", golden)
    print(len(golden), "folders")


def layers(arguments):
    """Every layer's output and the pooled output of minilm for 64 texts of mixed length; every 48th hidden unit."""
    import torch
    from transformers import BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(arguments.model)
    model = BertModel.from_pretrained(arguments.model).eval()
    texts = mixed_texts()
    outputs = {"texts": np.array(texts)}
    found, pooled = [], []
    with torch.no_grad():
        for text in texts:  # one by one: nothing is padded
            result = model(
                **tokenizer(text, return_tensors="pt", truncation=True, max_length=128), output_hidden_states=True
            )
            found.append(torch.cat(result.hidden_states)[:, :, ::48].numpy())
            pooled.append(result.pooler_output[0].numpy())
    outputs["lengths"] = np.array([layers.shape[1] for layers in found])
    outputs["layers"] = np.concatenate(found, axis=1)
    outputs["pooled"] = np.stack(pooled)
    np.savez_compressed(GOLDEN / "minilm_layers.npz", **outputs)
    print(outputs["layers"].shape, outputs["pooled"].shape)


def mixed_texts():
    """Returns 64 real texts, from one word to more than 128 tokens."""
    texts = []
    for file, count in (
        ("sst2/dev.jsonl", 24),
        ("trec/test.jsonl", 16),
        ("imdb/dev.jsonl", 12),
        ("goemotions/dev.jsonl", 11),
    ):
        texts += texts_of(file)[:count]
    return [*texts, "Yes"]


def curve(arguments):
    """The loss of 50 steps of fine-tuning minilm on the first MRPC rows in their order, without dropout."""
    import torch
    from transformers import BertForSequenceClassification, BertTokenizer, get_linear_schedule_with_warmup

    tokenizer = BertTokenizer.from_pretrained(arguments.model)
    model = BertForSequenceClassification.from_pretrained(
        arguments.model, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    head = np.random.default_rng(0).normal(0, 0.02, (384, 2)).astype(np.float32)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.tensor(head.T))
        model.classifier.bias.zero_()
    steps, batch = 50, 8
    with open(SHARED / "data" / "mrpc" / "train.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(next(lines)) for _ in range(steps * batch)]
    decayed = [p for name, p in model.named_parameters() if not ("bias" in name or "LayerNorm" in name)]
    kept = [p for name, p in model.named_parameters() if "bias" in name or "LayerNorm" in name]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, eps=1e-6)
    schedule = get_linear_schedule_with_warmup(optimizer, 5, steps)
    losses = []
    model.train()
    for step in range(steps):
        part = rows[step * batch : (step + 1) * batch]
        inputs = tokenizer(
            [r["text_a"] for r in part],
            [r["text_b"] for r in part],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=128,
        )
        loss = model(**inputs, labels=torch.tensor([r["label"] for r in part])).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    write_json(
        "mrpc_curve.json",
        {"steps": steps, "batch_size": batch, "learning_rate": 1e-4, "warmup_steps": 5, "losses": losses},
    )
    print(losses[:3], losses[-3:])


def adamw(arguments):
    """20 steps of torch.optim.AdamW on given gradients: three groups, a schedule, clipping, repeated tokens."""
    import torch

    values, slices, grads = adamw_inputs()
    variables = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in values.items()}
    rates = {"embeddings": 0.1, "kernel": 0.05, "bias": 0.2}
    groups = [
        {"params": [variables[name]], "lr": rate, "weight_decay": 0.0 if name == "bias" else 0.01, "peak": rate}
        for name, rate in rates.items()
    ]
    optimizer = torch.optim.AdamW(groups, eps=1e-6)
    steps = []
    for step in range(20):
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * (20 - step) / 20
        dense = torch.zeros_like(variables["embeddings"])
        dense.index_add_(0, torch.tensor(slices[step]), torch.tensor(grads["embeddings"][step]))
        variables["embeddings"].grad = dense
        for name in ("kernel", "bias"):
            variables[name].grad = torch.tensor(grads[name][step])
        torch.nn.utils.clip_grad_norm_(list(variables.values()), 1.0)
        optimizer.step()
        steps.append({name: v.detach().numpy().copy() for name, v in variables.items()})
    np.savez_compressed(GOLDEN / "adamw.npz", **{name: np.stack([s[name] for s in steps]) for name in values})
    print({name: steps[-1][name].ravel()[:2] for name in values})


def adamw_inputs():
    """Returns (start values, token of each slice, gradients) of 20 steps; the test draws the same ones."""
    rng = np.random.default_rng(7)
    values = {"embeddings": rng.normal(size=(11, 4)), "kernel": rng.normal(size=(4, 3)), "bias": rng.normal(size=3)}
    values = {name: value.astype(np.float32) for name, value in values.items()}
    slices = rng.integers(0, 6, size=(20, 9))  # 9 slices over 6 tokens: some repeat
    shapes = {"embeddings": (20, 9, 4), "kernel": (20, 4, 3), "bias": (20, 3)}
    grads = {name: (rng.normal(size=shape) * 0.5).astype(np.float32) for name, shape in shapes.items()}
    return values, slices, grads


def pretraining(arguments):
    """The logits of a small random BertForPreTraining for eight rows, and its saved weights."""
    import tempfile

    import torch
    from safetensors.numpy import load_file
    from transformers import BertConfig, BertForPreTraining

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=90, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    model = BertForPreTraining(config).eval()
    with torch.no_grad():  # zeros and ones would hide a mix-up of tensors
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    rng = np.random.default_rng(0)
    ids, segments = rng.integers(5, 90, (8, 20)), np.tile(np.arange(20) >= 12, (8, 1)).astype(np.int64)
    with torch.no_grad():
        found = model(torch.tensor(ids), token_type_ids=torch.tensor(segments))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tensors = load_file(pathlib.Path(folder) / "model.safetensors")
        config = (pathlib.Path(folder) / "config.json").read_text()
    outputs = {"token_ids": ids, "segment_ids": segments, "config": np.array(config)}
    outputs |= {"masked": found.prediction_logits.numpy(), "next_sentence": found.seq_relationship_logits.numpy()}
    np.savez_compressed(GOLDEN / "pretraining.npz", **outputs, **{f"tensor:{name}": x for name, x in tensors.items()})
    print({name: x.shape for name, x in tensors.items() if name.startswith("cls.")})


def families(arguments):
    """Every layer's output, and the logits, of a small random model of each family except BERT for a few texts."""
    import tempfile

    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    outputs = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        write_checkpoint(pathlib.Path(folder), DISTILBERT, distilbert_tensors())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        for number, text in enumerate(FAMILY_TEXTS):
            found = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
            outputs[f"distilbert:layers:{number}"] = torch.cat(found.hidden_states).numpy()
            outputs[f"distilbert:logits:{number}"] = found.logits[0].numpy()
    np.savez_compressed(GOLDEN / "families.npz", **outputs)
    print({name: value.shape for name, value in outputs.items()})


def classifier(arguments):
    """The logits of a small random BertForSequenceClassification for eight rows, and its saved weights."""
    import tempfile

    import torch
    from safetensors.numpy import load_file
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=90, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=32, initializer_range=0.2, num_labels=3,
    )  # fmt: skip
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():  # zeros and ones would hide a mix-up of tensors
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    ids = np.random.default_rng(0).integers(5, 90, (8, 20))
    with torch.no_grad():
        logits = model(torch.tensor(ids)).logits.numpy()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tensors = load_file(pathlib.Path(folder) / "model.safetensors")
        config = (pathlib.Path(folder) / "config.json").read_text()
    tensors = {f"tensor:{name}": value for name, value in tensors.items()}
    np.savez_compressed(GOLDEN / "classifier.npz", ids=ids, logits=logits, config=np.array(config), **tensors)
    print(logits)


def tagging(arguments):
    """The logits of a small random BertForTokenClassification at the first token of each word; NaN without tokens.

    And the tags that transformers' pipeline gives each token of a text.
    """
    import tempfile

    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    outputs = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        write_tagger(pathlib.Path(folder))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForTokenClassification.from_pretrained(folder).eval()
        for number, words in enumerate(SENTENCES):
            inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
            logits, found = model(**inputs).logits[0].numpy(), np.full((len(words), 5), np.nan, np.float32)
            for token, word in reversed(list(enumerate(inputs.word_ids()))):
                if word is not None:
                    found[word] = logits[token]
            outputs[f"logits:{number}"] = found
        tagger = pipeline("token-classification", model=model, tokenizer=tokenizer, ignore_labels=[])
        tags = {token["start"]: token["entity"] for token in tagger(" ".join(SENTENCES[3]))}
    outputs["pipeline"] = np.array(json.dumps(tags))
    np.savez_compressed(GOLDEN / "tagging.npz", **outputs)
    print(outputs)


def span(arguments):
    """The logits of a small random BertForQuestionAnswering for a few questions, and the offsets of their tokens."""
    import tempfile

    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    outputs = {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        write_answerer(pathlib.Path(folder))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
        for number, (question, context) in enumerate(QUESTIONS):
            inputs = tokenizer(question, context, return_tensors="pt", return_offsets_mapping=True)
            offsets = inputs.pop("offset_mapping")[0].numpy()
            found = model(**inputs)
            outputs[f"logits:{number}"] = torch.stack([found.start_logits[0], found.end_logits[0]]).numpy()
            outputs[f"offsets:{number}"] = offsets[[place == 1 for place in inputs.sequence_ids(0)]]
    np.savez_compressed(GOLDEN / "span.npz", **outputs)
    print({name: value.shape for name, value in outputs.items()})


def span_scores(arguments):
    """Exact match and F1 of answers by the official scripts of SQuAD 2.0 and CMRC 2018, and the best threshold."""
    import importlib.util
    import random

    import nltk

    # What word_tokenize does with one sentence; splitting sentences needs data that is not downloaded here.
    nltk.word_tokenize = nltk.tokenize.NLTKWordTokenizer().tokenize

    def script(name):
        spec = importlib.util.spec_from_file_location(name[:5], f"{arguments.scripts}/{name}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    squad, cmrc, draw = script("evaluate-v2.0.py"), script("cmrc2018_evaluate.py"), random.Random(0)
    articles = json.loads((SHARED / "data" / "squad_v1_dev" / "dev.json").read_text(encoding="utf-8"))["data"]
    questions = [qa for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]][::4]
    found = {"squad": [], "cmrc": [], "threshold": []}
    for number, question in enumerate(questions):
        answers = [] if number % 5 == 0 else [answer["text"] for answer in question["answers"]]
        other = draw.choice(questions)["answers"][0]["text"]
        right = (answers or [other])[0]
        guess = draw.choice([right, other, "", f"The {right}!", right.split()[0], f"{right} and {other}", "a", "..."])
        exact, f1 = squad.get_raw_scores(
            [{"paragraphs": [{"qas": [{"id": "q", "answers": [{"text": text} for text in answers]}]}]}], {"q": guess}
        )
        found["squad"].append([answers, guess, float(exact["q"]), float(f1["q"])])
    gaps = [draw.random() for _ in found["squad"]]
    scores = {str(i): f1 for i, (*_, f1) in enumerate(found["squad"])}
    has_answer = {str(i): bool(answers) for i, (answers, *_) in enumerate(found["squad"])}
    guesses = {str(i): guess for i, (_, guess, *_) in enumerate(found["squad"])}
    best = squad.find_best_thresh(guesses, scores, {str(i): gap for i, gap in enumerate(gaps)}, has_answer)
    found["threshold"] = [gaps, best[0] / 100, best[1]]
    texts = [text for text in texts_of("chnsenticorp/dev.jsonl") if len(text) > 30][:300]
    for text in texts:
        first = draw.randrange(len(text) - 20)
        right = text[first : first + draw.randint(1, 12)]
        part, later = text[first : first + 5], text[first + 2 : first + 14]
        guess = draw.choice([right, part, f"“{right}。”", later, "", f"{right} OK-1"])
        if right.strip():
            scored = float(cmrc.calc_em_score([right], guess)), float(cmrc.calc_f1_score([right], guess))
            found["cmrc"].append([[right], guess, *scored])
    write_json("span_scores.json", found)
    print(len(found["squad"]), len(found["cmrc"]), found["threshold"][1:])


def write_json(name, content):
    """Writes a golden file."""
    (GOLDEN / name).write_text(json.dumps(content, ensure_ascii=True, indent=0) + "\n", encoding="utf-8")


MAKERS = (
    tokens, tokenizer_options, tokenizer_folders, layers, curve, adamw, pretraining, classifier, families, tagging,
    span, span_scores,
)  # fmt: skip
COMMANDS = {make.__name__: make for make in MAKERS}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--model", help="folder of minilm in Hugging Face's layout")
    parser.add_argument("--scripts", help="folder of the official scripts of SQuAD and CMRC")
    chosen = parser.parse_args()
    COMMANDS[chosen.what](chosen)
