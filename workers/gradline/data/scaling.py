"""Centres and scales of features, weighted, from one pass over the rows; and their use in place.

The pass sums differences from the mean of the first rows, so that columns far from 0 lose nothing to rounding.
Shapes: n rows, d features, p columns of x.
"""

import torch
from torch import Tensor

from gradline.data.matrix import ROWS_AT_ONCE
from gradline.training.products import LetGo, parts_of

CONSTANT = 1e-12
"""A feature whose deviation is smaller than this share of its mean is constant; or than what rounding leaves."""


def moments(x_np: Tensor, d: int, share_n: Tensor, let_go: LetGo | None = None) -> tuple[Tensor, Tensor]:
    """mean_d and deviation_d in float64; the deviation of constant features is 0. `let_go`: as `Problem` has it."""
    if x_np.layout == torch.sparse_csr:
        return _sparse_moments(x_np, d, share_n, let_go)
    first_d = x_np[:ROWS_AT_ONCE, :d].mean(0)
    sum_d, square_d = torch.zeros(2, d, dtype=torch.float64)
    # Shares would leave float32's range: of a row in a billion, squared. Weights relative to the mean row do not.
    weight_n = (share_n * len(x_np)).to(x_np.dtype)
    for start in range(0, len(x_np), ROWS_AT_ONCE):
        weight_r, x_rd = weight_n[start : start + ROWS_AT_ONCE], x_np[start : start + ROWS_AT_ONCE, :d] - first_d
        sum_d += weight_r @ x_rd
        square_d += weight_r @ x_rd.square_()
    shift_d, square_d = sum_d / len(x_np), square_d / len(x_np)
    mean_d = first_d.double() + shift_d
    return mean_d, _deviation(mean_d, square_d, shift_d, x_np.dtype)


def moments_of_sums(sum_2d: Tensor, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The same from sums over n rows of features of a dtype, none far from 0, and of their squares."""
    mean_d, square_d = sum_2d / n
    return mean_d, _deviation(mean_d, square_d, mean_d, dtype)


def _deviation(mean_d: Tensor, square_d: Tensor, shift_d: Tensor, dtype: torch.dtype) -> Tensor:
    deviation_d = (square_d - shift_d.square()).clamp_(min=0).sqrt()
    return torch.where(is_constant(deviation_d, mean_d, dtype), 0.0, deviation_d)


def is_constant(deviation_d: Tensor, mean_d: Tensor, dtype: torch.dtype) -> Tensor:
    return deviation_d <= max(CONSTANT, 8 * torch.finfo(dtype).eps) * mean_d.abs()


def _sparse_moments(x_np: Tensor, d: int, share_n: Tensor, let_go: LetGo | None) -> tuple[Tensor, Tensor]:
    mean_p, square_p = torch.zeros(2, x_np.shape[1], dtype=torch.float64)
    for rows, x_rp in parts_of(x_np, let_go):
        share_r = share_n[rows]
        share_e = share_r.repeat_interleave(x_rp.crow_indices().diff()) if share_n.stride() != (0,) else share_r[0]
        value_e, column_e = x_rp.values().double(), x_rp.col_indices()
        mean_p.index_add_(0, column_e, value_e * share_e)
        square_p.index_add_(0, column_e, value_e.square() * share_e)
    variance_p = square_p - mean_p.square()
    return mean_p[:d], torch.where(variance_p <= CONSTANT * square_p, 0.0, variance_p.clamp(min=0)).sqrt()[:d]


def scale_in_place(x_np: Tensor, centre_d: Tensor, scale_d: Tensor, let_go: LetGo | None = None) -> None:
    """x = (x - centre) / scale; sparse features are not centred."""
    d = len(scale_d)
    if x_np.layout == torch.sparse_csr:
        scale_p = torch.ones(x_np.shape[1], dtype=torch.float64)
        scale_p[:d] = scale_d
        for _, x_rp in parts_of(x_np, let_go):
            x_rp.values().div_(scale_p[x_rp.col_indices()])
        return
    centre_d, scale_d = centre_d.to(x_np.dtype), scale_d.to(x_np.dtype)
    for start in range(0, len(x_np), ROWS_AT_ONCE):
        x_np[start : start + ROWS_AT_ONCE, :d].sub_(centre_d).div_(scale_d)
