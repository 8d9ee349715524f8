"""Rows of blocks written to where they stay: numbers into one matrix, text as codes of levels.

Shapes: n rows in all, b rows of a block, j numeric columns, t text columns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from gradline.data.sample import CODES_AT_ONCE, Numbers, TextColumn

Rows = NDArray[np.intp] | None
"""Rows of a block; None: all of it."""
ROWS_AT_ONCE = 16_384
"""Few enough for their columns to stay in the processor's cache until they are turned into rows."""

MIN_COMPILED = 2**20
"""Entries in all from which on a compiled kernel turns them."""
SHIFTED_BY = 4096
"""First rows whose mean is subtracted from all: so few that they are in every first block, however large."""


class Gathering:
    """Room for n rows, filled from the first on."""

    def __init__(
        self, memory: torch.Tensor, numbers: list[str], texts: list[str], codes_tn: torch.Tensor, *, is_shifted: bool
    ) -> None:
        """`memory` is [n, j + 1]; codes are int32."""
        n = len(memory)
        self._names = numbers
        self._memory = memory
        self._shift_j = np.zeros(len(numbers))
        self._sum_2j = np.zeros((2, len(numbers))) if is_shifted else None
        self._beside_pr = torch.empty(len(numbers) + 1, min(n, ROWS_AT_ONCE), dtype=memory.dtype)
        self._beside_pr[-1] = 1
        self._codes: dict[str, NDArray[np.int32]] = dict(zip(texts, codes_tn.numpy(), strict=True))
        self._levels: dict[str, dict[str, int]] = {name: {} for name in texts}
        self._is_shifted = is_shifted
        self._n_filled = 0

    def add(self, block: pa.RecordBatch, rows: Rows) -> None:
        n = block.num_rows if rows is None else len(rows)
        start, stop = self._n_filled, self._n_filled + n
        columns = [_chosen(as_numbers(block.column(name)), rows) for name in self._names]
        if self._is_shifted and start == 0 and n:
            self._shift_j = np.array([_middle(column[:SHIFTED_BY]) for column in columns])
        self._write(self._memory[start:stop], columns)
        for name, codes in self._codes.items():
            codes[start:stop] = _chosen(_encoded(block.column(name), self._levels[name]), rows)
        self._n_filled = stop

    def _write(self, memory: torch.Tensor, columns: list[NDArray[Any]]) -> None:
        """[b, j + 1], the last column filled with ones: some rows of all columns side by side first, then turned."""
        if self._memory.numel() >= MIN_COMPILED and _are_of(memory.numpy().dtype, columns):
            self._turn(memory.numpy(), columns)
            return
        for start in range(0, len(memory), ROWS_AT_ONCE):
            beside_pr = self._beside_pr[:, : len(memory) - start]
            for j, (values_r, column) in enumerate(zip(beside_pr.numpy(), columns, strict=False)):
                _place(column[start : start + ROWS_AT_ONCE], self._shift_j[j], values_r)
                if self._sum_2j is not None:
                    self._sum_2j[:, j] += values_r.sum(), values_r @ values_r
            memory[start : start + ROWS_AT_ONCE].copy_(beside_pr.T)

    def _turn(self, rows_bp: NDArray[Any], columns: list[NDArray[Any]]) -> None:
        """The same from one read of the columns."""
        from gradline.data import kernel  # noqa: PLC0415  half a second; no table of few rows needs it

        address_j = np.array([column.ctypes.data for column in columns], np.int64)
        sum_2j = np.empty((2, 0)) if self._sum_2j is None else self._sum_2j
        kernel.turn(address_j, self._shift_j.astype(rows_bp.dtype), rows_bp, sum_2j)

    def numbers(self, booleans: frozenset[str]) -> Numbers:
        sum_2j = None if self._sum_2j is None else torch.from_numpy(self._sum_2j)
        return Numbers(self._names, self._memory, torch.from_numpy(self._shift_j), booleans, sum_2j)

    def texts(self, order: Callable[[str], Callable[[str], Any]], spelled: frozenset[str]) -> dict[str, TextColumn]:
        """`order` gives a column's key by which its levels are sorted; `spelled` columns were no text."""
        return {name: self._text(name, order(name), name in spelled) for name in self._codes}

    def _text(self, name: str, key: Callable[[str], Any], is_numeric: bool) -> TextColumn:
        found = self._levels[name]
        levels = sorted(found, key=key)
        position_l = np.full(len(levels) + 1, -1, np.int32)
        position_l[[found[level] for level in levels]] = np.arange(len(levels), dtype=np.int32)
        codes = self._codes[name]
        for start in range(0, len(codes), CODES_AT_ONCE):
            codes[start : start + CODES_AT_ONCE] = position_l[codes[start : start + CODES_AT_ONCE]]
        return TextColumn(name, levels, torch.from_numpy(codes), is_numeric)


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


def _are_of(dtype: np.dtype[Any], columns: list[NDArray[Any]]) -> bool:
    return all(column.dtype == dtype and column.flags.c_contiguous for column in columns)


def _chosen(values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    return values if rows is None else values[rows]


def _middle(column: NDArray[Any]) -> float:
    with np.errstate(all="ignore"):
        middle = np.mean(column, where=~np.isnan(column)) if column.dtype.kind == "f" else np.mean(column)
    return float(middle) if np.isfinite(middle) else 0.0


def _place(column: NDArray[Any], shift: float, values: NDArray[Any]) -> None:
    """values = column - shift, rounded once to their precision."""
    if shift == 0:
        values[:] = column
    elif column.dtype == values.dtype:
        np.subtract(column, column.dtype.type(shift), out=values)
    else:
        values[:] = column - np.float64(shift)


def _encoded(column: pa.Array, levels: dict[str, int]) -> NDArray[np.int32]:
    """Codes of a block's levels, new ones numbered on; -1 is missing."""
    encoded = pc.dictionary_encode(column)
    codes = [levels.setdefault(level, len(levels)) for level in encoded.dictionary.to_pylist()]
    index = plain_values(pc.fill_null(encoded.indices, len(codes)))
    found: NDArray[np.int32] = np.array([*codes, -1], np.int32)[index]
    return found
