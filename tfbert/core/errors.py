"""Errors that address the user of the program rather than its programmer."""


class InputError(ValueError):
    """Something the user gave cannot be used: a setting, a file, a row, a label, a model folder.

    The message is one or two sentences: what was received, what is allowed, how to fix it.
    `tfbert.run` prints it without a traceback and exits with status 1.

    Example:
        >>> try:
        ...     tfbert.load_config(learning_rate="fast")
        ... except tfbert.InputError as error:
        ...     print(error)
        --learning_rate must be a number > 0.0. Received: 'fast'.
    """


class WrongType(InputError, TypeError):
    """An argument has an unsupported type."""


class UnknownName(InputError, KeyError):
    """A table has no entry of this name."""

    __str__ = Exception.__str__  # a KeyError would show the repr of its message


class Diverged(InputError):
    """The loss of a run, its weights or a model's outputs are not finite."""


class CannotWrite(InputError):
    """A file cannot be written, for example because the disk is full; the request itself was valid."""
