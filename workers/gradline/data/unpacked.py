"""Uploads as their reading unpacks them, kept beside them: later jobs map the columns into memory, and parse nothing.

The blocks that one reading of all columns gave stand in a file in Arrow's own format, uncompressed. It is a cache:
without it the upload is read again and gives the same blocks.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol
from uuid import uuid4

import pyarrow as pa
import pyarrow.ipc
import structlog

from gradline.column_roles import Profiled
from gradline.storage import ArtifactStore
from gradline.table_blocks import read_blocks

BLOCK_BYTES = 24 << 20
"""Of a block; small ones take a fifth longer to read."""
LEAST_BYTES = 4 << 20
"""Of an upload; reading less takes milliseconds."""
_LAYOUT = 1
"""Changes with the rules for blocks."""

log = structlog.get_logger(__name__)


class UploadedFile(Profiled, Protocol):
    """What is known of an upload: a row of `datasets`."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class Unpacked:
    """The columns of an upload, mapped into memory. Raises FileNotFoundError, pa.ArrowInvalid where it is damaged."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._reader = pa.ipc.open_file(pa.py_buffer(self._mapped))

    def blocks(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """No more than one of them is resident, if what is needed of one is taken before the next."""
        for i in range(self._reader.num_record_batches):
            yield self._reader.get_batch(i).select(names)
            self._mapped.madvise(mmap.MADV_DONTNEED)


def unpacked(file: UploadedFile, path: str, names: list[str], store: ArtifactStore) -> Unpacked | None:
    """All columns of the upload at `path`, unpacked now where they were not before; None where nothing is kept or it
    does not pay. Raises InvalidInput as reading does."""
    types = {column["name"]: column["type"] for column in file.columns}
    n_packed = os.stat(path).st_size
    kept = store.derived_path(file.sha256, _kind(file.format, types), max(n_packed, 8 * file.n_rows * len(types)))
    if kept is None or n_packed < LEAST_BYTES:
        return None
    with suppress(FileNotFoundError, pa.ArrowInvalid):
        found = Unpacked(kept)
        os.utime(kept)
        return found
    if file.format == "parquet" and 2 * len(names) < len(types):  # most columns need not be read
        return None
    return _unpack(read_blocks(path, file.format, types, BLOCK_BYTES), kept, store)


def _kind(*rules: Any) -> str:
    """Another one where the same file is read by other rules."""
    return hashlib.sha256(json.dumps([_LAYOUT, *rules]).encode()).hexdigest()[:16] + ".arrow"


def _unpack(blocks: Iterator[pa.RecordBatch], kept: str, store: ArtifactStore) -> Unpacked | None:
    temporary = f"{store.scratch_folder()}/{uuid4().hex}"
    try:
        _write(temporary, blocks)
        found = Unpacked(temporary)
    except BaseException as error:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        _tell(error)
        return None
    store.keep_derived(temporary, kept).add_done_callback(lambda done: _tell(done.exception()))
    return found


def _write(path: str, blocks: Iterator[pa.RecordBatch]) -> None:
    first = next(blocks)
    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
        writer.write_batch(first)
        for block in blocks:
            writer.write_batch(block)


def _tell(error: BaseException | None) -> None:
    if error is not None:
        log.warning("upload_not_kept_unpacked", error=str(error))
