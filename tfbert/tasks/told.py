"""What a task tells its user: about data before training, and about a trained model."""


class Told:
    """The part of `Task` that speaks to a reader: announcements, advice, remarks, and the sections of a report.

    Attributes of the class:
        ranking_metrics: tuple of str. Scores of how outputs rank the examples, whatever the threshold; 1 is perfect.
        mistake_columns: tuple of str. What `mistakes` says of a row: the label, the answer, and how wrong it is.
        shows: bool. Whether `shown` asks the model.
    """

    ranking_metrics = ()
    mistake_columns = ("label", "answer", "")
    shows = False

    def suspicious(self, labels):
        """Returns warnings about suspicious training labels: [N, ...] -> list of str."""
        return []

    def advice(self, labels, given=frozenset(), scored=True):
        """Returns settings to try, each with its reason: list of str. None is about a setting that is given already.

        Args:
            labels: np.ndarray [N, ...]. The training data's.
            given: set of str. The names of the settings that are not at their default.
            scored: bool. Whether there are dev rows, on which to choose a model or a threshold.
        """
        return []

    def counted(self, labels):
        """Returns how often each label occurs: np.ndarray [N, ...] -> list of (label, float)."""
        return []

    def labelled_count(self, labels):
        """Returns how many things have a label, one per row unless a subclass says else: [N, ...] -> int."""
        return len(labels)

    def announcement(self, batches):
        """Returns what to say of the training data as training begins: ExampleBatches -> list of (name, what it is)."""
        return []

    def has_learned(self, scores, baseline):
        """Says whether a score of `ranking_metrics` is a third of the way from that of one answer to perfection.

        Args:
            scores: dict. A model's.
            baseline: dict. Those of one answer to every example.
        """
        known = [name for name in self.ranking_metrics if name in scores and name in baseline]
        return any(scores[name] - baseline[name] >= (1 - baseline[name]) / 3 for name in known)

    def remarks(self, labels, outputs, scores, given=frozenset()):
        """Returns what the answers of a trained model have wrong as a whole, and a setting that may mend it.

        Args:
            labels: np.ndarray [N, ...]. Those of dev.
            outputs: np.float32 [N, outputs].
            scores: dict. Those of these outputs.
            given: set of str. The names of the settings that are not at their default.

        Returns:
            list of (sentence, flag), the worst first; the flag is "" where none is known.
        """
        return []

    def mistakes(self, labels, outputs, most):
        """Returns the examples that a model is most wrong about, the worst first.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            most: int. How many at most.

        Returns:
            list of (number of the example from 0, label, answer, how wrong it is), the last three str.
        """
        return []

    def shown_mistake(self, row, mistake):
        """Returns what a report shows of a mistake: (label, answer, how wrong it is, text).

        Args:
            row: dict, as `read_examples` yields it.
            mistake: tuple, as `mistakes` returns it.
        """
        return (*mistake[1:], " | ".join(row[side] for side in ("text", "text_pair") if side in row))

    def shown(self, model, examples):
        """Returns what a trained model shows besides its scores, for eval_results.json: dict."""
        return {}

    def tables(self, results):
        """Returns the result of `shown` as report tables: eval_results.json's dict -> list of (title, head, rows)."""
        return []

    def answer_tables(self, labels, outputs):
        """Returns tables on the answers for a report: [N, ...], [N, outputs] -> list of (title, head, rows)."""
        return []

    def quality(self, labels, outputs):
        """Returns the quality of the predictions for a report: Quality, or None if there are no classes."""
        return None

    def doubted(self, labels, outputs, most):
        """Returns rows whose label is likely wrong, according to models that were not trained on them.

        Args:
            labels: np.ndarray [N, ...].
            outputs: np.float32 [N, outputs].
            most: int. Maximum number of rows.

        Returns:
            list of (row, given label, predicted label, probability of the given label), ranked; None if not computed.
        """
        return []

    def card(self):
        """Returns the lines of the model card about the outputs: list of str."""
        return []

    def usage(self, pairs):
        """Returns a line of Python that uses a trained `model`: str.

        Args:
            pairs: bool. Whether it was trained on pairs of texts.
        """
        text = '("...", "...")' if pairs else '"..."'
        return f"tfbert.predict(model, [{text}])"
