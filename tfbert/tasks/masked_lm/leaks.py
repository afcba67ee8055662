"""Detection of test texts in the pre-training text, which are removed or refused."""

import re
import unicodedata

from tfbert.core.errors import InputError

# PaLM (Chowdhery et al. 2022, 2204.02311, section 8) calls a text contaminated if at least 70 % of its 8-grams occur.
_NGRAM, _NEAR = 8, 0.7
_CJK = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")


class HeldOutTexts:
    """Texts that must not occur in a corpus, searched for while it is read.

    Texts are equal if their words are, regardless of case, punctuation and whitespace; a Chinese character is a word. A
    text of eight or more words is found anywhere in a document, a shorter one only if it is a whole sentence or
    document. Near-duplicates are texts of which 70 % of the 8-grams occur somewhere in the corpus.

    Attributes:
        texts: list of str.
        exact: set of int. The numbers of those found so far.
        removed: int. Number of sentences of the corpus that contained them.
    """

    def __init__(self, texts):
        """Takes the texts: iterable of str."""
        self.texts, self.exact, self.removed = list(texts), set(), 0
        self._words = [words_of(text) for text in self.texts]
        self._short, self._beginning, self._seen = {}, {}, {}
        for number, words in enumerate(self._words):
            if len(words) >= _NGRAM:
                self._beginning.setdefault(hash(tuple(words[:_NGRAM])), []).append(number)
                self._seen |= dict.fromkeys(_ngrams(words), False)
            elif words:
                self._short.setdefault(tuple(words), []).append(number)

    def taken_out(self, documents):
        """Yields documents without the sentences that contain one of the texts: lists of str -> lists of str."""
        for document in documents:
            found = self._sentences_that_leak(document)
            self.removed += len(found)
            kept = [sentence for number, sentence in enumerate(document) if number not in found]
            if kept:
                yield kept

    def near(self):
        """Returns the numbers of near-duplicates, once the corpus has been read: list of int."""
        near = []
        for number, words in enumerate(self._words):
            ngrams = _ngrams(words)
            if number not in self.exact and ngrams:
                near += [number] * (sum(self._seen[ngram] for ngram in ngrams) >= _NEAR * len(ngrams))
        return near

    def refuse(self):
        """Raises InputError if one of the texts was found."""
        if self.exact:
            raise InputError(
                f"{len(self.exact)} of {len(self.texts)} held-out texts occur in the training text, such as "
                f"{self.texts[min(self.exact)][:80]!r}; scores on them would be inflated. --leaks=remove removes them."
            )

    def describe(self):
        """Returns a sentence on what was found."""
        near = self.near()
        such = f", such as {self.texts[near[0]][:80]!r}" if near else ""
        return (
            f"Of {len(self.texts)} held-out texts, {len(self.exact)} occur in the training text, from which "
            f"{self.removed} sentences are removed; {len(near)} more occur nearly verbatim{such}."
        )

    def _sentences_that_leak(self, document):
        sentences = [words_of(sentence) for sentence in document]
        words = [word for sentence in sentences for word in sentence]
        owner = [number for number, sentence in enumerate(sentences) for _ in sentence]
        found = set()
        for place, ngram in enumerate(_ngrams(words)):
            if ngram not in self._seen:
                continue
            self._seen[ngram] = True
            for number in self._beginning.get(ngram, ()):
                length = len(self._words[number])
                if words[place : place + length] == self._words[number]:
                    self.exact.add(number)
                    found.update(owner[place : place + length])
        for number, sentence in enumerate(sentences):
            if tuple(sentence) in self._short:
                self.exact.update(self._short[tuple(sentence)])
                found.add(number)
        if tuple(words) in self._short:
            self.exact.update(self._short[tuple(words)])
            found.update(range(len(document)))
        return found


def words_of(text):
    """Returns the words of a text, normalised: str -> list of str."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _ngrams(words):
    """Returns the hash of every n-gram, in order: list of str -> list of int."""
    return [hash(tuple(words[place : place + _NGRAM])) for place in range(len(words) - _NGRAM + 1)]
