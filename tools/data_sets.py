"""The public data sets of the recipes: their sources, and the conversion to the files that were measured.

Each `make_…` takes the contents of the downloads (bytes), and yields (file name, rows or documents).
"""

import csv
import dataclasses
import hashlib
import io
import json
import re
import tarfile


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set and its source.

    Attributes:
        make: callable. Takes the downloads' contents, bytes each in the order of `urls`; yields (file name, content):
            a list of rows for JSONL, or a list of documents, each a list of sentences.
        urls: tuple of str.
        sha256: dict of file name -> digest that the file must have: the recipes were measured on it.
        about: str. Rows by split, size, licence.
    """

    make: object
    urls: tuple
    sha256: dict
    about: str


def as_bytes(rows):
    """Returns the content of a file: JSON lines for rows (dicts), one sentence per line for documents (lists)."""
    if isinstance(rows[0], dict):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return "".join("".join(f"{sentence}\n" for sentence in document) + "\n" for document in rows).encode()


def lines(content, encoding="utf-8-sig"):
    """Returns the lines of a download, without line endings: list of str."""
    return [line.rstrip("\r") for line in content.decode(encoding).removesuffix("\n").split("\n")]


def table(content):
    """Returns the fields of tab-separated lines: list of list of str."""
    return [line.split("\t") for line in lines(content)]


def share(text):
    """Returns the SHA-256 of a text as a number from 0 to 1."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16) / 16**13


def labelled(row, label, names):
    """Returns a row extended by the number and the name of its label."""
    return row | {"label": label, "label_name": names[label]}


def make_mrpc(*parts):
    """Pairs of news sentences: is one a paraphrase of the other?"""
    for split, content in zip(("train", "dev"), parts, strict=True):
        yield f"{split}.jsonl", [
            labelled({"id": f"mrpc-{split}-{first}-{second}", "text_a": a, "text_b": b}, int(label),
                     ("not_equivalent", "equivalent"))
            for label, first, second, a, b in table(content)[1:]
        ]  # fmt: skip


def make_cola(*parts):
    """Sentences: are they good English?"""
    for split, content in zip(("train", "dev"), parts, strict=True):
        rows = table(content)
        said = [(source, label, text) for source, label, _, text in rows]
        order = sorted(range(len(rows)), key=lambda number: said.index(said[number]))  # repeated sentences together
        yield f"{split}.jsonl", [
            labelled({"id": f"cola-{split}-{number}", "text": text}, int(label), ("unacceptable", "acceptable"))
            | {"source": source}
            for number, (source, label, text) in enumerate(said[place] for place in order)
        ]


def make_rte(train, rest, dev):
    """Pairs: does the first text entail the second?"""
    names = ("entailment", "not_entailment")
    rows = sorted(table(train)[1:] + table(rest), key=lambda row: int(row[0]))
    for split, rows in (("train", rows), ("dev", table(dev)[1:])):
        yield f"{split}.jsonl", [
            labelled({"id": f"rte-{split}-{index}", "text_a": a, "text_b": b}, names.index(label), names)
            for index, a, b, label in rows
        ]


def make_sst2(*parts):
    """Phrases of film reviews: are they positive?"""
    for split, content in zip(("train", "dev"), parts, strict=True):
        yield f"{split}.jsonl", [
            labelled({"id": f"sst2-{split}-{number}", "text": text.strip()}, int(label), ("negative", "positive"))
            for number, (label, text) in enumerate(table(content)[1:])
        ]


def make_stsb(*parts):
    """Pairs: how alike are they, from 0 to 5?"""
    for split, content in zip(("train", "dev"), parts, strict=True):
        yield f"{split}.jsonl", [
            {"id": f"stsb-{split}-{number}", "text_a": a, "text_b": b, "label": float(score)}
            for number, (a, b, score) in enumerate(csv.reader(io.StringIO(content.decode(), newline="")))
        ]


def make_trec(*parts):
    """Questions: what do they ask for?"""
    names = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
    for split, content in zip(("train", "test"), parts, strict=True):
        pairs = [line.split(" ", 1) for line in lines(content, "latin-1")]
        yield f"{split}.jsonl", [
            labelled({"id": f"trec-{split}-{number}", "text": text.strip()}, names.index(fine.split(":")[0]), names)
            | {"fine_label": fine}
            for number, (fine, text) in enumerate(pairs)
        ]


def make_goemotions(train, dev, names):
    """Comments: which emotions do they show?"""
    names = lines(names)
    for split, content in (("train", train), ("dev", dev)):
        yield f"{split}.jsonl", [
            {"id": identity, "text": text, "labels": [names[int(number)] for number in numbers.split(",")]}
            for text, numbers, identity in table(content)
        ]


def make_stormfront(archive):
    """Sentences of a forum: are they hateful? OFFENSIVE CONTENT."""
    files = members(archive, r"[^/]+/(annotations_metadata\.csv|all_files/.+\.txt)$")
    names = ("noHate", "hate")
    splits = {"train": [], "dev": [], "test": []}
    for row in csv.DictReader(io.StringIO(files.pop("annotations_metadata.csv").decode())):
        if row["label"] not in names:
            continue
        identity = f"stormfront-{row['file_id']}"
        place = share(identity.rpartition("_")[0])  # all sentences of a comment go to the same split
        split = "train" if place < 0.8 else "dev" if place < 0.9 else "test"
        text = files[f"all_files/{row['file_id']}.txt"].decode().strip()
        splits[split].append(labelled({"id": identity, "text": text}, names.index(row["label"]), names))
    yield from ((f"{split}.jsonl", rows) for split, rows in splits.items())


def make_ohsumed(archive):
    """Medical abstracts: which of 23 categories are they in?"""
    files = members(archive, r"[^/]+/data/ohsumed_single_23/(.+/.+/.+)$")
    names = [f"C{number:02}" for number in range(1, 24)]
    splits = {"train": [], "dev": [], "test": []}
    for path, content in sorted(files.items()):
        part, name, number = path.split("/")
        row = {"id": f"ohsumed-{part}-{name}-{number}", "text": " ".join(content.decode("latin-1").split())}
        split = "test" if part == "test" else "train" if share(row["id"]) < 0.9 else "dev"
        splits[split].append(labelled(row, names.index(name), names))
    splits["test"] = sorted(splits["test"], key=lambda row: share(row["id"]))[:1200]
    yield from ((f"{split}.jsonl", rows) for split, rows in splits.items())


def make_imdb(archive):
    """Film reviews: are they positive? 2,500 of the training reviews, and 2,000 of the test reviews."""
    files = members(archive, r"aclImdb/((?:train|test)/(?:pos|neg)/.+\.txt)$")
    rows = []
    for path, content in files.items():
        part, name, file = path.removesuffix(".txt").split("/")
        number, rating = file.split("_")
        row = {"id": f"imdb-{part}-{name}-{number}", "text": content.decode()}
        rows.append(labelled(row, ("neg", "pos").index(name), ("neg", "pos")) | {"rating": int(rating)})
    rows.sort(key=lambda row: share(row["id"]))

    def mixed(part, count):
        of_part = [row for row in rows if f"-{part}-" in row["id"]]
        chosen = [row for label in (0, 1) for row in [row for row in of_part if row["label"] == label][:count]]
        return sorted(chosen, key=lambda row: share("o" + row["id"]))

    labelled_rows = mixed("train", 1250)
    yield from (("train.jsonl", labelled_rows[:2000]), ("dev.jsonl", labelled_rows[2000:]))
    yield "test.jsonl", mixed("test", 1000)


def make_corpus_imdb_unsup(archive):
    """Film reviews without labels, one sentence per line: 4,500 of 50,000."""
    files = members(archive, r"aclImdb/train/unsup/(.+)_0\.txt$")
    chosen = sorted(files, key=lambda number: share(f"imdb-unsup-{number}"))[:4500]
    end = r"(?<=[.!?])[\"')]{0,2} +(?=[\"'(]{0,2}[A-Z0-9])"
    yield "train.txt", [sentences(files[number].decode().replace("<br />", " "), end) for number in chosen]


def make_corpus_gutenberg(*books):
    """Novels, one sentence per line and one document per chapter; every 20th chapter goes to the dev file."""
    # "V.E", which begins a line of Moby Dick, counted as a chapter heading when the recipes were measured.
    heading = r"\n(?=(?:CHAPTER|Chapter|ADVENTURE|VOLUME) [\w.]+|V\.E)"
    end = r"(?<=[.!?]) +|(?<=[.!?][\"'’”)]) +|(?<=[.!?][\"'’”)]{2}) +"
    chapters = [
        sentences(chapter, end)
        for book in books
        for chapter in re.split(heading, novel(book.decode("utf-8-sig")))
        if len(chapter.split()) >= 200
    ]
    yield "train.txt", [chapter for number, chapter in enumerate(chapters, start=1) if number % 20 != 1]
    yield "dev.txt", chapters[::20]


def novel(text):
    """Returns the text of a book of Project Gutenberg, without the licence before and after it."""
    text = text.replace("\r", "").replace("_", "")
    text = re.split(r"\*\*\* ?START OF .*?\*\*\*", text, maxsplit=1, flags=re.DOTALL)[-1]
    return re.split(r"\*\*\* ?END OF |End of (?:the )?Project Gutenberg", text, maxsplit=1)[0]


def sentences(text, end):
    """Returns the sentences of a text by a simple rule: they end where `end` matches, and at the end of paragraphs."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text))
    return [each for paragraph in paragraphs for each in re.split(end, paragraph) if each]


def members(archive, pattern):
    """Returns the files of a tar archive whose names match a pattern: dict of its first group -> bytes."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
        for member in tar:
            match = re.match(pattern, member.name)
            if match and member.isfile():
                found[match[1]] = tar.extractfile(member).read()
    return found


def files(folder, names):
    """Returns the URLs of files in a folder on GitHub, at one commit: tuple of str."""
    return tuple(f"{RAW}/{folder}{name}" for name in names.split())


RAW = "https://raw.githubusercontent.com"
ACLIMDB = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SETS = {
    "cola": DataSet(
        make_cola,
        (
            f"{RAW}/nyu-mll/CoLA-baselines/dd095d3646ed05a315280aaa8ed4ec84ba435b3e/"
            "acceptability_corpus/raw/in_domain_train.tsv",
            f"{RAW}/amrnag/Specialized-Transformers/cae3514a52b66977974bfedd7ecc2efd029a72e9/data/CoLA/dev.tsv",
        ),
        {
            "train.jsonl": "b902782cab88c19029d6325cc80303c9dcbece3a6165ccad725eac18c0b2d254",
            "dev.jsonl": "e01d6a68fe3e575ec1b956877c782696e76c05bffa056c8f7cc84fcf70b6a1f9",
        },
        "CoLA: 8,551 and 1,043 sentences, 1.3 MB; texts of published linguistics, for research",
    ),
    "corpus_gutenberg": DataSet(
        make_corpus_gutenberg,
        files(
            "DokahlSoZoor/DieNeueKrone/4abe2d2ac2eb677e40bc2d770b7484b9745d4094/data/",
            "11-0.txt 1342-0.txt 158-0.txt 2701-0.txt 76-0.txt 98-0.txt pg1661.txt pg174.txt pg345.txt",
        ),
        {
            "train.txt": "274ae6d034a68212dfb02d7c8cd910649fb8b4476441b15ad99a84ba572c2d65",
            "dev.txt": "31f1b8bae8f766e082210c410c87033954af0391cf4b2f36ef277c39118491de",
        },
        "9 novels of Project Gutenberg, 6 MB; public domain",
    ),
    "corpus_imdb_unsup": DataSet(
        make_corpus_imdb_unsup,
        (ACLIMDB,),
        {
            "train.txt": "54e833249917e22d1b7e2b57bb37f8e72a784314bc8b0e3373423688d0d95df4",
        },
        "IMDb: 4,500 of 50,000 film reviews without labels, 6 MB of 84; as imdb",
    ),
    "goemotions": DataSet(
        make_goemotions,
        files(
            "monologg/GoEmotions-pytorch/b75f9d3a8b76bc1060687925b04ca98a1b8ea66b/data/original/",
            "train.tsv dev.tsv labels.txt",
        ),
        {
            "train.jsonl": "ba4f6b4732f54cbb5c22b5006c66974b3677bf195ba8f55ca34474587f52ff99",
            "dev.jsonl": "d5f9ecc967dff89a90fd10073c7a8640fcbcf7619953364ab1af293c995d4847",
        },
        "GoEmotions: 43,410 and 5,426 comments, 6 MB; Apache-2.0",
    ),
    "hate_stormfront": DataSet(
        make_stormfront,
        ("https://github.com/Vicomtech/hate-speech-dataset/archive/b802137e8314c38a8d4faa965f9908d6c8e7a84d.tar.gz",),
        {
            "train.jsonl": "7789758d0915a52511bc0d3a46fb065931f3e1e2e0adca55381067ecfdc7d7cf",
            "dev.jsonl": "3135df19bdefd5b6d52f6464f46ac9440ad745df3e0bcee02c9f5a48adaa2145",
            "test.jsonl": "8998eba7545158db5ab8a7d3790bab8989438c597e2b06c031db480c4b65b015",
        },
        "Stormfront: 8,478, 1,082 and 1,143 sentences, 1.8 MB; CC BY-SA 3.0 ES; OFFENSIVE",
    ),
    "imdb": DataSet(
        make_imdb,
        (ACLIMDB,),
        {
            "train.jsonl": "31c1f002b5aa9898b173108eb83d8b5e2480121cbbd24bcd4178af422c851bf3",
            "dev.jsonl": "c0bcee4667626649e04a099fb6c088d2cf84d2988f494f1e48822843da0346a0",
            "test.jsonl": "e5392ab6bd65ecdb198dcae85c2a3b3da005912f8882248bf27a177ef1462581",
        },
        "IMDb: 2,000, 500 and 2,000 of 50,000 film reviews, 6 MB of 84; no licence stated, for research",
    ),
    "mrpc": DataSet(
        make_mrpc,
        files("Nstats/my_bert/733d79335044b1b7eabb5b47a0eae0cd621dadc0/data/MRPC/", "train.tsv dev.tsv"),
        {
            "train.jsonl": "636faf1656eb933ec0671577375c4f6226425dff296ad28231417427950db68c",
            "dev.jsonl": "061302b0c2f180961e38f2e16d8f771240e46c88faf176e1ef55a2a2e0980180",
        },
        "MRPC: 3,668 and 408 pairs, 1.4 MB; Microsoft Research, for research",
    ),
    "ohsumed": DataSet(
        make_ohsumed,
        ("https://github.com/yao8839836/text_gcn/archive/962223652e9bb164ac2d83cd09fc7b8845ce860b.tar.gz",),
        {
            "train.jsonl": "32c886c4dd060ea889a8406ce0d5dcb7c84d56310d47ae19192d7aeca96285a7",
            "dev.jsonl": "9600a3df2efee2912cb873d3d9c1c2c221d695e2814491cb270763a0ce83f9e3",
            "test.jsonl": "b63bd9b1e5cbc220082348fca3f956e70ba6e0a9f379008cf30e3c7c67dda749",
        },
        "Ohsumed: 3,054, 303 and 1,200 abstracts, 6 MB; no licence stated, for research",
    ),
    "rte": DataSet(
        make_rte,
        files(
            "amrnag/Specialized-Transformers/cae3514a52b66977974bfedd7ecc2efd029a72e9/data/RTE/",
            "train.tsv val.tsv dev.tsv",
        ),
        {
            "train.jsonl": "c2e321fa93249e819f76ef922abbc0ecbd225903e168cb3f07f16113a26c7728",
            "dev.jsonl": "b869ea6dc1a4a3900e8be6ff19fb221a9b22740daec2c35ba054a74704b72837",
        },
        "RTE: 2,490 and 277 pairs, 1.1 MB; GLUE, for research",
    ),
    "sst2": DataSet(
        make_sst2,
        files("awake020/pytorch_Bert_sst2/ce2ab1719d32182e6233b24b2de246bd32814fde/SST-2/", "train.tsv dev.tsv"),
        {
            "train.jsonl": "7f7de7e71e328f88f3a11057e0a665d74885e5438433849ea036927f4ae91e01",
            "dev.jsonl": "5286fa4f889a0086166d94b5bb47ee35f08cd89581e5e8eecb596a6cca1f84d9",
        },
        "SST-2: 67,349 and 872 phrases, 9 MB; Stanford Sentiment Treebank, for research",
    ),
    "stsb": DataSet(
        make_stsb,
        files(
            "PhilipMay/stsb-multi-mt/30de0dec4ee199b7f42351d3f1a0b19592955385/data/",
            "stsb-en-train.csv stsb-en-dev.csv",
        ),
        {
            "train.jsonl": "0ed5f62c4542fe14ab5ce93d6ffa50a915cd1ea08fd97fca409a3b0980f0a030",
            "dev.jsonl": "bf0c452aad03ca5b2f9e674c9fcede4c4450de374288493716167734f0fd2614",
        },
        "STS-B: 5,749 and 1,500 pairs, 1.2 MB; CC BY-SA 4.0 and the licences of its sources",
    ),
    "trec": DataSet(
        make_trec,
        files(
            "harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data/raw/",
            "TREC.train TREC.test",
        ),
        {
            "train.jsonl": "8b4fc7a53d4b2fe4ede9ff05e4bb9909a9dcc1f6cc0ae891e0feeb803f75df72",
            "test.jsonl": "0eace81586dcc5651115ca96ca43b2f4af6ef0c9eaab36b434c44b71bcea771f",
        },
        "TREC: 5,452 and 500 questions, 0.8 MB; no licence stated, for research",
    ),
}
