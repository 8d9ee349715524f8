"""The Cholesky factor of a Hessian, scaled to a unit diagonal first so that units of columns do not matter.

Shapes: b members, k outputs, p columns, q = k * p.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

ROOT_OF_SINGULAR = math.sqrt(1e-13)
"""A pivot of the scaled Hessian's factor below this is a direction without curvature, but for rounding."""
SINGULAR_ROWS = 1e-13
"""The same of the triangle of the rows, which knows what the products of rows round away."""
FIRST_RIDGE = 1e-12
"""Added to the scaled diagonal where that is so: to the matrix of the step only, never to the objective."""
RIDGE_GROWTH = 100.0
MAX_RIDGES = 8
CONTRACTION = 0.25
"""A step with the factor of elsewhere that leaves more than this of the decrement asks for a new one."""
MAX_DRIFT = 1.0
LONG_STEP = 0.25
"""Decrement of a step that goes too far for its factor: the rows' changes of z are twice that or more in the mean, as
no curvature of classes is above 1/4, and the largest is some times the mean."""


class Factor(NamedTuple):
    """D^-1/2 H D^-1/2 = L L', D the diagonal of H."""

    lower_bqq: Tensor
    scale_bq: Tensor
    """D^-1/2."""
    is_singular_b: Tensor
    """Whether it took a ridge."""
    reach_b: Tensor | None = None
    """At least that of every row, where the pass told (see `Derivatives`)."""
    length_b: Tensor | None = None
    """The largest of a row, where the pass told."""

    def solve(self, g_bq: Tensor) -> Tensor:
        """H^-1 g."""
        scaled_bq1 = (g_bq * self.scale_bq).unsqueeze(2)
        return torch.cholesky_solve(scaled_bq1, self.lower_bqq).squeeze(2).mul_(self.scale_bq)

    def hessian(self) -> Tensor:
        """H again, with what was added to factorise it."""
        return (self.lower_bqq @ self.lower_bqq.transpose(1, 2)) / (
            self.scale_bq.unsqueeze(1) * self.scale_bq.unsqueeze(2)
        )

    def inverse_root(self) -> Tensor:
        """R with R' R = H^-1, [b, q, q]."""
        identity_qq = torch.eye(self.scale_bq.shape[1], dtype=self.scale_bq.dtype, device=self.scale_bq.device)
        root_bqq = torch.linalg.solve_triangular(self.lower_bqq, identity_qq.expand_as(self.lower_bqq), upper=False)
        return root_bqq.mul_(self.scale_bq.unsqueeze(1))


def factorise(hessian_bqq: Tensor) -> Factor:
    """With the smallest ridge that it needs, where columns are collinear or rows have lost their curvature."""
    diagonal_bq = hessian_bqq.diagonal(dim1=1, dim2=2)
    scale_bq = diagonal_bq.rsqrt().nan_to_num_(1.0, 1.0)  # where there is no curvature, units do not matter
    scaled_bqq = hessian_bqq * (scale_bq.unsqueeze(1) * scale_bq.unsqueeze(2))
    lower_bqq, info_b = torch.linalg.cholesky_ex(scaled_bqq)
    is_bad_b = is_singular_b = _is_singular(lower_bqq, info_b)
    ridge = FIRST_RIDGE
    for _ in range(MAX_RIDGES):
        if True not in is_bad_b.tolist():
            break
        ridged_bqq = scaled_bqq.clone()
        ridged_bqq.diagonal(dim1=1, dim2=2).add_(ridge)
        tried_bqq, info_b = torch.linalg.cholesky_ex(ridged_bqq)
        lower_bqq = torch.where(is_bad_b.view(-1, 1, 1), tried_bqq, lower_bqq)
        is_bad_b = is_bad_b & _is_singular(lower_bqq, info_b)
        ridge *= RIDGE_GROWTH
    return Factor(lower_bqq, scale_bq, is_singular_b)


def factorise_rows(blocks: Iterable[Tensor]) -> Factor:
    """Of the Hessian A' A of one member, A the blocks [r, q] below one another: from a QR decomposition of A, whose
    condition is the root of the Hessian's (Golub and Van Loan 2013, section 5.3). No ridge where that is singular."""
    triangle_qq: Tensor | None = None
    for block_rq in blocks:
        stacked = block_rq if triangle_qq is None else torch.cat((triangle_qq, block_rq))
        triangle_qq = torch.linalg.qr(stacked, mode="r").R
    assert triangle_qq is not None  # noqa: S101  there is a row
    scale_q = triangle_qq.norm(dim=0).reciprocal().nan_to_num_(posinf=1.0)
    scaled_qq = triangle_qq * scale_q * triangle_qq.diagonal().sign().unsqueeze(1)
    is_singular = (scaled_qq.diagonal() <= SINGULAR_ROWS).any()
    return Factor(scaled_qq.T.unsqueeze(0), scale_q.unsqueeze(0), is_singular.unsqueeze(0))


def _is_singular(lower_bqq: Tensor, info_b: Tensor) -> Tensor:
    is_sound_bq = lower_bqq.diagonal(dim1=1, dim2=2) > ROOT_OF_SINGULAR
    return is_sound_bq.all(1).logical_not_().logical_or_(info_b)


def fix_gauge(hessian_bqq: Tensor, freedom_bp: Tensor) -> Tensor:
    """In place: adds curvature where adding the same to every class changes nothing, so that H can be factorised.

    Softmax sees differences between classes only. `freedom_bp` is 0 for columns
    whose penalty settles it, else how much to add, as a share of the diagonal.
    Gradients have no part in these directions, so steps have none either.
    """
    b, p = freedom_bp.shape
    k = hessian_bqq.shape[1] // p
    scale_bp = hessian_bqq.diagonal(dim1=1, dim2=2).reshape(b, k, p).mean(1)
    hessian_bqq.view(b, k, p, k, p).diagonal(dim1=2, dim2=4).add_((scale_bp * freedom_bp / k).view(b, 1, 1, p))
    return hessian_bqq
