"""Pieces of features as one matrix, dense or sparse, with a column of ones last where the model has an intercept.

Shapes: n rows, d features, p = d (+ 1), e entries of a sparse matrix.
"""

import warnings

import torch
from torch import Tensor

from gradline.data.features import Piece, whole
from gradline.data.room import Room

ROWS_AT_ONCE = 4096
"""Few enough for their features to stay in the processor's cache while they are filled."""
MIN_SPARSE_FEATURES = 256
MAX_SPARSE_DENSITY = 0.1


def is_better_sparse(pieces: list[Piece]) -> bool:
    """Many features, and few of their entries are not 0; numbers count as if none were."""
    d = sum(piece.width for piece in pieces)
    if d < MIN_SPARSE_FEATURES:
        return False
    held = sum(1.0 if piece.level_n is None else float((piece.level_n >= 0).float().mean()) for piece in pieces)
    return held / d < MAX_SPARSE_DENSITY


def dense_matrix(
    pieces: list[Piece], memory: Tensor, room: Room, *, has_intercept: bool, keeps_memory: bool = False
) -> Tensor:
    """x_np; entries are less their piece's shift.

    In `memory`, [n, j + 1], where the pieces are its first j columns and it need not be kept.
    """
    if has_intercept and not keeps_memory and _lies_in(memory, pieces):
        return _filled_in_place(memory, pieces)
    n, d = len(memory), sum(piece.width for piece in pieces)
    x_np = room.empty(n, d + has_intercept, memory.dtype)
    for start in range(0, n, ROWS_AT_ONCE):
        x_rp, at = x_np[start : start + ROWS_AT_ONCE].zero_(), 0
        x_rp[:, d:] = 1
        for piece in pieces:
            _fill(x_rp, at, _rows(piece, start))
            at += piece.width
    return x_np


def _lies_in(memory: Tensor, pieces: list[Piece]) -> bool:
    return len(pieces) == memory.shape[1] - 1 and all(
        piece.level_n is None
        and piece.value_n is not None
        and (piece.value_n.data_ptr(), piece.value_n.dtype) == (memory[:, j].data_ptr(), memory.dtype)
        for j, piece in enumerate(pieces)
    )


def _filled_in_place(memory: Tensor, pieces: list[Piece]) -> Tensor:
    fillable = [j for j, piece in enumerate(pieces) if piece.fill is not None]
    has_nan_p = torch.isnan(memory[:, :-1].sum(0)).tolist() if fillable else []
    for j in fillable:
        if has_nan_p[j]:
            memory[:, j].nan_to_num_(pieces[j].fill)
    return memory


def _rows(piece: Piece, start: int) -> Piece:
    part = slice(start, start + ROWS_AT_ONCE)
    level_n, value_n = piece.level_n, piece.value_n
    return piece._replace(
        level_n=None if level_n is None else level_n[part], value_n=None if value_n is None else value_n[part]
    )


def _fill(x_rp: Tensor, at: int, piece: Piece) -> None:
    value_n = piece.value_n if piece.value_n is None or piece.fill is None else piece.value_n.nan_to_num(piece.fill)
    if piece.level_n is None:
        assert value_n is not None  # noqa: S101  a piece without levels is a number
        x_rp[:, at] = value_n
        return
    row_e = torch.nonzero(piece.level_n >= 0).squeeze(1)
    x_rp[row_e, at + piece.level_n[row_e].long()] = (
        x_rp.new_ones(()) if value_n is None else value_n[row_e].to(x_rp.dtype)
    )


def sparse_matrix(pieces: list[Piece], n: int, dtype: torch.dtype, *, has_intercept: bool) -> Tensor:
    """x_np in CSR layout, without the entries that are 0; shifts are given back."""
    d = sum(piece.width for piece in pieces)
    starts = torch.tensor([0, *(piece.width for piece in pieces)]).cumsum(0).tolist()
    pieces = [*pieces, Piece(1, None, torch.ones((), dtype=dtype).expand(n))] if has_intercept else pieces
    held_na = torch.stack([_is_held(piece, n) for piece in pieces], 1)
    column_na = torch.stack(
        [
            torch.full((n,), start) if piece.level_n is None else piece.level_n.long() + start
            for piece, start in zip(pieces, starts, strict=False)
        ],
        1,
    )
    value_na = torch.stack([_values(piece, n, dtype) for piece in pieces], 1)
    crow = torch.zeros(n + 1, dtype=torch.long)
    crow[1:] = held_na.sum(1).cumsum(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            crow, column_na[held_na], value_na[held_na], (n, d + has_intercept), check_invariants=False
        )


def _is_held(piece: Piece, n: int) -> Tensor:
    value_n = whole(piece)
    is_held_n = torch.ones((), dtype=torch.bool).expand(n) if value_n is None else value_n != 0
    return is_held_n if piece.level_n is None else is_held_n & (piece.level_n >= 0)


def _values(piece: Piece, n: int, dtype: torch.dtype) -> Tensor:
    value_n = whole(piece)
    return torch.ones((), dtype=dtype).expand(n) if value_n is None else value_n.to(dtype)
