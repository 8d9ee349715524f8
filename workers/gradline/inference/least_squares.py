"""Least squares by orthogonal factors of the rows, for columns that nearly repeat each other.

The normal equations square the condition of the columns and keep no digit where it is above 1e8. The triangle R of
X = Q R keeps it as it is, and its singular values tell which directions the rows determine (Golub 1965; Björck 1996).
Rows are read in blocks, each factorised below the triangle of those before it.

Shapes: n rows, p columns of x, q = p free parameters, s directions that the rows determine, z that they do not.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.covariance import Inverse
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Problem

_ROUNDINGS = 100
"""How many roundings of its largest number may add up in a column that is computed from others."""
_MAX_TOLERANCE = 3e-6
"""What normal equations tell apart too."""
_STEPS = 3
"""The solution, and two of refinement."""


class Solution(NamedTuple):
    theta_1q: Tensor
    inverse: Inverse
    """Of the information, X' W X."""
    gain: float
    """What the sum of squares could still lose, halved: the exact gap, but for rounding."""


def rounding_of(dtype: torch.dtype, far: float) -> float:
    """The singular value of columns of length 1 below which they are dependent, but for how their numbers are rounded.

    `far`: the largest number of a column in units of its deviation; a sum of two columns is rounded to its own size.
    """
    return min(_ROUNDINGS * float(torch.finfo(dtype).eps) * max(far, 1.0), _MAX_TOLERANCE)


def solve_least_squares(problem: Problem, tolerance: float) -> Solution:
    """The solution that is 0 along directions that the rows do not determine."""
    theta_1q = torch.zeros(1, problem.p, dtype=torch.float64, device=problem.y_nk.device)
    for _ in range(_STEPS):
        theta_1q = theta_1q + _look(problem, theta_1q, tolerance).step_1q
    last = _look(problem, theta_1q, tolerance)
    return Solution(theta_1q, last.inverse, last.gain)


def centred_root(problem: Problem) -> Tensor:
    """R_dd with R' R the weighted products of the features, about their means where there is an intercept."""
    order = [problem.d, *range(problem.d)] if problem.has_intercept else list(range(problem.d))
    triangle = _triangle(problem, problem.y_nk.double())[:, [*order, problem.p]]
    first = int(problem.has_intercept)
    return torch.linalg.qr(triangle, mode="r")[1][first : problem.p, first : problem.p]


class _Look(NamedTuple):
    step_1q: Tensor
    inverse: Inverse
    gain: float


def _look(problem: Problem, theta_1q: Tensor, tolerance: float) -> _Look:
    triangle = _triangle(problem, _residual(problem, theta_1q))
    root_pp, right_p = triangle[: problem.p, : problem.p], triangle[: problem.p, problem.p]
    norm_p = root_pp.norm(dim=0)
    scale_p = torch.where(norm_p > 0, norm_p, 1.0)
    left_pp, value_p, vector_pp = torch.linalg.svd(root_pp / scale_p)
    is_kept_p = value_p > tolerance * value_p[0]
    along_s = left_pp[:, is_kept_p].T @ right_p
    inverse_root_ps = vector_pp[is_kept_p].T / scale_p.unsqueeze(1) / value_p[is_kept_p]
    null_pz = torch.linalg.qr(vector_pp[~is_kept_p].T / scale_p.unsqueeze(1))[0]
    inverse = Inverse(inverse_root_ps @ inverse_root_ps.T, null_pz, scale_p)
    return _Look((inverse_root_ps @ along_s).unsqueeze(0), inverse, float(along_s.square().sum()) / 2)


def _residual(problem: Problem, theta_1q: Tensor) -> Tensor:
    residual_n1 = problem.y_nk.double()
    if problem.offset_n1 is not None:
        residual_n1 = residual_n1 - problem.offset_n1
    fitted = [rows_between(problem, rows) @ theta_1q.T for rows in blocks_of(problem, problem.p)]
    return residual_n1 - torch.cat(fitted)


def _triangle(problem: Problem, target_n1: Tensor) -> Tensor:
    """R of the columns with the target beside them, [p + 1, p + 1], each row by the root of its weight."""
    triangle = target_n1.new_zeros(0, problem.p + 1)
    for rows in blocks_of(problem, problem.p):
        beside = torch.cat((rows_between(problem, rows), target_n1[rows]), 1)
        if problem.weight_nb is not None:
            beside *= problem.weight_nb[rows].double().sqrt()
        triangle = torch.linalg.qr(torch.cat((triangle, beside)), mode="r")[1]
    return triangle
