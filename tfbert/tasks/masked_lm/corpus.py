"""From settings to raw text, as batches with masks."""

import itertools

from tfbert.core.errors import InputError
from tfbert.data.batches import ExampleBatches
from tfbert.data.glue import scored_splits
from tfbert.data.sources import read_examples
from tfbert.tasks.masked_lm.corpus_cache import cached_sentences, corpus_key
from tfbert.tasks.masked_lm.documents import Sentences, read_documents, tokenized_chunks
from tfbert.tasks.masked_lm.leaks import HeldOutTexts
from tfbert.tasks.masked_lm.masking import Masking, WordMasker
from tfbert.tasks.masked_lm.segments import SegmentExamples


def without_leaks(documents, texts, refuse, notes):
    """Yields documents without held-out texts; at their end notes what was found, or refuses it with an InputError."""
    held_out = HeldOutTexts(texts)
    yield from held_out.taken_out(documents)
    if refuse:
        held_out.refuse()
    notes.append(held_out.describe())
    print(notes[-1])


def held_out_texts(locations, columns, quoting):
    """Returns the texts of some data locations, each once: list of str.

    Args:
        locations: sequence of str. Of a raw GLUE folder all but the training rows are read, both texts of each.
        columns: sequence of str. Of other files those columns are read that there are, one at least.
        quoting: str, as `read_examples` takes it.

    Raises:
        InputError: a location cannot be read, or has none of the columns.
    """
    texts = []
    for location in locations:
        found, missing = [], None
        for split, column in itertools.product(scored_splits(location), columns):
            try:
                rows = list(read_examples(location, column, None, None, None, quoting, split))
            except InputError as error:
                missing = error
                continue
            found += [row[side] for row in rows for side in ("text", "text_pair") if side in row]
        if not found:
            raise missing
        texts += found
    return list(dict.fromkeys(texts))


def sentences_of(config, tokenizer, location, split, limit):
    """Returns the sentences of raw text, from the cache where there is one: Sentences."""
    data, settings = config.data, config.pretraining
    columns = settings.held_out_columns or data.text_columns[:1]
    texts = held_out_texts(settings.held_out, columns, data.quoting) if split == "train" else []
    notes = []

    def documents():
        rows = read_examples(location, data.text_columns[0], None, None, None, data.quoting, split, limit)
        return read_documents(rows)

    def chunks():
        found = without_leaks(documents(), texts, settings.leaks == "refuse", notes) if texts else documents()
        return tokenized_chunks(found, tokenizer)

    if not config.model.cache_dir:
        return Sentences(chunks())
    key = corpus_key(documents(), tokenizer, [*texts, settings.leaks] if texts else ())
    return cached_sentences(config.model.cache_dir, key, chunks, notes)


def corpus_of(config, tokenizer, task, split, location, limit=None, max_seq_length=None, seed=0):
    """Returns raw text as batches with masks: ExampleBatches; those of dev and test are the same with every seed.

    Args:
        config: Config.
        tokenizer: BertTokenizer.
        task: MaskedLM.
        split: "train", "dev" or "test".
        location: str. A data location.
        limit: int or None. Read so many rows only.
        max_seq_length: int or None. Default: the setting.
        seed: int. Decides segments, masks and order of the training text.
    """
    data, training, settings = config.data, config.training, config.pretraining
    train = split == "train"
    seed = seed if train else 0
    sentences = sentences_of(config, tokenizer, location, split, limit)

    def batches(length, **options):
        examples = SegmentExamples(sentences, tokenizer, length, task.next_sentence, settings.short_seq_prob, seed)
        masking = Masking(
            settings.masked_lm_prob,
            # No window of this length wants more, and each place for a prediction costs a product with the vocabulary.
            min(settings.max_predictions_per_seq, max(1, round(settings.masked_lm_prob * length))),
            settings.whole_word_masking,
            settings.max_ngram,
            settings.dynamic_masking,
        )
        batch_size = training.train_batch_size if train else training.eval_batch_size
        masker = WordMasker(tokenizer, length, masking, seed)
        return ExampleBatches(examples, batch_size, length, shuffle=train, seed=seed, masker=masker, **options)

    before = None
    if train and settings.short_seq_length:
        before = batches(settings.short_seq_length), round(settings.short_seq_share * training.max_steps)
    return batches(max_seq_length or data.max_seq_length, before=before)
