"""Minus the log-likelihood of the free parameters, as a sum over rows in float64, with its first two derivatives.

    V(theta) = sum_n w_n loss(y_n, z_n)           loss: half the unit deviance, as in gradline.training.family
    dV       = sum_n w_n x_n (mean_n - y_n)'
    d2V      = sum_n w_n (C_n kron x_n x_n')      C_n: diag(mean) - mean mean' for classes, mean for poisson, else 1

Weights are frequencies: a row of weight 2 is that row twice. Unlike gradline.training, which minimises the mean over
rows in the dtype of the data, this keeps the sum, drops the reference class, and reads the data in blocks that it turns
to float64; only where one member asks for much does it turn to training's own pass.

Shapes: b members, n rows, r rows of a block, p columns of x, f free outputs, q = f * p.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from gradline.inference.parameters import all_parameters, n_free_outputs
from gradline.inference.rows import blocks_of, rows_between
from gradline.training import Family, Problem
from gradline.training.derivatives import Want
from gradline.training.fused import fused_pass_of
from gradline.training.loss import make_loss

_MAX_PAIRED_COLUMNS = 64
_MANY_ROWS = 100_000
_MANY_COLUMNS = 16
_CLEAR = 1e-2
"""Least pivot of the information with a unit diagonal for which sums in float32 leave standard errors six digits: what
they are off grows with its inverse."""


_MEANS = {Family.BINOMIAL: torch.sigmoid, Family.POISSON: torch.exp, Family.GAUSSIAN: torch.clone}


class Evaluation(NamedTuple):
    """At one theta for each member."""

    value_b: Tensor
    gradient_bq: Tensor
    information_bqq: Tensor
    reach_b: Tensor | None = None
    """How far a step of length 1, in the norm of the information, moves any row's linear predictor at most, where a
    pass tells it."""

    def member(self, b: int) -> "Evaluation":
        return Evaluation(self.value_b[b : b + 1], self.gradient_bq[b : b + 1], self.information_bqq[b : b + 1])


class Evaluator(Protocol):
    """Something to minimise by Newton's method: a likelihood, penalised or not."""

    def evaluate(self, theta_bq: Tensor) -> Evaluation:
        """Value, gradient, and the matrix that Newton's method divides by."""


class Block(NamedTuple):
    """Some of the rows in float64, and what the parameters say of them."""

    x_rp: Tensor
    y_rf: Tensor
    weight_rb: Tensor
    """One column where all members weigh rows the same."""
    z_rbf: Tensor
    """The linear predictors, with the offset."""
    loss_rb: Tensor
    mean_rbf: Tensor
    rest_rbf: Tensor
    """For classes: one minus the mean, without cancellation for two of them."""

    @property
    def residual_rbf(self) -> Tensor:
        return self.mean_rbf - self.y_rf.unsqueeze(1)


def _count(problem: Problem, weight_nb: Tensor | None) -> Tensor:
    if weight_nb is None:
        return torch.full((1,), float(problem.n), dtype=torch.float64, device=problem.y_nk.device)
    return weight_nb.sum(0, dtype=torch.float64)


class Likelihood:
    """V for the rows of a problem; `weight_nb` stands in for the problem's own weights."""

    def __init__(self, problem: Problem, weight_nb: Tensor | None = None) -> None:
        self.problem = problem
        self.f = n_free_outputs(problem)
        self.p = problem.p
        self.q = self.f * self.p
        self._weight_nb = problem.weight_nb if weight_nb is None else weight_nb
        self.n_weighed_b = _count(problem, self._weight_nb)
        """Rows, counted by each member's weights; one number where all members have the same."""
        self.n_weighed = float(self.n_weighed_b[0])
        """The same of the first."""

    @property
    def nowhere(self) -> Tensor:
        """theta_1q = 0."""
        return torch.zeros(1, self.q, dtype=torch.float64, device=self.problem.y_nk.device)

    def blocks(self, theta_bq: Tensor, width: int = 1) -> Iterator[Block]:
        """Every row once. `width`: numbers of a row in the largest tensor that is made of a block."""
        problem, b = self.problem, len(theta_bq)
        theta_pm = theta_bq.reshape(b * self.f, self.p).T
        for rows in blocks_of(problem, max(self.p, b * self.f * self.f, width)):
            x_rp, y_rk = rows_between(problem, rows), problem.y_nk[rows].double()
            z_rm = x_rp @ theta_pm
            if problem.offset_n1 is not None:
                z_rm += problem.offset_n1[rows].double()
            y_rf = y_rk[:, 1:] if problem.family == Family.MULTINOMIAL else y_rk
            weight_rb = x_rp.new_ones(len(x_rp), 1) if self._weight_nb is None else self._weight_nb[rows].double()
            z_rbf = z_rm.view(-1, b, self.f)
            yield Block(x_rp, y_rf, weight_rb, z_rbf, *_respond(problem.family, z_rbf, y_rf.unsqueeze(1)))

    def at(self, block: Block, z_rbf: Tensor) -> Block:
        """The same rows, had they these linear predictors."""
        told = _respond(self.problem.family, z_rbf, block.y_rf.unsqueeze(1))
        return Block(block.x_rp, block.y_rf, block.weight_rb, z_rbf, *told)

    def curvature(self, block: Block) -> Tensor:
        """C_n as [r, b, f, f]."""
        family, mean_rbf = self.problem.family, block.mean_rbf
        if family == Family.GAUSSIAN:
            return torch.ones_like(mean_rbf).unsqueeze(3)
        if family == Family.POISSON:
            return mean_rbf.unsqueeze(3)
        c_rbff = -mean_rbf.unsqueeze(3) * mean_rbf.unsqueeze(2)
        c_rbff.diagonal(dim1=2, dim2=3).copy_(mean_rbf * block.rest_rbf)
        return c_rbff

    def bend(self, block: Block, move_rbf: Tensor) -> Tensor:
        """d (C_n v) / dz for a move v of the linear predictors, [r, b, f, f]: of classes
        C_n,ij (v_i - mean' v) - mean_i (C_n v)_j."""
        family, c_rbff = self.problem.family, self.curvature(block)
        if family == Family.GAUSSIAN:
            return torch.zeros_like(move_rbf).unsqueeze(3)
        moved_rbf = (c_rbff * move_rbf.unsqueeze(2)).sum(3)
        if family == Family.POISSON:
            return moved_rbf.unsqueeze(3)
        apart_rbf = move_rbf - (block.mean_rbf * move_rbf).sum(2, keepdim=True)
        return c_rbff * apart_rbf.unsqueeze(3) - block.mean_rbf.unsqueeze(3) * moved_rbf.unsqueeze(2)

    def evaluate(self, theta_bq: Tensor) -> Evaluation:
        b = len(theta_bq)
        if b == 1 and self._weight_nb is self.problem.weight_nb and self.suits_training:
            evaluation = self._evaluate_as_training(theta_bq)
            if self.problem.y_nk.dtype == torch.float64 or _is_clear(evaluation.information_bqq[0]):
                return evaluation
        value_b = theta_bq.new_zeros(b)
        gradient_mp = theta_bq.new_zeros(b * self.f, self.p)
        information = Information(b, self.f, self.p, theta_bq)
        for block in self.blocks(theta_bq):
            value_b += (block.loss_rb * block.weight_rb).sum(0)
            weighted_rbf = block.residual_rbf * block.weight_rb.unsqueeze(2)
            gradient_mp += weighted_rbf.flatten(1).T @ block.x_rp
            information.add(block.x_rp, self.curvature(block) * block.weight_rb[:, :, None, None])
        return Evaluation(value_b, gradient_mp.view(b, self.q), information.matrix())

    def gradient(self, theta_1q: Tensor) -> Tensor:
        """dV alone, of one member, in float64 whatever the features."""
        problem, gradient_1p, theta_p1 = self.problem, torch.zeros_like(theta_1q), theta_1q.T
        if self.f > 1:
            weighted = (((b.residual_rbf[:, 0] * b.weight_rb).T @ b.x_rp).flatten() for b in self.blocks(theta_1q))
            return sum(weighted, gradient_1p)
        fused = fused_pass_of(problem, 1) if self._weight_nb is problem.weight_nb else None
        found = fused and fused.derivatives(theta_1q.unsqueeze(0), Want.GRADIENT, follow_drift=False)
        if found:
            return self.n_weighed * found.gradient_bkp[0]
        for rows in blocks_of(problem, 4 * self.p):
            x_rp = rows_between(problem, rows)
            z_r1 = x_rp @ theta_p1
            if problem.offset_n1 is not None:
                z_r1 += problem.offset_n1[rows]
            residual_r1 = _MEANS[problem.family](z_r1).sub_(problem.y_nk[rows])
            if self._weight_nb is not None:
                residual_r1 *= self._weight_nb[rows]
            gradient_1p += residual_r1.T @ x_rp
        return gradient_1p

    @property
    def suits_training(self) -> bool:
        """Training's pass is in float64 too; or it saves much, and sums so few rows at once in float32 that standard
        errors keep six digits."""
        is_wide = self.p >= _MANY_COLUMNS
        return self.problem.y_nk.dtype == torch.float64 or (self.problem.n >= _MANY_ROWS and is_wide)

    @property
    def is_rounded(self) -> bool:
        """Whether training's pass is used although its gradient comes from products in float32."""
        if not self.suits_training or self.problem.y_nk.dtype == torch.float64:
            return False
        fused = fused_pass_of(self.problem, 1)
        return fused is None or not fused.gives_hessian

    def _evaluate_as_training(self, theta_1q: Tensor) -> Evaluation:
        loss = make_loss(self.problem, 1)
        told = loss.derivatives(all_parameters(self.problem, theta_1q), Want.HESSIAN)
        assert told.hessian_bqq is not None  # noqa: S101  asked for
        n, first = self.n_weighed, told.gradient_bkp[0].numel() - self.q
        gradient_1q, information_1qq = told.gradient_bkp.flatten(1)[:, first:], told.hessian_bqq[:, first:, first:]
        reach_b = None if told.reach_b is None else told.reach_b / n**0.5
        return Evaluation(n * told.value_b, n * gradient_1q, n * information_1qq, reach_b)

    def value(self, theta_bq: Tensor) -> Tensor:
        """V alone."""
        value_b = theta_bq.new_zeros(len(theta_bq))
        for block in self.blocks(theta_bq):
            value_b += (block.loss_rb * block.weight_rb).sum(0)
        return value_b


def _is_clear(information_qq: Tensor) -> bool:
    """Whether each parameter tells of the rows what the others do not, by more than rounding to float32."""
    scale_q = information_qq.diagonal().clamp(min=1e-300).sqrt()
    factor_qq, fault = torch.linalg.cholesky_ex(information_qq / scale_q / scale_q.unsqueeze(1))
    return int(fault) == 0 and float(factor_qq.diagonal().min()) ** 2 > _CLEAR


class Information:
    """sum_n C_n kron x_n x_n' of every member, symmetric in the outputs, so that only i <= j is summed."""

    def __init__(self, b: int, f: int, p: int, like: Tensor) -> None:
        self._b, self._f, self._p = b, f, p
        self._outputs = [(i, j) for i in range(f) for j in range(i, f)]
        self._is_paired = b * len(self._outputs) >= 8 and p <= _MAX_PAIRED_COLUMNS
        """Sum the products of pairs of columns, one matrix product for all members."""
        self._pair_i, self._pair_j = torch.triu_indices(p, p, device=like.device)
        n_columns = (len(self._pair_i),) if self._is_paired else (p, p)
        self._sum = like.new_zeros(b, len(self._outputs), *n_columns)

    def add(self, x_rp: Tensor, c_rbff: Tensor) -> None:
        c_rbo = torch.stack([c_rbff[:, :, i, j] for i, j in self._outputs], 2)
        if self._is_paired:
            pair_rs = x_rp[:, self._pair_i] * x_rp[:, self._pair_j]
            self._sum += (c_rbo.flatten(1).T @ pair_rs).view_as(self._sum)
            return
        for b in range(self._b):
            for o in range(len(self._outputs)):
                self._sum[b, o] += (x_rp * c_rbo[:, b, o : o + 1]).T @ x_rp

    def matrix(self) -> Tensor:
        sum_bopp = self._sum
        if self._is_paired:
            sum_bopp = self._sum.new_empty(self._b, len(self._outputs), self._p, self._p)
            sum_bopp[:, :, self._pair_i, self._pair_j] = self._sum
            sum_bopp[:, :, self._pair_j, self._pair_i] = self._sum
        matrix = self._sum.new_empty(self._b, self._f, self._p, self._f, self._p)
        for o, (i, j) in enumerate(self._outputs):
            matrix[:, i, :, j, :] = sum_bopp[:, o]
            matrix[:, j, :, i, :] = sum_bopp[:, o]
        return matrix.view(self._b, self._f * self._p, self._f * self._p)


def _respond(family: Family, z_rbf: Tensor, y_r1f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """loss_rb, mean_rbf and, for classes, one minus the mean."""
    if family == Family.GAUSSIAN:
        return (z_rbf - y_r1f).square().sum(2) / 2, z_rbf, z_rbf
    if family == Family.POISSON:
        mean_rbf = z_rbf.exp()
        saturated_r1f = torch.xlogy(y_r1f, y_r1f) - y_r1f
        return (mean_rbf - z_rbf * y_r1f + saturated_r1f).sum(2), mean_rbf, mean_rbf
    log_total_rb = torch.logsumexp(torch.cat((torch.zeros_like(z_rbf[:, :, :1]), z_rbf), 2), 2)
    mean_rbf = (z_rbf - log_total_rb.unsqueeze(2)).exp()
    rest_rbf = (-log_total_rb).exp().unsqueeze(2) if z_rbf.shape[2] == 1 else 1 - mean_rbf
    return log_total_rb - (z_rbf * y_r1f).sum(2), mean_rbf, rest_rbf
