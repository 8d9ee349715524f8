"""Columns of a block turned into rows, shifted and summed, from one read; compiled by numba and kept in a cache.

Some rows of all columns stand side by side in the processor's cache until they are written as rows.
Shapes: n rows, d columns, p = d + 1, r rows of a tile.
"""

from typing import Any

import numpy as np
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic
from numpy.typing import NDArray

from gradline.training.cpu.compiling import compiled
from gradline.training.cpu.transposing import transpose

TILE_BYTES = 2**19
"""Of many rows: a processor fetches ahead what is read in one piece, and begins anew with each."""
MIN_TILE_ROWS = 64
PADDING = 16
"""Rows at a distance of a power of two would compete for the same lines of the cache."""

Array = NDArray[Any]


def _cast(_context: Any, _address: Any, like: Any) -> Any:
    """A number as the address of entries of the same type as those of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(like.dtype)(types.int64, like), generate  # type: ignore[no-untyped-call]


_pointer: Any = intrinsic(_cast)


@compiled("void(i8[::1], X[::1], X[:,::1], f8[:,::1])", frozenset({"reassoc", "contract", "nsz"}))
def turn(address_d: Array, shift_d: Array, rows_np: Array, sum_2d: Array) -> None:
    """Row i is the i-th entry of every column less its shift, and 1 in the last place.

    Columns are of the type of the rows, and given by where they begin. Entries as written and their squares are added
    to `sum_2d`, where it has room.
    """
    n, d = len(rows_np), len(address_d)
    n_tile = max(MIN_TILE_ROWS, min(n, TILE_BYTES // ((d + 1) * rows_np.itemsize)))
    tile_pr = np.empty((d + 1, n_tile + PADDING), rows_np.dtype)
    tile_pr[d] = 1
    for start in range(0, n, n_tile):
        m = min(n_tile, n - start)
        for j in range(d):
            column_r = carray(_pointer(address_d[j], rows_np), (n,))[start : start + m]
            tile_r, shift = tile_pr[j], shift_d[j]
            for i in range(m):
                tile_r[i] = column_r[i] - shift
            if sum_2d.shape[1]:
                total, squares = 0.0, 0.0
                for i in range(m):
                    value = np.float64(tile_r[i])
                    total += value
                    squares += value * value
                sum_2d[0, j] += total
                sum_2d[1, j] += squares
        transpose(tile_pr[:, :m], rows_np[start : start + m])
