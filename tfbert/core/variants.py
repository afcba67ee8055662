"""Tables of variants: a name stands for what is in some module, which is loaded when it is first asked for."""

import collections.abc
import importlib


class Variants(collections.abc.Mapping):
    """A table of what a setting may choose from: name -> object, which a module of its own holds.

    The names are known, and a wrong one is refused, before anything is loaded.
    """

    def __init__(self, **places):
        """Takes for each name where its object is: "module:NAME"."""
        self._places = places

    def __getitem__(self, name):
        module, _, attribute = self._places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self):
        return iter(self._places)

    def __len__(self):
        return len(self._places)
