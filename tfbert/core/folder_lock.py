"""An output folder is one process': another that would write there is told so."""

import contextlib
import os
import time

from tfbert.core.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# How long a process that is being killed may take to give back gigabytes, and with them its lock; seconds.
_PATIENCE = 3.0


@contextlib.contextmanager
def locked(folder, shared=False):
    """Keeps an output folder for this process, making it, while a `with` block runs; one left empty is removed again.

    The lock is `flock` on the folder itself: no file is left behind, and whatever ends the process, SIGKILL too, gives
    it back. It holds on local disks; on gs:// and on network disks without such locks nothing is locked.

    Args:
        folder: str.
        shared: bool. Whether others that say so, too, may be there at once, such as the workers of a sweep.

    Raises:
        InputError: another process has it, or it cannot be made or written to.
    """
    if "://" in folder:
        yield
        return
    made = []
    try:
        handle = _open_locked(folder, shared, made)
    except BlockingIOError:
        raise InputError(
            f"{folder} is in use by another process; wait until it ends, stop it, or choose another --output_dir."
        ) from None
    except OSError as error:
        _remove_empty(made)
        raise InputError(
            f"--output_dir={folder} cannot be written to ({error.strerror}); choose another folder."
        ) from None
    try:
        yield
    finally:
        if not shared or _lock(handle, fcntl and fcntl.LOCK_EX):
            _remove_empty(made)
        os.close(handle)


def _open_locked(folder, shared, made):
    """Returns a locked handle of a folder; those that had to be made are appended to `made`, the topmost first."""
    end = time.monotonic() + _PATIENCE
    while True:
        _make(folder, made)
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        if not _lock(handle, fcntl and (fcntl.LOCK_SH if shared else fcntl.LOCK_EX)):
            os.close(handle)
            if time.monotonic() > end:
                raise BlockingIOError
            time.sleep(0.1)
            continue
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                return handle
        os.close(handle)  # who had it before has removed it as it left


def _make(folder, made):
    with contextlib.suppress(FileNotFoundError):
        os.stat(folder)  # says what else is wrong with the path, such as its length
    missing = os.path.abspath(folder)
    new = []
    while not os.path.lexists(missing):
        new.insert(0, missing)
        missing = os.path.dirname(missing)
    made.extend(path for path in new if path not in made)
    os.makedirs(folder, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "no right to write there")


def _lock(handle, kind):
    """Locks a handle, if its disk has locks; returns whether no other process was in the way."""
    try:
        if kind:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a network disk that has none
    return True


def _remove_empty(folders):
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
