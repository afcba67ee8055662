"""Numbers by the million in a temporary file: what is told where it is full."""

import numpy as np
import pytest

from tfbert import InputError
from tfbert.data.number_column import NumberColumn


def test_a_full_temporary_folder_is_one_sentence(monkeypatch):
    """/dev/full is full always."""
    monkeypatch.setattr("tfbert.data.number_column._MEMORY_BYTES", 10)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: open("/dev/full", "wb"))
    with pytest.raises(InputError, match="The temporary folder .* cannot hold the data .No space left on device."):
        NumberColumn(np.int32).extend(np.arange(100))
