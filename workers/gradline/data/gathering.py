"""Rows of blocks written to where they stay: numbers into one matrix, text as codes of levels.

Shapes: n rows in all, b rows of a block, j numeric columns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from gradline.data.sample import Numbers, TextColumn

Rows = NDArray[np.intp] | None
"""Rows of a block; None: all of it."""


class Gathering:
    """Room for n rows, filled from the first on."""

    def __init__(self, memory: torch.Tensor, numbers: list[str], texts: list[str], *, is_shifted: bool) -> None:
        """`memory` is [n, j + 1]."""
        n = len(memory)
        self._names = numbers
        self._memory = memory
        self._shift_j = np.zeros(len(numbers))
        self._codes = {name: np.empty(n, np.int32) for name in texts}
        self._levels: dict[str, dict[str, int]] = {name: {} for name in texts}
        self._is_shifted = is_shifted
        self._n_filled = 0

    def add(self, block: pa.RecordBatch, rows: Rows) -> None:
        n = block.num_rows if rows is None else len(rows)
        start, stop = self._n_filled, self._n_filled + n
        columns = [_chosen(as_numbers(block.column(name)), rows) for name in self._names]
        if self._is_shifted and start == 0 and n:
            self._shift_j = np.array([_middle(column) for column in columns])
        _write(self._memory[start:stop], columns, self._shift_j)
        for name, codes in self._codes.items():
            codes[start:stop] = _chosen(_encoded(block.column(name), self._levels[name]), rows)
        self._n_filled = stop

    def numbers(self, booleans: frozenset[str]) -> Numbers:
        return Numbers(self._names, self._memory, torch.from_numpy(self._shift_j), booleans)

    def texts(self, order: Callable[[str], Callable[[str], Any]], spelled: frozenset[str]) -> dict[str, TextColumn]:
        """`order` gives a column's key by which its levels are sorted; `spelled` columns were no text."""
        return {name: self._text(name, order(name), name in spelled) for name in self._codes}

    def _text(self, name: str, key: Callable[[str], Any], is_numeric: bool) -> TextColumn:
        found = self._levels[name]
        levels = sorted(found, key=key)
        position_l = np.full(len(levels) + 1, -1, np.int32)
        position_l[[found[level] for level in levels]] = np.arange(len(levels), dtype=np.int32)
        return TextColumn(name, levels, torch.from_numpy(position_l[self._codes[name]]), is_numeric)


def as_numbers(column: pa.Array) -> NDArray[Any]:
    """Without a copy where nothing is missing; else float64 with NaN."""
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.uint8())
    if column.null_count:
        column = pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))
    return plain_values(column)


_FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}
"""Arrow's names of the types that numpy calls otherwise."""


def plain_values(column: pa.Array) -> NDArray[Any]:
    """A view of numbers none of which is null. pyarrow's own way would import pandas, which takes a second."""
    name = str(column.type)
    values: NDArray[Any] = np.frombuffer(column.buffers()[1], _FLOATS.get(name, name))
    return values[column.offset : column.offset + len(column)]


def _chosen(values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    return values if rows is None else values[rows]


def _middle(column: NDArray[Any]) -> float:
    with np.errstate(all="ignore"):
        middle = np.mean(column, where=~np.isnan(column)) if column.dtype.kind == "f" else np.mean(column)
    return float(middle) if np.isfinite(middle) else 0.0


def _write(memory: torch.Tensor, columns: list[NDArray[Any]], shift_j: NDArray[np.float64]) -> None:
    """[b, j + 1], the last column filled with ones: columns side by side first, then turned at once.

    The subtraction is done before rounding to the memory's precision.
    """
    beside_pb = torch.empty(len(columns) + 1, len(memory), dtype=memory.dtype)
    beside_pb[-1] = 1
    has_shift = shift_j.any()
    for values_b, column, shift in zip(beside_pb.numpy(), columns, shift_j, strict=False):
        values_b[:] = column - shift if has_shift else column
    memory.copy_(beside_pb.T)


def _encoded(column: pa.Array, levels: dict[str, int]) -> NDArray[np.int32]:
    """Codes of a block's levels, new ones numbered on; -1 is missing."""
    encoded = pc.dictionary_encode(column)
    codes = [levels.setdefault(level, len(levels)) for level in encoded.dictionary.to_pylist()]
    index = plain_values(pc.fill_null(encoded.indices, len(codes)))
    found: NDArray[np.int32] = np.array([*codes, -1], np.int32)[index]
    return found
