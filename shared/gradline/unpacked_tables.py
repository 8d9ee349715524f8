"""Uploads as their reading unpacks them, kept beside them: jobs map the columns into memory, and parse nothing.

The blocks that a reading of all columns gives stand in a file in Arrow's own format, uncompressed. It is a cache:
without it the upload is read again and gives the same blocks.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.ipc
import structlog

from gradline.storage import ArtifactStore

LEAST_BYTES = 4 << 20
"""Of an upload; reading less takes milliseconds."""
_LAYOUT = 1
"""Changes with the rules for blocks."""

log = structlog.get_logger(__name__)


def kept_path(
    store: ArtifactStore, sha256: str, n_cells: int, csv_types: Mapping[str, str] | None = None
) -> str | None:
    """Where an upload is kept unpacked, or may be; None where that does not pay or there is no room.

    A CSV file's blocks are of the types that its profile gave its columns, a Parquet file's (None) of its own.
    """
    path = store.local_path(sha256)
    n_packed = 0 if path is None else os.stat(path).st_size
    if n_packed < LEAST_BYTES:
        return None
    rules = json.dumps([_LAYOUT, csv_types and list(csv_types.items())])
    kind = hashlib.sha256(rules.encode()).hexdigest()[:16] + ".arrow"
    return store.derived_path(sha256, kind, max(n_packed, 8 * n_cells))


class Unpacked:
    """All columns of an upload, mapped into memory. Raises FileNotFoundError, ValueError where it is damaged."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._reader = pa.ipc.open_file(pa.py_buffer(self._mapped))

    def blocks(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        """No more than one of them is resident, if what is needed of one is taken before the next."""
        for i in range(self._reader.num_record_batches):
            yield self._reader.get_batch(i).select(names)
            self._mapped.madvise(mmap.MADV_DONTNEED)


def find_unpacked(kept: str) -> Unpacked | None:
    """What is kept there, used now and so kept longer; None where there is nothing, or nothing whole."""
    try:
        found = Unpacked(kept)
    except (FileNotFoundError, ValueError):
        return None
    with suppress(OSError):  # another user's, or gone by now: what is mapped stays
        os.utime(kept)
    return found


class Unpacking:
    """Writes blocks as they are read; leave it as a context after the last. Where the disk fails nothing is kept."""

    def __init__(self, store: ArtifactStore, kept: str) -> None:
        self._store, self._kept = store, kept
        self._temporary = f"{store.scratch_folder()}/{uuid4().hex}"
        self._file: Any = None
        self._writer: Any = None
        self._has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_up()

    def add(self, block: pa.RecordBatch) -> None:
        if self._has_failed:
            return
        try:
            if self._writer is None:
                self._file = pa.OSFile(self._temporary, "wb")
                self._writer = pa.ipc.new_file(self._file, block.schema)
            self._writer.write_batch(block)
        except OSError as error:
            self._give_up(error)

    def finish(self) -> Unpacked | None:
        """What was written, which is made durable and gets its name in another thread; None where that failed."""
        if self._has_failed or self._writer is None:
            return None
        try:
            self._writer.close()
            self._file.close()
            found = Unpacked(self._temporary)
        except OSError as error:
            self._give_up(error)
            return None
        self._store.keep_derived(self._temporary, self._kept).add_done_callback(lambda done: _tell(done.exception()))
        return found

    def _give_up(self, error: OSError | None = None) -> None:
        self._has_failed = True
        if self._file is not None:
            self._file.close()
        with suppress(FileNotFoundError):
            os.unlink(self._temporary)
        _tell(error)


def _tell(error: BaseException | None) -> None:
    if error is not None:
        log.warning("upload_not_kept_unpacked", error=str(error))
