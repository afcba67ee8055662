"""Lets a module and its function share a public name: `tfbert.run(config)` beside `python -m tfbert.run`."""

import sys
import types


class _CallableModule(types.ModuleType):
    def __call__(self, *args, **kwargs):
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


def make_callable(name):
    """Makes the module of that name call its function of the same name.

    Once `tfbert.predict` has been imported as a module, Python lets the attribute `predict` of the package stand for
    the module; calling it must still predict.
    """
    sys.modules[name].__class__ = _CallableModule
