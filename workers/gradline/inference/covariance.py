"""Covariance of the estimates: the inverse information, or the robust sandwich around it.

The sandwich (Huber 1967, White 1980; MacKinnon and White 1985 for HC1 to HC3) is  A^-1 (sum_n w_n s_n s_n') A^-1  with
the information A and the score s_n = (I - C_n G_n)^-1 (mean_n - y_n) kron x_n, where G_n = x_n' A^-1 x_n and C_n is the
curvature of the row, so that C_n G_n is its leverage. HC0 leaves the leverage out, HC1 scales by n / (n - q), HC2 takes
the square root of the correction, HC3 takes it as it is (the one-step jackknife).

Shapes: r rows of a block, p columns of x, f free outputs, q = f * p, z directions that the rows do not determine.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Likelihood
from gradline.training import Family

ROBUST = ("hc0", "hc1", "hc2", "hc3")
_SINGULAR = 1e-13
"""Eigenvalue of the information with a unit diagonal below which a direction counts as undetermined."""


UNDETERMINED = 1e-7
"""Share of a functional that may lie along directions that the rows do not determine: what rounding makes of none."""
NOTHING_LEFT = 1e-10
"""What leverage leaves of 1 in a row that alone determines a coefficient, but for rounding."""


class Inverse(NamedTuple):
    """A generalised inverse, and what it cannot say."""

    inverse_qq: Tensor
    null_qz: Tensor
    """Orthonormal directions along which the likelihood is flat."""
    scale_q: Tensor
    """Root of the diagonal of the information."""

    @property
    def unit_null_qz(self) -> Tensor:
        """The same directions, orthonormal where the information has a unit diagonal."""
        return torch.linalg.qr(self.null_qz * self.scale_q.unsqueeze(1))[0]

    def determines(self, functional_mq: Tensor, tolerance: float = UNDETERMINED) -> Tensor:
        """Whether the rows determine each linear functional of the parameters, whatever the units of the columns; what
        is held at 0 they do not."""
        unit_mq = functional_mq / self.scale_q
        return (unit_mq @ self.unit_null_qz).norm(dim=1) < tolerance * unit_mq.norm(dim=1)


def inverse_of(information_qq: Tensor, rounding: float = 0.0) -> Inverse:
    """By Cholesky where the matrix is regular, else by eigenvalues, both on the unit diagonal.

    `rounding`: how much of its length a column may be off, which leaves a direction undetermined that it would settle.
    """
    singular = max(_SINGULAR, rounding**2 / len(information_qq))
    scale_q = information_qq.diagonal().clamp(min=0.0).sqrt()
    scale_q = torch.where(scale_q > 0, scale_q, 1.0)
    unit_qq = information_qq / scale_q / scale_q.unsqueeze(1)
    factor_qq, fault = torch.linalg.cholesky_ex(unit_qq)
    if int(fault) == 0 and float(factor_qq.diagonal().min()) ** 2 > 100 * singular:
        inverse_qq = torch.cholesky_inverse(factor_qq)
        return Inverse(inverse_qq / scale_q / scale_q.unsqueeze(1), information_qq.new_zeros(len(scale_q), 0), scale_q)
    value_q, vector_qq = torch.linalg.eigh(unit_qq)
    is_null_q = value_q <= singular * len(value_q)
    kept_qs = vector_qq[:, ~is_null_q] / scale_q.unsqueeze(1)
    null_qz = torch.linalg.qr(vector_qq[:, is_null_q] / scale_q.unsqueeze(1))[0]
    return Inverse((kept_qs / value_q[~is_null_q]) @ kept_qs.T, null_qz, scale_q)


def robust_covariance(
    likelihood: Likelihood, theta_q: Tensor, inverse: Inverse, kind: str, *, are_frequencies: bool = True
) -> Tensor:
    """`kind` is one of ROBUST. Without `are_frequencies` a weight is one of the row's score, not a count of rows.

    NaN where hc2 or hc3 meet a row of leverage 1, whose residual is 0 whatever its target is.
    """
    if kind == "hc2" and likelihood.f > 1:
        raise ValueError("hc2 is not defined for more than two classes: hc3 is")
    f, p, power = likelihood.f, likelihood.p, 1 if are_frequencies else 2
    inverse_qq, n_determined = inverse.inverse_qq, likelihood.q - inverse.null_qz.shape[1]
    meat = inverse_qq.new_zeros(f, p, f, p)
    for block in likelihood.blocks(theta_q.unsqueeze(0)):
        residual_rf = block.residual_rbf[:, 0]
        if kind in ("hc2", "hc3"):
            one_rb = torch.ones_like(block.weight_rb) if are_frequencies else block.weight_rb
            curvature_rff = likelihood.curvature(block)[:, 0] * one_rb.unsqueeze(2)
            leverage_rff = curvature_rff @ leverages(block.x_rp, inverse_qq, f)
            residual_rf = _without_leverage(residual_rf, leverage_rff, is_root=kind == "hc2")
        for i in range(f):
            for j in range(f):
                share_r1 = (residual_rf[:, i] * residual_rf[:, j]).unsqueeze(1) * block.weight_rb**power
                meat[i, :, j, :] += (block.x_rp * share_r1).T @ block.x_rp
    covariance_qq = inverse_qq @ meat.view(f * p, f * p) @ inverse_qq
    n = likelihood.n_weighed if are_frequencies else likelihood.problem.n
    return covariance_qq * (n / (n - n_determined)) if kind == "hc1" else covariance_qq


def leverages(x_rp: Tensor, inverse_qq: Tensor, f: int) -> Tensor:
    """G_n = x_n' A^-1 x_n as [r, f, f]."""
    p = x_rp.shape[1]
    inverse = inverse_qq.view(f, p, f, p)
    leverage_rff = x_rp.new_empty(len(x_rp), f, f)
    for i in range(f):
        for j in range(f):
            leverage_rff[:, i, j] = ((x_rp @ inverse[i, :, j, :]) * x_rp).sum(1)
    return leverage_rff


def _without_leverage(residual_rf: Tensor, leverage_rff: Tensor, *, is_root: bool) -> Tensor:
    left_rff = torch.eye(residual_rf.shape[1], dtype=torch.float64, device=residual_rf.device) - leverage_rff
    if len(left_rff[0]) == 1:
        left_r1 = torch.where(left_rff[:, 0] > NOTHING_LEFT, left_rff[:, 0], torch.nan)
        return residual_rf / (left_r1.sqrt() if is_root else left_r1)
    solved_rf1, fault_r = torch.linalg.solve_ex(left_rff, residual_rf.unsqueeze(2))
    return torch.where(fault_r.unsqueeze(1) > 0, torch.nan, solved_rf1.squeeze(2))


def dispersion(likelihood: Likelihood, value: float, n_determined: int) -> float:
    """The variance of a gaussian target, from its residuals; 1 for the other families, whose variance is known."""
    if likelihood.problem.family != Family.GAUSSIAN:
        return 1.0
    return 2 * value / (likelihood.n_weighed - n_determined)
