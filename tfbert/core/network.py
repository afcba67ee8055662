"""Whether services of Google can be reached at all, asked before TensorFlow asks them again and again for minutes."""

import functools
import threading
import urllib.error
import urllib.request

from tfbert.core.errors import InputError

# Seconds that a service may take to answer.
_PATIENCE = 5.0
_STORAGE = "https://storage.googleapis.com/"


def why_silent(url, headers=None):
    """Returns why nobody answers at an address, in words; None if somebody does, whatever the answer is.

    Args:
        url: str. http or https.
        headers: dict of str.
    """
    found = [f"no answer within {_PATIENCE:.0f} s"]

    def ask():
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=_PATIENCE):
                found[0] = None
        except urllib.error.HTTPError:
            found[0] = None
        except OSError as error:
            found[0] = str(getattr(error, "reason", error))

    # In a thread, since nothing limits the time in which a name is looked up.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return found[0]


def check_storage(*locations):
    """Raises InputError if one of some locations is on gs:// and Google Cloud Storage cannot be reached.

    Args:
        *locations: str, or other values of settings, which are passed over.
    """
    on_storage = [each for each in locations if isinstance(each, str) and each.startswith("gs://")]
    if on_storage and (reason := _why_storage_is_silent()):
        raise InputError(
            f"{on_storage[0]} cannot be reached, as Google Cloud Storage does not answer ({reason}); connect this "
            "machine to the internet, or use a local path."
        )


@functools.cache
def _why_storage_is_silent():
    return why_silent(_STORAGE)
