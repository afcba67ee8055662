"""Tables of variants: each name refers to an object in some module, which is imported on first use."""

import collections.abc
import importlib

from tfbert.core.errors import UnknownName
from tfbert.core.names import did_you_mean


class Variants(collections.abc.MutableMapping):
    """A table of the objects that a setting chooses from, by name, each in a module that is imported on first use.

    The names are known, and a wrong one is refused, before anything is imported. You can add your own:
    `tfbert.TASKS["ordinal"] = Ordinal`.
    """

    def __init__(self, **places):
        """Takes the place of each object by name: "module:NAME"."""
        self._places = places

    def __getitem__(self, name):
        if name not in self._places:
            raise UnknownName(
                f"The known names are {', '.join(self._places)}. Received: {name!r}.{did_you_mean(name, self._places)}"
            )
        place = self._places[name]
        if not isinstance(place, str):
            return place
        module, _, attribute = place.partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __setitem__(self, name, place):
        self._places[name] = place

    def __delitem__(self, name):
        del self._places[name]

    def __iter__(self):
        return iter(self._places)

    def __len__(self):
        return len(self._places)
