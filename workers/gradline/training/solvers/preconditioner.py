"""What conjugate gradients divide by: a matrix near the Hessian whose inverse is cheap to multiply with.

    H is near  c X'X + l2    with c the mean curvature of the rows, X the features beside their column of ones

The column of ones is taken out exactly: with m the features' means, X'X is the covariance V once w's part of the
intercept, m'w, is counted as the intercept's. Of V the diagonal is exact; for dense features the correlations among
columns that stand side by side, or are put there, come from a sample of the rows, shrunk towards none by the share of
their squares that the sampling itself makes (Schäfer and Strimmer 2005), so that columns without any cost nothing but
the look.

Shapes: b members, n rows, r rows of the sample, d features, p = d + 1 with an intercept, k outputs, s blocks of m
columns.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from gradline.training.cpu.fused import fused_pass_of
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers.grouping import ROWS, grouped
from gradline.training.solvers.sample import sample_rows

BLOCK_COLUMNS = 256
SAMPLE_ROWS = 2048
LEAST_VARIANCE = 1e-6
"""As a share of a column's mean square: less is rounding."""
LEAST_SHRINKAGE = 1e-3
MAX_GROUPED = 8192
"""Columns up to which their order is looked into: that takes all their correlations, of few rows."""


class Preconditioner:
    """Made once; a fit's rows change their mean curvature, which is a factor, and little else."""

    def __init__(self, objective: Objective, curvature_b: Tensor) -> None:
        """`curvature_b`: of the rows where the fit starts; blocks take the penalty's share from it."""
        problem, d = objective.problem, objective.problem.d
        mean_p, square_p = _moments(problem)
        self._mean_d = mean_p[:d] if problem.has_intercept else None
        centred_d = square_p[:d] if self._mean_d is None else square_p[:d] - self._mean_d.square()
        variance_d = torch.maximum(centred_d, LEAST_VARIANCE * square_p[:d])
        self._variance_d = torch.where(variance_d > 0, variance_d, 1.0)
        self._l2_b11 = objective.l2_b.double().view(-1, 1, 1)
        l2_b1p = objective.l2_bq.view(-1, problem.k, problem.p)[:, :1]
        self._over_l2_b1p = torch.where(l2_b1p > 0, 1 / l2_b1p, 0.0)
        self._inverse_bsmm: Tensor | None = None
        self._order_d: Tensor | None = None
        if not problem.is_sparse:
            index_r = sample_rows(problem, min(problem.n, SAMPLE_ROWS))
            self._order_d = _order(problem, index_r)
            ridge_bd = (self._l2_b11 / (_positive(curvature_b).view(-1, 1, 1) * self._variance_d)).squeeze(1)
            ridge_bd = ridge_bd if self._order_d is None else ridge_bd[:, self._order_d]
            self._inverse_bsmm = _inverse_blocks(_correlations(problem, index_r, self._order_d), ridge_bd)

    def solve(self, r_bkp: Tensor, curvature_bk: Tensor) -> Tensor:
        """Where the rows' mean curvature is as given.

        What classes have in common bends by l2 alone, since softmax does not see it: that part is exact.
        """
        curvature_bk1 = _positive(curvature_bk).unsqueeze(2)
        if r_bkp.shape[1] == 1:
            return self._solve_outputs(r_bkp, curvature_bk1)
        common_b1p = r_bkp.mean(1, keepdim=True)
        solved_bkp = self._solve_outputs(r_bkp - common_b1p, curvature_bk1)
        solved_bkp -= solved_bkp.mean(1, keepdim=True)
        return solved_bkp + common_b1p * self._over_l2_b1p

    def _solve_outputs(self, r_bkp: Tensor, curvature_bk1: Tensor) -> Tensor:
        if self._mean_d is None:
            return self._solve_features(r_bkp, curvature_bk1)
        w_bkd = self._solve_features(r_bkp[:, :, :-1] - r_bkp[:, :, -1:] * self._mean_d, curvature_bk1)
        intercept_bk1 = r_bkp[:, :, -1:] / curvature_bk1 - (w_bkd @ self._mean_d).unsqueeze(2)
        return torch.cat((w_bkd, intercept_bk1), 2)

    def _solve_features(self, r_bkd: Tensor, curvature_bk1: Tensor) -> Tensor:
        if self._inverse_bsmm is None:
            return r_bkd / (curvature_bk1 * self._variance_d + self._l2_b11)
        b, k, d = r_bkd.shape
        _, s, m, _ = self._inverse_bsmm.shape
        scale_d, order_d = self._variance_d.rsqrt(), self._order_d
        scaled_bkd = r_bkd * scale_d
        padded_bksm = pad(scaled_bkd if order_d is None else scaled_bkd[:, :, order_d], (0, s * m - d)).view(b, k, s, m)
        solved_bskm = padded_bksm.transpose(1, 2) @ self._inverse_bsmm
        solved_bkd = solved_bskm.transpose(1, 2).reshape(b, k, s * m)[:, :, :d]
        if order_d is not None:
            solved_bkd = torch.empty_like(scaled_bkd).index_copy_(2, order_d, solved_bkd)
        return solved_bkd * scale_d / curvature_bk1


def _positive(curvature: Tensor) -> Tensor:
    return curvature.clamp(min=torch.finfo(torch.float64).tiny)


def _moments(problem: Problem) -> tuple[Tensor, Tensor]:
    """Means and mean squares of all columns, float64; with the first member's weights."""
    share_n1 = problem.share_nb[:, :1].contiguous()
    fused = None if problem.is_sparse else fused_pass_of(problem)
    if fused is not None:
        return fused.moments(share_n1.double())
    mean_1p = problem.y_nk.new_empty(1, problem.p)
    problem.products.collect(share_n1, mean_1p)
    return mean_1p[0].double(), problem.products.squares(share_n1)


def _order(problem: Problem, index_r: Tensor) -> Tensor | None:
    """None: blocks of columns as they stand."""
    if not BLOCK_COLUMNS < problem.d <= MAX_GROUPED:
        return None
    stride = -(-len(index_r) // ROWS)
    return grouped(problem.x_np[index_r[::stride], : problem.d], BLOCK_COLUMNS)


def _correlations(problem: Problem, index_r: Tensor, order_d: Tensor | None) -> Tensor:
    """Of each block of columns, shrunk, [s, m, m] in float64; the last block is filled up with columns apart."""
    m, x_nd = min(BLOCK_COLUMNS, problem.d), problem.x_np[:, : problem.d]
    if order_d is None:
        blocks = [block_nm[index_r] for block_nm in x_nd.split(m, 1)]
    else:
        x_rd = x_nd[index_r]
        blocks = [x_rd.index_select(1, some_m) for some_m in order_d.split(m)]
    return _shrunk(torch.stack([_block_correlation(block_rm, m) for block_rm in blocks]), len(index_r))


def _block_correlation(x_rm: Tensor, m: int) -> Tensor:
    centred_rm = x_rm - x_rm.mean(0)
    product_mm = (centred_rm.T @ centred_rm).double()
    scale_m = torch.where(product_mm.diagonal() > 0, product_mm.diagonal(), torch.inf).rsqrt()
    correlation_mm = torch.eye(m, dtype=torch.float64, device=x_rm.device)
    n_columns = x_rm.shape[1]
    correlation_mm[:n_columns, :n_columns] = product_mm * scale_m * scale_m.unsqueeze(1)
    return correlation_mm.fill_diagonal_(1.0)


def _shrunk(correlation_smm: Tensor, n_rows: int) -> Tensor:
    """A correlation of r rows is off by about r^-1/2: that share of the squares is noise."""
    s, m, _ = correlation_smm.shape
    square = (correlation_smm.square().sum() - s * m).clamp(min=torch.finfo(torch.float64).tiny)
    shrinkage = (s * m * (m - 1) / n_rows / square).clamp(LEAST_SHRINKAGE, 1.0)
    shrunk_smm = correlation_smm * (1 - shrinkage)
    shrunk_smm.diagonal(dim1=1, dim2=2).fill_(1.0)
    return shrunk_smm


def _inverse_blocks(correlation_smm: Tensor, ridge_bd: Tensor) -> Tensor:
    """(correlations + ridge)^-1 as [b, s, m, m]."""
    s, m, _ = correlation_smm.shape
    ridge_bsm = pad(ridge_bd, (0, s * m - ridge_bd.shape[1])).view(-1, s, m)
    ridged_bsmm = correlation_smm + torch.diag_embed(ridge_bsm)
    return torch.cholesky_inverse(torch.linalg.cholesky(ridged_bsmm))
