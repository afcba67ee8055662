"""Data augmentation: modified copies of training texts that keep their labels."""

import functools
import importlib
import itertools
import logging
import random
import re
import unicodedata

import numpy as np

from tfbert.core.errors import InputError
from tfbert.core.extras import install_command
from tfbert.core.names import did_you_mean
from tfbert.data.examples import next_chunk
from tfbert.data.values import describe

# A word: one Chinese, Japanese or Korean character, or a run of other characters between spaces and these.
CJK = "\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{CJK}]|[^\s{CJK}]+")

# A Chinese character.
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")

_SIDES = ("text", "text_pair")

# Only letters, and not part of a contraction.
_LETTERS = re.compile(r"(?<![\w'])[^\W\d_]+(?![\w'])")


def delete_words(text, rng, probability):
    """Drops each word with some probability, but keeps at least one.

    Args:
        text: str.
        rng: np.random.Generator.
        probability: float.

    Source: Wei and Zou 2019 (1901.11196), random deletion.
    """
    words = [word.span() for word in _WORD.finditer(text)]
    dropped = rng.random(len(words)) < probability
    if words and dropped.all():
        dropped[rng.integers(len(words))] = False
    return _without(text, [word for word, drop in zip(words, dropped) if drop])


def swap_words(text, rng, probability):
    """Swaps two random words, as often as the probability times the number of words, but at least once.

    Args as for `delete_words`. Source: Wei and Zou 2019 (1901.11196), random swap.
    """
    found = list(_WORD.finditer(text))
    words = [word.group() for word in found]
    if len(words) < 2:
        return text
    for _ in range(max(1, round(probability * len(words)))):
        first, second = rng.choice(len(words), 2, replace=False)
        words[first], words[second] = words[second], words[first]
    between = [text[a.end() : b.start()] for a, b in zip(found, found[1:])]
    inside = "".join(part for pair in zip(words, [*between, ""]) for part in pair)
    return text[: found[0].start()] + inside + text[found[-1].end() :]


def insert_words(text, rng, probability):
    """Inserts words of the text at random places, as often as the probability times their number, but at least once.

    Args as for `delete_words`. Source: Wei and Zou 2019 (1901.11196), random insertion. Deviation: they
    insert synonyms of the text's words from WordNet, which covers only English.
    """
    words = [word.group() for word in _WORD.finditer(text)]
    for _ in range(max(1, round(probability * len(words))) if words else 0):
        places = [word.start() for word in _WORD.finditer(text)]
        place, word = places[rng.integers(len(places))], words[rng.integers(len(words))]
        between = "" if re.fullmatch(f"[{CJK}]", word) else " "
        text = text[:place] + word + between + text[place:]
    return text


def drop_punctuation(text, rng, probability):
    """Drops each punctuation mark (Unicode category P) with some probability; args as for `delete_words`."""
    marks = (unicodedata.category(character).startswith("P") for character in text)
    return "".join(character for character, mark in zip(text, marks) if not (mark and rng.random() < probability))


def drop_stop_words(text, rng, probability):
    """Drops each English or Chinese stop word with some probability; args as for `delete_words`.

    Raises:
        InputError: the text contains Chinese, and the packages for it are not installed.

    Source: scikit-learn's English list, that of the Glasgow Information Retrieval Group, and the Chinese list of
    stopwords-iso, with words as segmented by jieba.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    words = [word.span() for word in _LETTERS.finditer(text) if word.group().lower() in ENGLISH_STOP_WORDS]
    if HAN.search(text):
        jieba, stop_words = _chinese()
        words += [(start, end) for word, start, end in jieba.tokenize(text) if HAN.match(word) and word in stop_words]
    return _without(text, [word for word in sorted(words) if rng.random() < probability])


@functools.cache
def _chinese():
    """Returns the module jieba and the set of Chinese stop words."""
    try:
        import jieba
        import stopwordsiso
    except ImportError:
        raise InputError(
            f"--augment=drop_stop_words needs jieba and stopwordsiso for Chinese: {install_command('chinese')}."
        ) from None
    jieba.setLogLevel(logging.WARNING)
    return jieba, stopwordsiso.stopwords("zh")


AUGMENTATIONS = {
    function.__name__: function
    for function in (delete_words, swap_words, insert_words, drop_punctuation, drop_stop_words)
}


def _of_nlpaug(name):
    """Returns an augmenter of nlpaug, such as char.KeyboardAug, as an augmentation."""
    module, _, kind = name.rpartition(".")
    try:
        augmenter = getattr(importlib.import_module(f"nlpaug.augmenter.{module}"), kind)()
    except ModuleNotFoundError as error:
        if error.name == "nlpaug":
            raise InputError(f"--augment=nlpaug:{name} needs nlpaug: {install_command('nlpaug')}.") from None
        raise InputError(f"--augment=nlpaug:{name}: {error}; a valid name is char.KeyboardAug, for example.") from None
    except Exception as error:  # some need resources of their own
        raise InputError(f"--augment=nlpaug:{name} cannot be created: {type(error).__name__}: {error}.") from None

    def augment(text, rng, probability):
        random.seed(int(rng.integers(2**32)))  # it uses the global generators of the process
        np.random.seed(int(rng.integers(2**32)))
        return next(iter(augmenter.augment(text)), text)

    return augment


def find_augmentation(name):
    """Returns an augmentation by its name: callable (text, rng, probability) -> str.

    Args:
        name: str. A key of AUGMENTATIONS; `nlpaug:char.KeyboardAug`, an augmenter of that library with its default
            arguments; or MODULE:FUNCTION, an importable function (text, rng) -> str.

    Raises:
        InputError: there is no such augmentation.
    """
    if name in AUGMENTATIONS:
        return AUGMENTATIONS[name]
    module, _, function = name.partition(":")
    if module == "nlpaug":
        return _of_nlpaug(function)
    try:
        found = getattr(importlib.import_module(module), function) if function else None
    except Exception as error:  # importing it runs the user's own code
        raise InputError(f"--augment={name} cannot be imported: {type(error).__name__}: {error}.") from None
    if not callable(found):
        known = ", ".join([*AUGMENTATIONS, "masked_words:FOLDER", "nlpaug:KIND"])
        hint = did_you_mean(name, AUGMENTATIONS)
        raise InputError(f"--augment takes {known} or MODULE:FUNCTION. Received: {name!r}.{hint}")
    return lambda text, rng, probability: found(text, rng)


def with_copies(examples, names, copies, probability, seed, epoch=0, find=find_augmentation):
    """Yields each example, followed by its modified copies, each made by a randomly drawn augmentation.

    A copy depends only on the seed, the epoch, the row number and the number of the copy.

    Args:
        examples: iterable of dict, as `read_examples` yields them.
        names: sequence of str, as `find` takes them.
        copies: int.
        probability: float.
        seed, epoch: int.
        find: callable (name) -> callable (text, rng, probability) -> str. If that has a method `many` (texts, rngs,
            probability), it is called with the texts of many rows at a time.

    Raises:
        InputError: there is no such augmentation, or a user's function fails or does not return a str.
    """
    functions = [find(name) for name in names]
    return _copied(examples, list(zip(names, functions)), copies, probability, (seed, epoch))


def _copied(examples, functions, copies, probability, seeds):
    rows = enumerate(examples)
    while chunk := next_chunk(rows, lambda row: sum(len(row[1][side]) for side in _SIDES if side in row[1])):
        drawn = []
        for row, example in chunk:
            for copy in range(copies):
                rng = np.random.default_rng([*seeds, row, copy])
                drawn.append((functions[rng.integers(len(functions))], rng, dict(example)))
        for function in dict.fromkeys(functions):
            _change([(changed, rng) for chosen, rng, changed in drawn if chosen == function], *function, probability)
        copied = iter(drawn)
        for _, example in chunk:
            yield example
            yield from (changed for _, _, changed in itertools.islice(copied, copies))


def _change(examples, name, function, probability):
    """Changes the texts of examples in place, each with its own generator; in one call if the function supports it."""
    for side in _SIDES:
        given = [(changed, rng) for changed, rng in examples if side in changed]
        if hasattr(function, "many"):
            texts = function.many([changed[side] for changed, _ in given], [rng for _, rng in given], probability)
        else:
            texts = [_checked(name, function, each[side], rng, probability, each["where"]) for each, rng in given]
        for (changed, _), text in zip(given, texts):
            changed[side] = text


def _checked(name, function, text, rng, probability, where):
    try:
        changed = function(text, rng, probability)
    except Exception as error:  # a user's function may raise anything
        raise InputError(f"{describe(where)}: --augment={name} fails: {type(error).__name__}: {error}.") from None
    if not isinstance(changed, str):
        raise InputError(f"{describe(where)}: --augment={name} must return a text. Received: {changed!r}.")
    return changed


def _without(text, words):
    """Returns a text without some of its words, given as (start, end), and without the space after each."""
    parts, start = [], 0
    for begin, end in words:
        parts.append(text[start:begin])
        start = end + (text[end : end + 1].isspace())
    return "".join([*parts, text[start:]])
