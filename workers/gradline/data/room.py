"""Where large matrices of features lie: in memory, or beyond a bound in a file on disk that is mapped into it.

A mapped matrix is a tensor like any other, read and written in place. Its pages count as resident memory once they are
touched. Whenever they are more than the bound all of them are let go of, and what is needed again is read again:
training asks for it between the parts of a pass, and a thread looks in between.
"""

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import pyarrow as pa
import torch
from torch import Tensor

from gradline.data import spare
from gradline.errors import PermanentError
from gradline.storage import ArtifactStore

LOOK_EVERY_S = 0.002
"""Time between looks at what is resident: at most what is read meanwhile is resident beyond the bound."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Room:
    """Makes matrices; leave it as a context once they are no longer needed."""

    def __init__(self, max_bytes: int | None = None, store: ArtifactStore | None = None) -> None:
        """Files stand on the store's disk, where it has one."""
        self._max_bytes, self._store = max_bytes, store
        self._mapped: list[mmap.mmap] = []
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._resident_before = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join()
        self._mapped.clear()

    def empty(self, n: int, p: int, dtype: torch.dtype) -> Tensor:
        """[n, p] to be filled, in memory up to the bound. Raises PermanentError where the disk is full."""
        n_bytes = n * p * dtype.itemsize
        return self._memory(n_bytes, n_bytes).view(dtype).view(n, p)

    def entries(self, e: int, index: torch.dtype, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Column numbers and values of a sparse matrix, as `empty`; products keep such a matrix twice, so that half
        the bound is for each."""
        n_value_bytes = e * dtype.itemsize
        n_bytes = n_value_bytes + e * index.itemsize
        memory = self._memory(n_bytes, 2 * n_bytes)
        return memory[n_value_bytes:].view(index), memory[:n_value_bytes].view(dtype)

    def _memory(self, n_bytes: int, n_bytes_in_all: int) -> Tensor:
        if self._max_bytes is None or n_bytes_in_all <= self._max_bytes:
            return spare.empty(n_bytes)
        self._watch()
        return torch.frombuffer(self._map(n_bytes), dtype=torch.uint8)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """What is mapped meanwhile goes with its tensors, not only once the room is left."""
        n_before = len(self._mapped)
        try:
            yield
        finally:
            del self._mapped[n_before:]

    @property
    def is_beyond(self) -> bool:
        """Whether anything is mapped."""
        return bool(self._mapped)

    def give_back_blocks(self) -> None:
        """Where features are beyond the bound, also what pyarrow keeps of the blocks that they came in."""
        if self.is_beyond:
            pa.default_memory_pool().release_unused()

    def _map(self, n_bytes: int) -> mmap.mmap:
        """The file has no name, so that nothing is left of it whatever becomes of this process."""
        folder = (self._store and self._store.scratch_folder()) or tempfile.gettempdir()
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            except OSError as error:
                reason = f"the features take {n_bytes} bytes, for which there is no room in {folder}: {error.strerror}"
                raise PermanentError(reason, code="no_room") from error
            mapped = mmap.mmap(file.fileno(), n_bytes)
        self._mapped.append(mapped)
        return mapped

    def _watch(self) -> None:
        if self._thread is None:
            self._resident_before = _resident_file_bytes()
            self._thread = threading.Thread(target=self._look, name="features", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while not self._is_closed.wait(LOOK_EVERY_S):
            self.let_go()

    def let_go(self) -> None:
        """Of all mapped pages, where they are more than the bound."""
        if self._mapped and _resident_file_bytes() - self._resident_before > (self._max_bytes or 0):
            for mapped in list(self._mapped):
                mapped.madvise(mmap.MADV_DONTNEED)


def _resident_file_bytes() -> int:
    """Resident memory of this process that files stand behind."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[2]) * _PAGE_BYTES
