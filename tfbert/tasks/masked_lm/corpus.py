"""Raw text as masked batches."""

import dataclasses
import itertools

from tfbert.core.errors import InputError
from tfbert.data.batches import ExampleBatches
from tfbert.data.glue import scored_splits
from tfbert.data.sources import read_examples
from tfbert.tasks.masked_lm.corpus_cache import cached_sentences, corpus_key
from tfbert.tasks.masked_lm.documents import Sentences, read_documents, tokenized_chunks
from tfbert.tasks.masked_lm.leaks import HeldOutTexts
from tfbert.tasks.masked_lm.masking import WordMasker
from tfbert.tasks.masked_lm.segments import SegmentExamples


def without_leaks(documents, texts, refuse, notes):
    """Yields documents without held-out texts; at the end adds a note on what was found, or raises InputError."""
    held_out = HeldOutTexts(texts)
    yield from held_out.taken_out(documents)
    if refuse:
        held_out.refuse()
    notes.append(held_out.describe())
    print(notes[-1])


def held_out_texts(locations, columns, **file_format):
    """Returns the texts of some data locations, each once: list of str.

    Args:
        locations: sequence of str. Of a raw GLUE folder, all rows but the training rows are read, with both texts.
        columns: sequence of str. The columns read from other files, as far as they exist; at least one must.
        **file_format: quoting, delimiter and encoding, as `read_examples` takes them.

    Raises:
        InputError: a location cannot be read, or has none of the columns.
    """
    texts = []
    for location in locations:
        found, missing = [], None
        for split, column in itertools.product(scored_splits(location), columns):
            try:
                rows = list(read_examples(location, column, split=split, reads="words", **file_format))
            except InputError as error:
                missing = error
                continue
            found += [row[side] for row in rows for side in ("text", "text_pair") if side in row]
        if not found:
            raise missing
        texts += found
    return list(dict.fromkeys(texts))


def sentences_of(rows, tokenizer, held_out=(), leaks="refuse", cache_dir=None):
    """Returns the sentences of raw text, from the cache if there is one: Sentences.

    Args:
        rows: callable () -> iterable of dict, as `read_examples` yields them.
        tokenizer: BertTokenizer.
        held_out: list of str. Texts that must not occur in it.
        leaks: "refuse" or "remove". What to do if they occur.
        cache_dir: str or None. Where tokenised text is kept.

    Raises:
        InputError: held-out texts occur in it, and `leaks` is "refuse".
    """
    notes = []

    def documents():
        return read_documents(rows())

    def chunks():
        found = without_leaks(documents(), held_out, leaks == "refuse", notes) if held_out else documents()
        return tokenized_chunks(found, tokenizer)

    if not cache_dir:
        return Sentences(chunks())
    key = corpus_key(documents(), tokenizer, [*held_out, leaks] if held_out else ())
    return cached_sentences(cache_dir, key, chunks, notes)


def corpus_batches(
    sentences, tokenizer, next_sentence, masking, short_share, batch_size, train, seed, max_seq_length, before=None
):
    """Returns sentences as masked batches: ExampleBatches.

    Args:
        sentences: Sentences.
        tokenizer: BertTokenizer.
        next_sentence: bool. Pairs of segments, or single ones.
        masking: Masking. `most` is lowered to what a window of this length needs.
        short_share: float. Fraction of the windows that are shorter.
        batch_size: int.
        train: bool. In a new order each epoch.
        seed: int. Determines segments, masks and order.
        max_seq_length: int. The longest window.
        before: (ExampleBatches, int) or None. Other batches, which a run uses first for the given number of steps.
    """
    examples = SegmentExamples(sentences, tokenizer, max_seq_length, next_sentence, short_share, seed)
    # Each prediction slot costs a product with the vocabulary.
    most = min(masking.most, max(1, round(masking.share * max_seq_length)))
    masker = WordMasker(tokenizer, max_seq_length, dataclasses.replace(masking, most=most), seed)
    return ExampleBatches(examples, batch_size, max_seq_length, train, seed, masker=masker, before=before)
