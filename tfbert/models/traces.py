"""What TensorFlow has traced of a model, kept with the model for the next call."""


class KeepsTraces:
    """A base of Keras models that keep what has been traced of them."""

    def traced(self, kind, make):
        """Returns make(), a traced function or what holds it, from the second time on the one that is kept.

        It is made anew once `trace_state` is another: what is traced goes on with the variables that it has seen.

        Args:
            kind: hashable. One is kept for each.
            make: callable ().
        """
        kept = vars(self).setdefault("_traced", {})  # as an attribute that is set, Keras would track it
        state, variables = self.trace_state(), self.variables
        if kind not in kept or kept[kind][0] != state:
            kept[kind] = state, variables, make()  # the variables, as the id of one that is gone can be another's
        return kept[kind][2]

    def trace_state(self):
        """Returns what a trace depends on: list, here which variables the model has."""
        return list(map(id, self.variables))
