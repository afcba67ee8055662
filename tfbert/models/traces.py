"""Traced functions of a model, cached with the model."""


class KeepsTraces:
    """A base class of Keras models that cache their traced functions."""

    def traced(self, kind, make):
        """Returns make(), a traced function or an object that holds one, cached from the first call on.

        It is created again when `trace_state` changes, since a traced function keeps using the variables it was traced
        with.

        Args:
            kind: hashable. The key in the cache.
            make: callable ().
        """
        kept = vars(self).setdefault("_traced", {})  # Keras would track it if it were set as an attribute
        state, variables = self.trace_state(), self.variables
        if kind not in kept or kept[kind][0] != state:
            kept[kind] = state, variables, make()  # the variables themselves, as ids may be reused
        return kept[kind][2]

    def trace_state(self):
        """Returns what a trace depends on: list, here the variables of the model."""
        return list(map(id, self.variables))
