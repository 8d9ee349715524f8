"""Memory for large matrices, handed on from job to job: the system clears fresh pages, which takes several times as
long as filling them.

What nobody holds any more is the system's whenever it needs some, and until then the next matrix's.
"""

import mmap
import weakref
from contextlib import suppress

import torch
from torch import Tensor

LEAST_BYTES = 4 << 20
"""From here on memory is asked for in huge pages: filling it the first time takes a fifth as long."""
MOST_BYTES = 256 << 20
"""Of what is kept. Work on more takes seconds anyway."""
_spare: list[mmap.mmap] = []
"""At most one."""


def empty(n_bytes: int) -> Tensor:
    """[n_bytes] of uint8, to be filled."""
    if n_bytes < LEAST_BYTES:
        return torch.empty(n_bytes, dtype=torch.uint8)
    memory = _taken(n_bytes) or _fresh(n_bytes)
    view = memoryview(memory)[:n_bytes]
    weakref.finalize(view, _keep, memory).atexit = False  # the view lives as long as any tensor of it
    return torch.frombuffer(view, dtype=torch.uint8)


def _fresh(n_bytes: int) -> mmap.mmap:
    memory = mmap.mmap(-1, n_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _taken(n_bytes: int) -> mmap.mmap | None:
    """What is kept, where it is neither too small nor twice too large; else it goes, and the next is kept."""
    memory = _spare.pop() if _spare else None
    return memory if memory is not None and n_bytes <= len(memory) <= 2 * n_bytes else None


def _keep(memory: mmap.mmap) -> None:
    """The larger of this and what is kept."""
    if len(memory) > MOST_BYTES or (_spare and len(_spare[0]) > len(memory)):
        return
    with suppress(OSError):  # a kernel that cannot take it back
        memory.madvise(mmap.MADV_FREE)
        _spare[:] = [memory]
