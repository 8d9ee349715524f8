"""Squares of entries turned over in vector registers, for use inside of kernels: rows to columns at half the time that
entry by entry takes.

Shapes: w entries of a vector, 32 bytes of them.
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

VECTOR_BYTES = 32
Array = NDArray[Any]


def _typed(_context: Any, source: Any, i: Any, j: Any, target: Any) -> Any:
    """target[j : j + w, i : i + w] = source[i : i + w, j : j + w].T; entries of a row lie side by side in both."""
    w, size = VECTOR_BYTES * 8 // source.dtype.bitwidth, source.dtype.bitwidth // 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(context.get_value_type(source.dtype), w)

        def rows_of(k: int, first: Any, last: Any) -> Iterator[Any]:
            """Where w rows of an argument begin, from an entry on."""
            array = context.make_array(signature.args[k])(context, builder, arguments[k])
            stride = builder.extract_value(array.strides, 0)
            skipped = builder.add(builder.mul(first, stride), builder.mul(last, ir.IntType(64)(size)))
            address = builder.add(builder.ptrtoint(array.data, ir.IntType(64)), skipped)
            for _ in range(w):
                yield builder.inttoptr(address, vector.as_pointer())
                address = builder.add(address, stride)

        rows = [builder.load(pointer, align=size) for pointer in rows_of(0, arguments[1], arguments[2])]
        for row, pointer in zip(_turned(builder, rows), rows_of(3, arguments[2], arguments[1]), strict=True):
            builder.store(row, pointer, align=size)
        return context.get_dummy_value()

    return types.void(source, i, j, target), generate


def _turned(builder: Any, rows: list[Any]) -> list[Any]:
    """Quarters off the diagonal change places, then those of each quarter (Eklundh 1972)."""
    w, far = len(rows), len(rows) // 2
    while far:
        upper = [lane if not lane & far else w + lane - far for lane in range(w)]
        lower = [lane + far if not lane & far else w + lane for lane in range(w)]
        of_upper, of_lower = (ir.Constant(ir.VectorType(ir.IntType(32), w), lanes) for lanes in (upper, lower))
        rows = [
            builder.shuffle_vector(rows[i - far], rows[i], of_lower)
            if i & far
            else builder.shuffle_vector(rows[i], rows[i + far], of_upper)
            for i in range(w)
        ]
        far //= 2
    return rows


_turn_square: Any = intrinsic(_typed)


@njit(nogil=True, error_model="numpy")
def transpose(source_rc: Array, target_cr: Array) -> None:
    """The first entries of target's rows are those of source.T. Squares that would stick out begin earlier."""
    n_rows, n_columns = source_rc.shape
    w = VECTOR_BYTES // source_rc.itemsize
    if n_rows < w or n_columns < w:
        for i in range(n_rows):
            for j in range(n_columns):
                target_cr[j, i] = source_rc[i, j]
        return
    for i in range(0, n_rows, w):
        for j in range(0, n_columns, w):
            _turn_square(source_rc, min(i, n_rows - w), min(j, n_columns - w), target_cr)
