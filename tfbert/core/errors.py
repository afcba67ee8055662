"""The one error that speaks to the user of the program rather than to its programmer."""


class InputError(ValueError):
    """Something the user gave cannot be used: a setting, a file, a row, a label, a model folder.

    The message is one or two sentences: what was received, what is allowed, how to mend it.
    `tfbert.run` prints it without a traceback and exits with status 1.
    """


class WrongType(InputError, TypeError):
    """A caller's argument is of a type that cannot be used."""


class UnknownName(InputError, KeyError):
    """A table has nothing of a name."""

    __str__ = Exception.__str__  # a KeyError shows its message as Python writes a string


class Diverged(InputError):
    """The loss of a run, its weights or a model's outputs are not finite."""


class CannotWrite(InputError):
    """A file cannot be written, such as to a full disk: no fault of what was asked for."""
