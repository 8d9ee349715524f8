"""Pieces of features as one matrix, dense or sparse, with a column of ones last where the model has an intercept.

Shapes: n rows, r of them, d features, p = d (+ 1), e entries of a sparse matrix, a pieces.
"""

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from gradline.data.features import Piece, Pieces, whole
from gradline.data.room import Room

NO_ROWS = slice(0)
"""Tell of pieces what is the same for all rows."""
ROWS_AT_ONCE = 4096
"""Few enough for their features to stay in the processor's cache while they are filled."""
ENTRIES_AT_ONCE = 2**18
"""Of the pieces of rows, 0 or not: making a sparse matrix takes some 40 bytes for each of them."""
MIN_SPARSE_FEATURES = 256
MAX_SPARSE_DENSITY = 0.1


def n_features(pieces: Pieces) -> int:
    return sum(piece.width for piece in pieces(NO_ROWS))


def is_better_sparse(pieces: Pieces, n: int) -> bool:
    """Many features, and few of their entries are not 0; numbers count as if none were."""
    d, n_held = n_features(pieces), 0
    if d < MIN_SPARSE_FEATURES:
        return False
    for rows in _sparse_blocks(n, pieces):
        for piece in pieces(rows):
            n_held += rows.stop - rows.start if piece.level_r is None else int((piece.level_r >= 0).sum())
    return n_held < MAX_SPARSE_DENSITY * n * d


def _blocks(n: int, n_rows: int) -> Iterator[slice]:
    return (slice(start, min(start + n_rows, n)) for start in range(0, n, n_rows))


def _sparse_blocks(n: int, pieces: Pieces) -> Iterator[slice]:
    return _blocks(n, max(1, ENTRIES_AT_ONCE // len(pieces(NO_ROWS))))


def dense_matrix(
    pieces: Pieces, memory: Tensor, room: Room, *, has_intercept: bool, keeps_memory: bool = False
) -> Tensor:
    """x_np; entries are less their piece's shift.

    In `memory`, [n, j + 1], where the pieces are its first j columns and it need not be kept.
    """
    if has_intercept and not keeps_memory and _lies_in(memory, pieces):
        return _filled_in_place(memory, pieces(NO_ROWS))
    n, d = len(memory), n_features(pieces)
    x_np = room.empty(n, d + has_intercept, memory.dtype)
    for rows in _blocks(n, ROWS_AT_ONCE):
        x_rp, at = x_np[rows].zero_(), 0
        x_rp[:, d:] = 1
        for piece in pieces(rows):
            _fill(x_rp, at, piece)
            at += piece.width
    return x_np


def _lies_in(memory: Tensor, pieces: Pieces) -> bool:
    firsts = pieces(slice(0, 1))
    return len(firsts) == memory.shape[1] - 1 and all(
        piece.level_r is None
        and piece.value_r is not None
        and (piece.value_r.data_ptr(), piece.value_r.dtype) == (memory[:, j].data_ptr(), memory.dtype)
        for j, piece in enumerate(firsts)
    )


def _filled_in_place(memory: Tensor, pieces: list[Piece]) -> Tensor:
    fillable = [j for j, piece in enumerate(pieces) if piece.fill is not None]
    has_nan_p = torch.isnan(memory[:, :-1].sum(0)).tolist() if fillable else []
    for j in fillable:
        if has_nan_p[j]:
            memory[:, j].nan_to_num_(pieces[j].fill)
    return memory


def _fill(x_rp: Tensor, at: int, piece: Piece) -> None:
    value_r = piece.value_r if piece.value_r is None or piece.fill is None else piece.value_r.nan_to_num(piece.fill)
    if piece.level_r is None:
        assert value_r is not None  # noqa: S101  a piece without levels is a number
        x_rp[:, at] = value_r
        return
    row_e = torch.nonzero(piece.level_r >= 0).squeeze(1)
    x_rp[row_e, at + piece.level_r[row_e].long()] = (
        x_rp.new_ones(()) if value_r is None else value_r[row_e].to(x_rp.dtype)
    )


def sparse_matrix(pieces: Pieces, n: int, dtype: torch.dtype, room: Room, *, has_intercept: bool) -> Tensor:
    """x_np in CSR layout, without the entries that are 0; shifts are given back. Rows are looked at twice: first to
    count their entries."""
    d = n_features(pieces)
    count_n = torch.empty(n, dtype=torch.int32)
    for rows in _sparse_blocks(n, pieces):
        count_n[rows] = _held(pieces(rows), rows).sum(1) + has_intercept
        room.let_go()
    crow = _from_zero(count_n)
    column_e, value_e = room.entries(int(crow[-1]), crow.dtype, dtype)
    for rows in _sparse_blocks(n, pieces):
        entries = slice(int(crow[rows.start]), int(crow[rows.stop]))
        made = [*pieces(rows), Piece(1, None, None)] if has_intercept else pieces(rows)
        held_ra = _held(made, rows)
        column_e[entries] = _columns(made, rows, crow.dtype)[held_ra]
        value_e[entries] = torch.stack([_values(piece, rows, dtype) for piece in made], 1)[held_ra]
        room.let_go()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(crow, column_e, value_e, (n, d + has_intercept), check_invariants=False)


def _from_zero(count_n: Tensor) -> Tensor:
    """Where each row begins, and the last one ends, in 32 bits where they can count that far."""
    dtype = torch.int32 if int(count_n.sum()) < 2**31 else torch.int64
    crow = torch.zeros(len(count_n) + 1, dtype=dtype)
    torch.cumsum(count_n, 0, dtype=dtype, out=crow[1:])
    return crow


def _held(made: list[Piece], rows: slice) -> Tensor:
    """[r, a]: whether a row has an entry that is not 0."""
    return torch.stack([_is_held(piece, rows.stop - rows.start) for piece in made], 1)


def _is_held(piece: Piece, n_rows: int) -> Tensor:
    value_r = whole(piece)
    is_held_r = torch.ones(n_rows, dtype=torch.bool) if value_r is None else value_r != 0
    return is_held_r if piece.level_r is None else is_held_r & (piece.level_r >= 0)


def _columns(made: list[Piece], rows: slice, dtype: torch.dtype) -> Tensor:
    """[r, a]: of a piece without levels, its only one."""
    column_ra, at = torch.empty(rows.stop - rows.start, len(made), dtype=dtype), 0
    for a, piece in enumerate(made):
        column_ra[:, a] = at if piece.level_r is None else piece.level_r + at
        at += piece.width
    return column_ra


def _values(piece: Piece, rows: slice, dtype: torch.dtype) -> Tensor:
    value_r = whole(piece)
    return torch.ones(rows.stop - rows.start, dtype=dtype) if value_r is None else value_r.to(dtype)
