"""Questions, tokenised once: windows over their contexts, and where the answers are in them."""

import copy
import dataclasses
import hashlib

import numpy as np
import tensorflow as tf

from tfbert.core.errors import InputError
from tfbert.data.examples import TokenizedExamples, checked_examples, next_chunk, objects, padded, part_numbers
from tfbert.data.words import word_spans
from tfbert.models.tokenizers.word_tokens import tokens_of_words
from tfbert.tasks.span.offsets import token_offsets


@dataclasses.dataclass(frozen=True)
class Question:
    """A question over its context.

    Attributes:
        text, context: str.
        answers: tuple of str. The right ones; empty: there is none in the context, or none is known.
        offsets: int32 [tokens, 2]. Where the context's tokens are in it, in characters.
        starts: int64 [windows]. The first token of the context in each window.
        first: int. The place in a window of its first token of the context.
        room: int. Tokens of the context in a window, at most.
        places: int32 [windows, 2]. First and last token of the answer in each window, 0 where it is not there.
    """

    text: str
    context: str
    answers: tuple
    offsets: np.ndarray
    starts: np.ndarray
    first: int
    room: int
    places: np.ndarray


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a model says of a question.

    Attributes:
        question: Question.
        logits: np.float32 [windows, 2, max_seq_length]. Of each token of a window to be the answer's first, and last.
    """

    question: Question
    logits: np.ndarray


class QuestionExamples(TokenizedExamples):
    """Windows of questions as examples: [CLS] question [SEP] part of the context [SEP].

    The windows of a long context start `stride` tokens after each other, until one ends with the context. In a window
    without the whole answer, the answer is at [CLS].

    Source: google-research/bert `run_squad.py`, `convert_examples_to_features`. Deviation: answers are found by their
    characters, not by words; a training question whose answer is not in its context is left out and told.

    Attributes, besides those of TokenizedExamples, whose examples are the windows:
        labels: object [rows] of tuple of str. The right answers of each question; None without answers.
        questions: object [rows] of Question.
        numbers: np.int64 [rows]. The place of each among the rows that were tokenised, from 0.
        left_out: list of str. The questions that were left out, by id or place.
    """

    def __init__(self, rows, tokenizer, max_seq_length, stride=128, longest_question=64, labelled=True, train=False):
        """Tokenises questions as they are read.

        Args:
            rows: iterable of dict with `text`, `text_pair` and, of known answers, `label`, list of (text, place).
            tokenizer: BertTokenizer.
            max_seq_length: int. The longest window.
            stride: int. Tokens from the start of a window to that of the next.
            longest_question: int. Tokens of a question; more are cut off.
            labelled: bool. Whether answers are needed.
            train: bool. Whether questions with an answer that is not in the context are left out.

        Raises:
            InputError: no question is left, or a window has no room for the context beside a question.
        """
        if max_seq_length < longest_question + 4:
            raise InputError(
                f"--max_seq_length={max_seq_length} leaves no room for the context beside a question of "
                f"--max_query_length={longest_question} tokens; raise the first, or lower the second."
            )
        self.left_out, questions, numbers = [], [], []
        rows = enumerate(checked_examples(rows, labelled))

        def windows():
            while chunk := next_chunk(rows, lambda row: len(row[1]["text"]) + len(row[1].get("text_pair", ""))):
                made, firsts = [], []
                for (number, row), (question, context, offsets) in zip(chunk, _tokenized(chunk, tokenizer)):
                    question = question[:longest_question]
                    room = max_seq_length - len(question) - 3
                    known = _question(row, len(question) + 2, room, offsets, stride)
                    if train and known.answers and known.places is None:
                        self.left_out.append(str(row.get("id", f"{row['where'][0]}, line {row['where'][1]}")))
                        continue
                    questions.append(known if known.places is not None else _without_place(known))
                    numbers.append(number)
                    before = [tokenizer.cls_id, *question, tokenizer.sep_id]
                    made += [[*before, *context[at : at + room], tokenizer.sep_id] for at in known.starts]
                    firsts += [len(before)] * len(known.starts)
                if made:
                    sizes, nothing = np.array([len(window) for window in made], np.int32), np.zeros(len(made), np.int32)
                    flat = np.concatenate(made).astype(np.int32)
                    yield flat, sizes, np.array(firsts, np.int32), np.ones_like(sizes), nothing, sizes
            if not questions:
                raise InputError("There are no questions with an answer in their context; at least one is needed.")

        super().__init__(windows(), lambda: None)
        self._keep_questions(objects(questions), np.array(numbers), labelled)
        digest = hashlib.sha256(self.fingerprint.encode() + repr([each.answers for each in questions]).encode())
        digest.update(self._places.numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def _keep_questions(self, questions, numbers, labelled):
        self.questions, self.numbers = questions, numbers
        self.labels = objects([each.answers for each in questions]) if labelled else None
        with tf.device("CPU"):
            self._places = tf.constant(np.concatenate([each.places for each in questions]), tf.int32)

    @property
    def rows(self):
        """The number of questions: int."""
        return len(self.numbers)

    def subset(self, indices):
        """Returns some of the questions, by number: int [n] -> QuestionExamples, which shares the tokens."""
        whole = copy.copy(self)
        whole.labels, whole.numbers = None, np.arange(self.size)
        counts = np.array([len(each.starts) for each in self.questions])
        chosen = TokenizedExamples.subset(whole, part_numbers(counts, indices))
        chosen._keep_questions(self.questions[indices], self.numbers[indices], self.labels is not None)
        return chosen

    def labelled(self, features, indices, slots, static=False):
        """Completes a batch: adds `window_lengths` int32 [M]; labels are int32 [M, 2], first and last token."""
        lengths = tf.cast(tf.gather(self._lengths, indices), tf.int32)
        features = features | {"window_lengths": padded(lengths, slots)}
        weights = padded(tf.ones([tf.size(indices)]), slots)
        return features, padded(tf.gather(self._places, indices), slots), weights

    def of_rows(self, outputs):
        """Returns the outputs of windows by question: float32 [windows, 2 * length] -> object [rows] of Answered."""
        ends = np.cumsum([len(each.starts) for each in self.questions])
        logits = np.split(outputs.reshape(len(outputs), 2, -1), ends[:-1])
        return objects([Answered(*pair) for pair in zip(self.questions, logits)])


def window_starts(size, room, stride):
    """Returns the first token of each window over a context: int, int, int -> int64 [windows].

    Args:
        size: int. Tokens of the context.
        room: int. Tokens of a window.
        stride: int. Tokens from the start of a window to that of the next.

    Source: google-research/bert `run_squad.py`, `convert_examples_to_features`.

    Example:
        >>> window_starts(10, 6, 3).tolist()
        [0, 3, 6]
    """
    starts = [0]
    while starts[-1] + room < size:
        starts.append(starts[-1] + min(room, stride))
    return np.array(starts)


def find_answer(context, text, place):
    """Returns where an answer is in its context, the nearest to where it should be: int, None if it is nowhere."""
    if place is not None and context[place : place + len(text)] == text:
        return place
    found, places = context.find(text), []
    while found >= 0 and text:
        places.append(found)
        found = context.find(text, found + 1)
    return min(places, key=lambda each: abs(each - (place or 0)), default=None)


def _question(row, first, room, offsets, stride):
    """Returns a Question; its places are None if there are answers, and the first is not in the context."""
    answers, context = row.get("label", ()), row["text_pair"]
    starts = window_starts(len(offsets), room, stride)
    places = np.zeros((len(starts), 2), np.int32)
    if answers:
        text, place = answers[0]
        begin = find_answer(context, text, place)
        inside = [] if begin is None else np.flatnonzero((offsets[:, 1] > begin) & (offsets[:, 0] < begin + len(text)))
        if len(inside):
            ends = np.array([inside[0], inside[-1]])
            within = (starts <= ends[0]) & (ends[1] < starts + room)
            places[within] = ends - starts[within, np.newaxis] + first
        else:
            places = None
    texts = tuple(text for text, _ in answers)
    return Question(row["text"], context, texts, offsets, starts, first, room, places)


def _without_place(question):
    return dataclasses.replace(question, places=np.zeros((len(question.starts), 2), np.int32))


def _tokenized(chunk, tokenizer):
    """Yields (tokens of the question, tokens of the context, their offsets) of some rows; equal contexts once."""
    rows = [row for _, row in chunk]
    contexts = list(dict.fromkeys(row["text_pair"] for row in rows))
    spans = [word_spans(context) for context in contexts]
    words = [context[start:end] for context, own in zip(contexts, spans) for start, end in own]
    tokens, counts = tokens_of_words(tokenizer, words)
    known, word, token = {}, 0, 0
    for context, own in zip(contexts, spans):
        sizes = counts[word : word + len(own)]
        inside = tokens[token : token + sizes.sum()]
        known[context] = inside, token_offsets(context, own, inside, sizes, tokenizer)
        word, token = word + len(own), token + sizes.sum()
    questions, lengths = tokens_of_words(tokenizer, [row["text"] for row in rows])
    for row, own in zip(rows, np.split(questions, np.cumsum(lengths)[:-1])):
        yield own, *known[row["text_pair"]]
