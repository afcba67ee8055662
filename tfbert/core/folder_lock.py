"""A lock on the output folder, so that two processes do not write to it at once."""

import contextlib
import os
import time

from tfbert.core.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

# Seconds that a killed process may need to free gigabytes of memory, and then its lock.
_PATIENCE = 3.0


@contextlib.contextmanager
def locked(folder, shared=False):
    """Creates and locks an output folder for the duration of a `with` block; removes it again if it is left empty.

    The lock is `flock` on the folder itself: it leaves no file behind and is released however the process ends, even by
    SIGKILL. It works on local disks; on gs:// and on network disks without such locks, nothing is locked.

    Args:
        folder: str.
        shared: bool. Whether other processes that also pass True may use it at the same time, as a sweep's workers do.

    Raises:
        InputError: another process has locked it, or it cannot be created or written to.
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
    """Returns a locked handle of a folder; folders created on the way are appended to `made`, topmost first."""
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
        os.close(handle)  # the previous holder removed it on exit


def _make(folder, made):
    with contextlib.suppress(FileNotFoundError):
        os.stat(folder)  # raises for any other fault of the path, such as its length
    missing = os.path.abspath(folder)
    new = []
    while not os.path.lexists(missing):
        new.insert(0, missing)
        missing = os.path.dirname(missing)
    made.extend(path for path in new if path not in made)
    os.makedirs(folder, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, "no permission to write there")


def _lock(handle, kind):
    """Locks a handle if its disk supports locks; returns False if another process holds the lock."""
    try:
        if kind:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # a network disk without locks
    return True


def _remove_empty(folders):
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
