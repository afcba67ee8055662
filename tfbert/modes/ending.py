"""How the command line ends: with an exit status and, for errors of the user or machine, one sentence."""

import contextlib
import os
import sys

from tfbert.core.errors import InputError
from tfbert.training.signals import Interrupted

# TensorFlow errors caused by the machine: inaccessible files, full disks, lack of memory.
_OF_THE_MACHINE = (
    *("PermissionDeniedError", "NotFoundError", "AlreadyExistsError", "FailedPreconditionError", "OutOfRangeError"),
    *("ResourceExhaustedError", "UnimplementedError"),
)


def ready_streams():
    """Makes the output streams escape what a terminal cannot show, such as Chinese labels with LANG=C."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None if it is closed
            stream.reconfigure(errors="backslashreplace")


def spared_output(spared):
    """Returns a context that prints to standard error if standard output is reserved for data: bool."""
    return contextlib.redirect_stdout(sys.stderr) if spared else contextlib.nullcontext()


def run_to_the_end(function):
    """Calls a function; returns the exit status. Prints one sentence for errors that are not the program's fault."""
    try:
        function()
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # also for output still to be flushed
        return _say("Stopped, as the output is no longer read (broken pipe); the same command resumes.", 1)
    except Interrupted as stop:
        return _say(f"{stop} {stop.remedy}", 128 + stop.signal)
    except KeyboardInterrupt:
        return _say("Interrupted; the same command resumes from the last checkpoint.", 130)
    except (InputError, OSError, MemoryError) as error:
        return _say(f"Error: {_sentence(error)}", 1)
    except Exception as error:
        kinds = vars(sys.modules["tensorflow"].errors) if "tensorflow" in sys.modules else {}
        if not isinstance(error, tuple(kinds[name] for name in _OF_THE_MACHINE if name in kinds)):
            raise
        return _say(f"Error: {_sentence(error)}", 1)
    return 0


def _sentence(error):
    """Returns the message of an error in one line: str."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        what = " ".join(str(getattr(error, "message", error)).split())[:300]
        return f"There is not enough memory or disk ({what}); lower --train_batch_size, or free some."
    if isinstance(error, OSError) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}."
    if isinstance(error, InputError):
        return str(error)
    return " ".join(str(getattr(error, "message", error)).split())[:1000]


def _say(sentence, status):
    with contextlib.suppress(OSError):  # stderr may be closed, too
        print(sentence, file=sys.stderr, flush=True)
    return status
