"""Likelihoods with a penalty: Firth's, which keeps estimates finite where classes can be separated, and the ridge.

Firth (1993) adds half the log determinant of the information, Jeffreys' prior:

    V*(theta) = V(theta) - log det A(theta) / 2
    dV*       = sum_n w_n x_n (mean_n - y_n - m_n / 2)',     m_nj = sum_ab K_nabj G_nab

with G_n = x_n' A^-1 x_n and K_n the third cumulants of the target: for two classes m = leverage * (1 - 2 mean) (Heinze
and Schemper 2002), for more classes see Kosmidis and Firth 2011, for poisson K = mean. Estimates do not depend on the
scale of the columns or on the reference class. Where columns repeat each other, det A is that of A + N N', with N an
orthonormal basis of the directions that the rows do not determine, whatever theta is.

Shapes: b members, r rows of a block, p columns of x, f free outputs, q = f * p.
"""

import torch
from torch import Tensor

from gradline.inference.covariance import inverse_of, leverages
from gradline.inference.likelihood import Block, Evaluation, Information, Likelihood
from gradline.inference.newton import Minimum, minimise
from gradline.training import Family, Problem


class FirthLikelihood:
    """V* of the module's docstring. Newton's method divides not by A but by what V* curves like where leverages stay:
    that of pseudo-counts of half a leverage in each class (Kosmidis and Firth 2011). By A alone, steps for a level that
    is seen once are twice too long, and go to and fro for ever."""

    def __init__(self, likelihood: Likelihood) -> None:
        if likelihood.problem.family == Family.GAUSSIAN:
            raise ValueError("Firth's penalty is for families whose information depends on the mean")
        self._likelihood = likelihood
        whole = Likelihood(likelihood.problem)
        null_qz = inverse_of(whole.evaluate(whole.nowhere).information_bqq[0]).null_qz
        self._null_qq = null_qz @ null_qz.T

    def evaluate(self, theta_bq: Tensor) -> Evaluation:
        plain = self._likelihood.evaluate(theta_bq)
        factor_bqq, fault_b = torch.linalg.cholesky_ex(plain.information_bqq + self._null_qq)
        log_determinant_b = 2 * factor_bqq.diagonal(dim1=1, dim2=2).log().sum(1)
        value_b = torch.where(fault_b == 0, plain.value_b - log_determinant_b / 2, torch.inf)
        if bool(fault_b.any()):
            inverse_bqq = torch.linalg.pinv(plain.information_bqq + self._null_qq, hermitian=True)
        else:
            inverse_bqq = torch.cholesky_inverse(factor_bqq)
        pull_bq, curvature_bqq = self._pull(theta_bq, inverse_bqq)
        return Evaluation(value_b, plain.gradient_bq - pull_bq / 2, curvature_bqq)

    def _pull(self, theta_bq: Tensor, inverse_bqq: Tensor) -> tuple[Tensor, Tensor]:
        """sum_n w_n m_n kron x_n, the gradient of log det A, and the curvature to divide by."""
        likelihood = self._likelihood
        n_classes = likelihood.f + 1 if likelihood.problem.family.is_classification else 0
        information = Information(len(theta_bq), likelihood.f, likelihood.p, theta_bq)
        pull_bfp = theta_bq.new_zeros(len(theta_bq), likelihood.f, likelihood.p)
        for block in likelihood.blocks(theta_bq):
            curvature_rbff = likelihood.curvature(block)
            for b, inverse_qq in enumerate(inverse_bqq):
                leverage_rff = leverages(block.x_rp, inverse_qq, likelihood.f)
                share_r = (curvature_rbff[:, b] * leverage_rff).sum((1, 2)) / likelihood.f
                curvature_rbff[:, b] *= (1 + n_classes / 2 * share_r)[:, None, None]
                weight_r1 = block.weight_rb[:, min(b, block.weight_rb.shape[1] - 1)].unsqueeze(1)
                cumulant_rf = _third_cumulant(likelihood, block, b, leverage_rff)
                pull_bfp[b] += (cumulant_rf * weight_r1).T @ block.x_rp
            information.add(block.x_rp, curvature_rbff * block.weight_rb[:, :, None, None])
        return pull_bfp.flatten(1), information.matrix()


def firth_minimum(likelihood: Likelihood) -> Minimum:
    return minimise(FirthLikelihood(likelihood), likelihood.nowhere, tolerance=1e-18, max_steps=200)


def _third_cumulant(likelihood: Likelihood, block: Block, b: int, leverage_rff: Tensor) -> Tensor:
    """m_n of one member as [r, f]."""
    mean_rf = block.mean_rbf[:, b]
    own_rf = leverage_rff.diagonal(dim1=1, dim2=2)
    if likelihood.problem.family == Family.POISSON:
        return mean_rf * own_rf
    if likelihood.f == 1:
        return mean_rf * block.rest_rbf[:, b] * (1 - 2 * mean_rf) * own_rf
    across_rf = (leverage_rff @ mean_rf.unsqueeze(2)).squeeze(2)
    mixed_r1 = (mean_rf * (2 * across_rf - own_rf)).sum(1, keepdim=True)
    return mean_rf * (own_rf - 2 * across_rf + mixed_r1)


class RidgeLikelihood:
    """V(theta) + n * l2 / 2 * |w|^2, on the gauge where the classes of a multinomial model add up to zero."""

    def __init__(self, likelihood: Likelihood, l2: float) -> None:
        self._likelihood = likelihood
        self._strength_b1 = l2 * likelihood.n_weighed_b.unsqueeze(1)
        self._ridge_qq = ridge_matrix(likelihood.problem)

    def evaluate(self, theta_bq: Tensor) -> Evaluation:
        plain = self._likelihood.evaluate(theta_bq)
        pull_bq = theta_bq @ self._ridge_qq * self._strength_b1
        value_b = plain.value_b + (pull_bq * theta_bq).sum(1) / 2
        information_bqq = plain.information_bqq + self._ridge_qq * self._strength_b1.unsqueeze(2)
        return Evaluation(value_b, plain.gradient_bq + pull_bq, information_bqq)


def ridge_matrix(problem: Problem) -> Tensor:
    """R_qq with theta' R theta = |w|^2."""
    is_weight_p = torch.ones(problem.p, dtype=torch.float64, device=problem.y_nk.device)
    is_weight_p[problem.d :] = 0.0
    gauge_ff = is_weight_p.new_ones(1, 1)
    if problem.family == Family.MULTINOMIAL:
        gauge_ff = torch.eye(problem.k - 1, dtype=torch.float64, device=is_weight_p.device) - 1 / problem.k
    return torch.kron(gauge_ff, torch.diag(is_weight_p))
