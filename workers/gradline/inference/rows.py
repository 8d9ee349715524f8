"""Rows of a problem as they are needed here: dense, in float64, with the column of ones.

Shapes: n rows, r rows of a block, p columns of x with the column of ones.
"""

from collections.abc import Iterator

from torch import Tensor

from gradline.training import Problem

_BLOCK_NUMBERS = 1 << 20
"""Numbers of one block's largest tensor: 8 MiB, so that a block stays in the caches."""


def blocks_of(problem: Problem, width: int) -> Iterator[slice]:
    """All rows in order, as many at once as keep a tensor of this width small."""
    size = max(64, _BLOCK_NUMBERS // width)
    for start in range(0, problem.n, size):
        yield slice(start, min(start + size, problem.n))


def rows_between(problem: Problem, rows: slice) -> Tensor:
    """x_rp of a block."""
    return problem.products.block(rows.start, rows.stop).double()


def rows_at(problem: Problem, index_r: Tensor) -> Tensor:
    """x_rp of the rows with these indices."""
    return problem.rows(index_r).products.block(0, len(index_r)).double()
