"""Extracting vectors of texts, from Python or from a file of any size."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tfbert.core.arguments import check_model
from tfbert.data.given_texts import text_rows
from tfbert.data.values import id_of
from tfbert.data.windows import LongText
from tfbert.inference.predict import write_outputs
from tfbert.models.vector_model import encoder_vectors

if TYPE_CHECKING:
    from tfbert.models.encoder import BertEncoder
    from tfbert.models.keras_model import BatchModel

_BLOCK = 2**24


def extract_features(
    model: BertEncoder | BatchModel,
    texts: Iterable[str | tuple[str, str]],
    pooling: str | None = None,
    batch_size: int = 32,
    max_seq_length: int = 128,
    long_text: LongText = LongText(),
) -> np.ndarray:
    """Returns a vector for each text, or pair of texts.

    Args:
        model: BertEncoder, from `load_encoder`; or TextModel, from `load_model`, which uses its own tokenizer, length
            and treatment of long texts.
        texts: list of str, or of (str, str), or anything else that `given_texts` accepts.
        pooling: str, as for `Pooling`. None: a TextModel's own; for a BertEncoder, the mean over the tokens.
        batch_size: int. Texts per step; affects speed only.
        max_seq_length: int. Tokens of a sequence, for a BertEncoder.
        long_text: LongText. How longer texts are handled, for a BertEncoder.

    Returns:
        np.float32 [texts, width].

    Raises:
        InputError: the pooling or the merge of windows needs learned weights that the model does not have.

    Example:
        >>> encoder = tfbert.load_encoder("minilm")
        >>> tfbert.extract_features(encoder, ["Lunch is at noon.", "The server room burns!"]).shape
        (2, 384)
    """
    check_model(model)
    about = (pooling, max_seq_length, long_text)
    vectors = model.traced(("vectors", *about), lambda: vector_model(model, *about))
    return vectors.outputs_of(text_rows(texts, vectors.text_columns), batch_size)


def vector_model(model, pooling=None, max_seq_length=128, long_text=LongText(), windows_per_step=None):
    """Returns a VectorModel for batches. Arguments and errors are those of `extract_features`.

    Args:
        windows_per_step: int or None. Windows encoded at a time; None: all of a batch.
    """
    own = getattr(model, "vector_model", None)  # a BertEncoder has none
    about = (pooling, max_seq_length, long_text, windows_per_step)
    return own(*about) if own else encoder_vectors(model, *about)


def write_features(model, examples, path, batch_size, strategy=None, xla=False, total=None):
    """Writes a vector for each example, in order, to a .npy or a Parquet file.

    Args:
        model: VectorModel.
        examples: iterable of dict, as `read_examples` yields them.
        path: str. `.npy`: float32 [examples, width]; `.parquet`: `vector`, and `id` if the data has it. Written
            atomically. With several workers, all compute but only the chief writes.
        batch_size: int. Examples per step, over all devices; affects speed only.
        strategy: tf.distribute.Strategy or None.
        xla: bool. Compile the forward pass.
        total: int or None. Number of examples, for the time left.

    Returns:
        int. Number of examples.
    """
    format_blocks = _npy_blocks if path.endswith(".npy") else _parquet_blocks
    blocks = functools.partial(format_blocks, width=model.width)
    return write_outputs(model, examples, path, batch_size, blocks, strategy, xla, total)


def _npy_blocks(chunks, width):
    """Yields a .npy file; its header needs the number of rows, so they are first written to a temporary file."""
    count = 0
    with tempfile.TemporaryFile() as rows:
        for _, vectors in chunks:
            count += len(vectors)
            rows.write(np.ascontiguousarray(vectors, np.float32).tobytes())
        header = io.BytesIO()
        about = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
        np.lib.format.write_array_header_1_0(header, about)
        yield header.getvalue()
        yield from _blocks_of(rows)


def _parquet_blocks(chunks, width):
    """Yields a Parquet file, one row group per chunk; whether there are ids is known only at the end."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("id", pyarrow.string()), ("vector", pyarrow.list_(pyarrow.float32(), width))])
    with_ids = False
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as without_ids:
        with pyarrow.parquet.ParquetWriter(file, schema) as writer:
            for examples, vectors in chunks:
                ids = [_id_text(example.get("id")) for example in examples]
                with_ids = with_ids or any(text is not None for text in ids)
                numbers = pyarrow.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
                vectors = pyarrow.FixedSizeListArray.from_arrays(numbers, width)
                writer.write_table(pyarrow.table([pyarrow.array(ids, pyarrow.string()), vectors], schema=schema))
        if with_ids:
            yield from _blocks_of(file)
            return
        with pyarrow.parquet.ParquetWriter(without_ids, schema.remove(0)) as writer:
            written = pyarrow.parquet.ParquetFile(file)
            for group in range(written.num_row_groups):
                writer.write_table(written.read_row_group(group, ["vector"]))
        yield from _blocks_of(without_ids)


def _id_text(value):
    """Returns an id as text, or None; a lone surrogate, which UTF-8 cannot represent, becomes a question mark."""
    value = id_of(value)
    return value if value is None else str(value).encode("utf-8", "replace").decode()


def _blocks_of(file):
    file.seek(0)
    while block := file.read(_BLOCK):
        yield block
