"""Rows of TensorFlow Datasets."""

import numpy as np

from tfbert.core.errors import InputError
from tfbert.data.lines import as_input_errors
from tfbert.data.values import missing_column


def read_tfds(location, columns):
    """Yields (number, row) of a prepared dataset, from 1, with the requested columns and class names for class numbers.

    Args:
        location: str, `tfds:NAME[/CONFIG]:SPLIT`.
        columns: dict, role -> name of a feature; all but the id must exist.

    Raises:
        InputError: the dataset cannot be loaded, or lacks a column.
    """
    import tensorflow_datasets as tfds

    try:
        _, name, split = location.split(":", 2)
        dataset, info = tfds.load(name, split=split, shuffle_files=False, with_info=True)
    except Exception as error:  # TFDS raises whatever the dataset's own code raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{location} cannot be loaded: {reason} A TFDS location is tfds:NAME[/CONFIG]:SPLIT, prepared under "
            "$TFDS_DATA_DIR or reachable for download."
        ) from None
    features = dict(info.features)
    for role, name in columns.items():
        if name not in features and role != "id":
            raise missing_column((location, 1), role, name, features)
    used = {name: features[name] for name in columns.values() if name in features}
    with as_input_errors(location, "a TensorFlow dataset"):
        rows = dataset.map(lambda row: {name: row[name] for name in used})
        for number, row in enumerate(rows.as_numpy_iterator(), 1):
            yield number, {name: _value(used[name], value) for name, value in row.items()}


def _value(feature, value):
    """Returns a feature's value as plain Python; an unknown class, -1, as None."""
    if not isinstance(value, (bytes, np.generic, np.ndarray)):
        return value
    value = value if isinstance(value, bytes) else value.tolist()
    name = getattr(getattr(feature, "feature", feature), "int2str", None)
    if name is None:
        return value
    if isinstance(value, list):
        return [name(number) for number in value]
    return name(value) if value >= 0 else None
