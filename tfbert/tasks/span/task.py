"""Extractive question answering: the span of a context that answers a question."""

import dataclasses

import numpy as np
from keras import ops
from scipy.special import logsumexp, softmax

from tfbert.data.batches import ExampleBatches
from tfbert.data.examples import objects
from tfbert.data.windows import LongText
from tfbert.models.text_model import check_head
from tfbert.tasks.labelled.decision import Decision
from tfbert.tasks.rules import RULES
from tfbert.tasks.span.answers import best_spans, no_answer_score
from tfbert.tasks.span.examples import Answered, QuestionExamples
from tfbert.tasks.span.model import build_span_model
from tfbert.tasks.span.scores import best_threshold, definition_for, scores_of
from tfbert.tasks.task import Task

# Alternatives written beside an answer; questions shown in a report; characters of context around an answer.
_ALTERNATIVES, _SHOWN, _BESIDE = 4, 8, 120
_EXACT, _F1, _ANSWERABLE = range(3)
# Left-out questions that are named.
_NAMED = 5


class Span(Task):
    """Finds the answer of a question in its context: softmax and cross-entropy over the tokens of a window.

    Labels and outputs of N questions are arrays of objects, [N]: tuples of the right answers, and Answered. In a batch,
    M windows have labels int32 [M, 2], first and last token, and outputs float32 [M, 2 * length]; where there is no
    answer, both are [CLS], 0. The loss is the mean of the two cross-entropies.

    Source: Devlin et al. 2018 (1810.04805), sections 4.2 and 4.3; google-research/bert `run_squad.py`. Deviation: the
    softmax is over the tokens of a window, not over padding.

    Attributes:
        labels: empty list, as there are no classes.
        outputs: 2. Logits of a token.
        unanswerable: bool. Whether some questions have no answer in their context, as in SQuAD 2.0.
        definition: str. Whose scores are computed: "squad" or, for Chinese answers, "cmrc".
        doc_stride, max_query_length, max_answer_length: int. Settings of these names.
        decision: Decision. Its threshold: how much better "no answer" must be than the best answer.
    """

    name = "span"
    default_metric = "f1"
    directions = {"f1": "higher", "exact_match": "higher", "f1_answerable": "higher", "f1_unanswerable": "higher"}
    rules = RULES["span"]
    saved_keys = ("unanswerable", "definition", "doc_stride", "max_query_length", "max_answer_length", "decision")
    hugging_face = "ForQuestionAnswering"
    mistake_columns = ("answer", "right", "F1")
    builder = "build_span_model"
    columns = ("text_column", "text_pair_column", "label_column", "id_column")
    reads = "questions"
    outputs = 2

    def __init__(
        self, unanswerable=False, definition="squad", doc_stride=128, max_query_length=64, max_answer_length=30
    ):
        self.labels, self.unanswerable, self.definition = [], unanswerable, definition
        self.doc_stride, self.max_query_length, self.max_answer_length = doc_stride, max_query_length, max_answer_length

    @classmethod
    def from_examples(cls, examples, *, doc_stride=128, max_query_length=64, max_answer_length=30):
        """Returns the task, which learns whether some questions have no answer, and the language of the answers."""
        answers, unanswerable = [], False
        for example in examples:
            unanswerable |= not example["label"]
            answers += [text for text, _ in example["label"][:1]]
        return cls(unanswerable, definition_for(answers), doc_stride, max_query_length, max_answer_length)

    def arguments(self):
        names = ("unanswerable", "definition", "doc_stride", "max_query_length", "max_answer_length")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_json(cls, about):
        task = cls(**{name: about[name] for name in cls.saved_keys if name != "decision"})
        task.decision = Decision(**about["decision"])
        return task

    def to_json(self):
        return super().to_json() | self.arguments() | {"decision": dataclasses.asdict(self.decision)}

    def graph_key(self):
        return {}

    @property
    def metric_names(self):
        return tuple(self.directions) if self.unanswerable else ("f1", "exact_match")

    @property
    def threshold_labels(self):
        """One threshold if questions may have no answer: list."""
        return ["no answer"] if self.unanswerable else []

    @property
    def null_threshold(self):
        """How much better no answer must be than the best answer: float."""
        return self.decision.thresholds[0] if self.decision.thresholds else 0.0

    @property
    def decides(self):
        """Whether the threshold of no answer is tuned on dev, bool."""
        return self.unanswerable

    def tokenized(self, rows, tokenizer, max_seq_length, long_text=LongText(), train=False):
        about = tokenizer, max_seq_length, self.doc_stride, self.max_query_length
        examples = QuestionExamples(rows(), *about, train=train)
        if examples.left_out:
            count = len(examples.left_out)
            named = ", ".join(examples.left_out[:_NAMED]) + ", …" * (count > _NAMED)
            print(f"{count:,} questions are left out, as their answer is not in the context: {named}.", flush=True)
        return examples

    def batches(self, tokenized, tokenizer, batch_size, max_seq_length, train=False, seed=0, renew=None):
        return ExampleBatches(tokenized, batch_size, max_seq_length, train, seed)

    def row_label(self, row):
        """Returns whether a question has an answer, as `strata` takes it: dict -> np.int64."""
        return np.int64(bool(row["label"]))

    def strata(self, labels, folds):
        """Returns whether questions have an answer: int [N] -> int [N]."""
        return labels

    def model(
        self, encoder, tokenizer, preset, max_seq_length, text_columns, init_seed=0, long_text=LongText(), labels=None
    ):
        return build_span_model(encoder, self, tokenizer, max_seq_length, text_columns, init_seed)

    def saved_model(self, encoder, about, reader, folder, windows_per_step=None):
        check_head(reader, [], 2, folder, "qa_outputs")
        model = build_span_model(encoder, self, None, about["max_seq_length"], about["text_columns"])
        model.load_head(reader, folder)
        return model

    def constant_answers(self, examples):
        """Returns outputs that say nothing: every token is as likely as any other."""
        length = int(examples.window_lengths.max())
        return objects(
            [Answered(each, np.zeros((len(each.starts), 2, length), np.float32)) for each in examples.questions]
        )

    def loss(self, labels, outputs):
        logits = ops.reshape(outputs, (ops.shape(outputs)[0], 2, -1))
        losses = ops.sparse_categorical_crossentropy(ops.cast(labels, "int32"), logits, from_logits=True)
        return ops.mean(losses, axis=1)

    def mean_loss(self, labels, outputs):
        """Returns the mean loss of all windows."""
        losses = []
        for each in outputs:
            logits, places = each.logits.astype(np.float64), each.question.places[..., np.newaxis]
            own = np.take_along_axis(logits, places, axis=2)[..., 0]
            losses += (logsumexp(logits, axis=2) - own).mean(axis=1).tolist()
        return float(np.mean(losses))

    def predicted(self, outputs):
        return ops.zeros((ops.shape(outputs)[0], 2))

    def answers(self, outputs):
        """Returns the answer of each question, and whether it is "": list of (str, list of Candidate, float gap)."""
        found = []
        for each in outputs:
            spans, nothing = best_spans(each, self.max_answer_length), no_answer_score(each)
            gap = nothing - spans[0].score if spans else np.inf
            silent = not spans or (self.unanswerable and gap > self.null_threshold)
            text = "" if silent else each.question.context[spans[0].start : spans[0].end]
            found.append((text, spans, gap))
        return found

    def metrics(self, labels, outputs):
        return self._means(self._scores(labels, outputs), np.ones((1, len(labels))), float)

    def resampled_scores(self, labels, outputs, weights):
        """Returns the scores under many weightings of the questions: dict of float64 [B]."""
        return self._means(self._scores(labels, outputs), weights, lambda values: values)

    def _scores(self, labels, outputs):
        """Returns exact match, F1, and whether there is an answer, of each question: float64 [N, 3]."""
        found = [text for text, *_ in self.answers(outputs)]
        pairs = zip(found, labels)
        return np.array([(*scores_of(text, right, self.definition), bool(right)) for text, right in pairs])

    def _means(self, scores, weights, plain):
        def mean(values, weights):
            with np.errstate(invalid="ignore", divide="ignore"):
                found = weights @ values / weights.sum(axis=1)
            return plain(found[0]) if len(found) == 1 else plain(found)

        means = {"f1": mean(scores[:, _F1], weights), "exact_match": mean(scores[:, _EXACT], weights)}
        if self.unanswerable:
            answerable = scores[:, _ANSWERABLE]
            means["f1_answerable"] = mean(scores[:, _F1], weights * answerable)
            means["f1_unanswerable"] = mean(scores[:, _F1], weights * (1 - answerable))
        return {name: value for name, value in means.items() if np.ndim(value) or np.isfinite(value)}

    def fit_decision(self, labels, outputs, calibrate=False, metric=None):
        """Returns the decision with the threshold of no answer that has the largest F1: Decision."""
        with_answer, without, gaps = [], [], []
        for each, right in zip(outputs, labels):
            spans = best_spans(each, self.max_answer_length)
            text = each.question.context[spans[0].start : spans[0].end] if spans else ""
            gaps.append(no_answer_score(each) - spans[0].score if spans else np.finfo(np.float32).max)
            # As the official script has it: any text is wrong where there is no answer.
            with_answer.append(scores_of(text, right, self.definition)[1] if right else float(not text))
            without.append(scores_of("", right, self.definition)[1])
        _, threshold = best_threshold(np.array(gaps), np.array(with_answer), np.array(without))
        return dataclasses.replace(self.decision, thresholds=(threshold,))

    def describe_fit(self, labels, calibrate=False, metric=None):
        return [f'"" is answered where no answer scores more than {self.null_threshold:.4f} above the best answer, '
                "tuned on dev, whose scores are therefore optimistic."]  # fmt: skip

    def predictions(self, outputs, rows=None):
        """Returns the answer of each question for output.

        Args:
            outputs: object [N] of Answered.
            rows: not used.

        Returns:
            list of dict: `answer` (a slice of the context, "" where there is none), `start` and `end` in characters
            (None where there is none), `probability` (among the best answers), `alternatives`, list of dict with the
            same keys; and, where questions may have no answer, `no_answer_probability`.
        """
        found = []
        for each, (text, spans, gap) in zip(outputs, self.answers(outputs)):
            scores = [span.score for span in spans] + [no_answer_score(each)] * (self.unanswerable or not spans)
            shares = [round(float(share), 6) for share in softmax(np.array(scores))]
            candidates = [
                {"answer": each.question.context[span.start : span.end], "start": span.start, "end": span.end,
                 "probability": share}
                for span, share in zip(spans, shares)
            ]  # fmt: skip
            if text or (spans and not self.unanswerable):
                first, *others = candidates
            else:
                first = {"answer": "", "start": None, "end": None, "probability": shares[-1]}
                others = candidates
            found.append(first | {"alternatives": others[:_ALTERNATIVES]})
            if self.unanswerable:
                found[-1]["no_answer_probability"] = shares[-1]
        return found

    def announcement(self, batches):
        examples = batches.examples
        without = sum(not right for right in examples.labels)
        about = f"{examples.rows:,} in {examples.size:,} windows"
        if self.unanswerable:
            about += f"; {without:,} have no answer in their context"
        scored = {"squad": "SQuAD's", "cmrc": "CMRC 2018's, as answers are Chinese"}[self.definition]
        return [("questions", about), ("scores", f"{scored} (detected)")]

    def mistakes(self, labels, outputs, most):
        """Returns the questions with the lowest F1, the surest answer first."""
        found = []
        for number, (each, right, (text, _, gap)) in enumerate(zip(outputs, labels, self.answers(outputs))):
            score = scores_of(text, right, self.definition)[1]
            if score < 1:
                found.append((number, text, " / ".join(dict.fromkeys(right)) or "(none)", score, gap))
        found.sort(key=lambda each: (each[3], each[4] if each[1] else -each[4], each[0]))
        return found[:most]

    def shown_mistake(self, row, mistake):
        _, text, right, score, _ = mistake
        context = _around(row["text_pair"], text or (row["label"][0][0] if row.get("label") else ""))
        return text or "(none)", right, f"{score:.4f}", f"{row['text']} | {context}"

    def answer_tables(self, labels, outputs):
        rows = []
        for each, right, (text, spans, _) in zip(outputs, labels, self.answers(outputs)):
            if text and scores_of(text, right, self.definition)[0] == 1 and len(rows) < _SHOWN:
                rows.append([each.question.text, text, _around(each.question.context, text)])
        return [("Some right answers", ["question", "answer", "context"], rows)] if rows else []

    def card(self):
        return [f"Answers are slices of the context, of at most {self.max_answer_length} tokens."]

    def usage(self, pairs):
        return 'tfbert.predict(model, [("Who lives in Berlin?", "John lives in Berlin.")])'


def _around(context, answer):
    """Returns the part of a context around an answer, which stands in brackets: str, str -> str."""
    place = context.find(answer) if answer else -1
    if place < 0:
        return context[: 2 * _BESIDE] + "…" * (len(context) > 2 * _BESIDE)
    first, last = max(place - _BESIDE, 0), place + len(answer) + _BESIDE
    before, after = context[first:place], context[place + len(answer) : last]
    return "…" * (first > 0) + f"{before}[{answer}]{after}" + "…" * (last < len(context))
