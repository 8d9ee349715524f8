"""The loss: mean over rows of half the unit deviance, with its first two derivatives in closed form.

    L(theta) = sum_n share_n * loss(y_n, z_n),     z_n = x_n theta + offset_n

The families' formulas stand in `family`, their code in `rowwise`. Shares add up to 1. Losses come from the linear
predictor, never from rounded probabilities, and are summed in float64. For the multinomial Hessian see Böhning 1992.

Shapes: b members, n rows, p columns of x, k outputs, m = b * k, q = k * p.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from gradline.training import rowwise
from gradline.training.derivatives import Derivatives, Want
from gradline.training.family import Family
from gradline.training.fused import fused_pass_of
from gradline.training.problem import CHUNK_BYTES, Problem
from gradline.training.products import letting_go
from gradline.training.threads import Result, each_in_turn


class Loss(ABC):
    """One pass after another over the same rows, in the same memory: `predict`, then what is wanted of z."""

    def __init__(self, problem: Problem, n_members: int) -> None:
        n, k, p = problem.n, problem.k, problem.p
        self._problem = problem
        self._products = problem.products
        self._n_members = n_members
        self._z_nm = problem.y_nk.new_empty(n, n_members * k)
        self._z_nbk = self._z_nm.view(n, n_members, k)
        self._y_n1k = problem.y_nk.unsqueeze(1)
        self._share_nb = problem.share_nb
        self._even_share = problem.share_nb[0, 0].item() if problem.weight_nb is None else None
        """Of each row, where it is the same: sums are multiplied by it instead of rows."""
        self._gradient_mp = problem.y_nk.new_empty(n_members * k, p)
        self._gradient_bkp = self._gradient_mp.view(n_members, k, p)
        self._theta_bkp: Tensor | None = None
        self._theta_pm = torch.empty(0)
        self._curved_at_nbk: Tensor | None = None
        self._fused = fused_pass_of(problem, n_members)

    def predict(self, theta_bkp: Tensor) -> None:
        """Compute z for what follows; theta may be of another dtype than the features."""
        if theta_bkp.dtype != self._z_nm.dtype:
            self._theta_bkp, self._theta_pm = None, theta_bkp.to(self._z_nm.dtype).view(-1, theta_bkp.shape[2]).T
        elif theta_bkp is not self._theta_bkp:  # making the view takes as long as the product of a small problem
            self._theta_bkp, self._theta_pm = theta_bkp, theta_bkp.view(-1, theta_bkp.shape[2]).T
        self._products.predict(self._theta_pm, self._z_nm)
        if self._problem.offset_n1 is not None:
            self._z_nm.add_(self._problem.offset_n1)

    def value(self) -> Tensor:
        """L of each member, float64."""
        if self._even_share is not None:
            return self._losses().sum(0, dtype=torch.float64).mul_(self._even_share)
        return (self._losses() * self._share_nb).sum(0, dtype=torch.float64)

    def right(self) -> Tensor:
        """How many rows have the predicted class, or with weights their shares added up; float64, for classes only."""
        if self._problem.weight_nb is None:
            return self._is_right().sum(0).double()
        return (self._is_right() * self._share_nb).sum(0, dtype=torch.float64)

    def gradient(self) -> Tensor:
        """dL / dtheta as [b, k, p], in memory that the next call overwrites. Uses up z."""
        self._to_residual()
        if self._even_share is None:
            self._weigh()
        self._products.collect(self._z_nm, self._gradient_mp)
        if self._even_share is not None:
            self._gradient_mp.mul_(self._even_share)
        return self._gradient_bkp

    def is_compiled(self, want: Want, *, follow_drift: bool) -> bool:
        """Whether a kernel for the processor does it, of which several may run at once."""
        return (
            self._fused is not None and self._fused.is_threadable and self._fused.gives(want, follow_drift=follow_drift)
        )

    def derivatives(self, theta_bkp: Tensor, want: Want = Want.GRADIENT, *, follow_drift: bool = False) -> Derivatives:
        """All of them from one pass."""
        if self._fused is not None:
            fused = self._fused.derivatives(theta_bkp, want, follow_drift=follow_drift)
            if fused is not None:
                return fused
        self.predict(theta_bkp)
        value_b = self.value()
        hessian_bqq = self.hessian() if want == Want.HESSIAN else None
        weights = self.curvature_weights() if want == Want.PRODUCTS else None
        drift_b = None
        if follow_drift and want == Want.HESSIAN:
            self._curved_at_nbk = self._z_nbk.clone()
        elif follow_drift:
            drift_b = self._drift()
        gradient_bkp = self.gradient().to(torch.float64, copy=True)
        told = Derivatives(value_b, gradient_bkp, hessian_bqq, weights, drift_b)
        return told._replace(gradient_at_zero_bkp=self._gradient_at_zero()) if want == Want.GRADIENT_AT_ZERO else told

    def _gradient_at_zero(self) -> Tensor:
        self._z_nm.zero_()
        if self._problem.offset_n1 is not None:
            self._z_nm.add_(self._problem.offset_n1)
        return self.gradient().to(torch.float64, copy=True)

    def _drift(self) -> Tensor:
        assert self._curved_at_nbk is not None  # noqa: S101  a Hessian came first
        change_nbk = self._z_nbk - self._curved_at_nbk
        if self._problem.k == 1:
            return change_nbk.abs_().amax((0, 2)).double()
        return (change_nbk.amax(2) - change_nbk.amin(2)).amax(0).double()

    @abstractmethod
    def curvature(self) -> Tensor:
        """share_n * d2 loss / dz2 of each row as [n, b, k, k]."""

    @abstractmethod
    def hessian(self) -> Tensor:
        """d2L / dtheta2 as [b, q, q] in float64."""

    @abstractmethod
    def curvature_weights(self) -> Tensor:
        """What `curvature_product` needs to know of z."""

    @abstractmethod
    def intercept_curvature(self) -> Tensor:
        """The intercepts' part of the Hessian, [b, k, k] in float64; z stays."""

    @abstractmethod
    def mean_curvature(self, weights: Any) -> Tensor:
        """The diagonal of `intercept_curvature`, [b, k] in float64."""

    def curvature_product(self, weights: Any, direction_bkp: Tensor) -> Tensor:
        """d2L / dtheta2 times a direction, [b, k, p], in memory that the next call overwrites. Uses up z."""
        if self._fused is not None:
            product_bkp = self._fused.curvature_product(weights, direction_bkp)
            if product_bkp is not None:
                return product_bkp
        theta_pm = direction_bkp.to(self._z_nm.dtype).view(-1, direction_bkp.shape[2]).T
        self._products.predict(theta_pm, self._z_nm)
        self._curve(weights)
        self._products.collect(self._z_nm, self._gradient_mp)
        return self._gradient_bkp

    @abstractmethod
    def _curve(self, weights: Tensor) -> None:
        """Multiply z, which holds x times a direction, by the curvature of each row."""

    def _weigh(self) -> None:
        """Multiply z by the shares of the rows: the same for all of a member's outputs."""
        if self._share_nb.shape[1] == 1:
            self._z_nm.mul_(self._share_nb)
        else:
            self._z_nbk.mul_(self._share_nb.unsqueeze(2))

    def _losses(self) -> Tensor:
        """loss_nb of each row."""
        return rowwise.losses(self._problem.family, self._z_nbk, self._y_n1k)

    @abstractmethod
    def _is_right(self) -> Tensor:
        """Whether each row's class is the predicted one, [n, b]; asked of families with classes only."""

    def _to_residual(self) -> None:
        """Turn z into d loss / d z, mean minus target."""
        rowwise.means(self._problem.family, self._z_nbk, in_place=True).sub_(self._y_n1k)


class OneOutputLoss(Loss):
    """The curvature of a row is one number."""

    def _is_right(self) -> Tensor:
        return (self._z_nm >= 0) == (self._problem.y_nk > 0.5)

    def _curvature(self) -> Tensor:
        """d2 loss / dz2 of each row as [n, b]; z stays."""
        return rowwise.curvatures(self._problem.family, self._z_nm)

    def curvature(self) -> Tensor:
        return self._curvature().unsqueeze(2).unsqueeze(3) * self._share_nb.unsqueeze(2).unsqueeze(3)

    def hessian(self) -> Tensor:
        if self._n_members == 1 and self._even_share is not None:
            hessian_qq = self._products.gram(self._curvature())
            return hessian_qq.mul_(self._even_share).unsqueeze(0)
        weight_nb = self.curvature_weights()
        return torch.stack([self._products.gram(weight_nb[:, b : b + 1]) for b in range(self._n_members)])

    def curvature_weights(self) -> Tensor:
        return self._curvature().mul_(self._share_nb)

    def intercept_curvature(self) -> Tensor:
        return self.curvature_weights().sum(0, dtype=torch.float64).view(-1, 1, 1)

    def mean_curvature(self, weights: Any) -> Tensor:
        total_b1: Tensor = weights.sum(0, dtype=torch.float64).view(-1, 1)
        return total_b1

    def _curve(self, weights: Tensor) -> None:
        self._z_nm.mul_(weights)


class MultinomialLoss(Loss):
    def _is_right(self) -> Tensor:
        return self._z_nbk.argmax(2) == self._problem.class_n.unsqueeze(1)

    def curvature(self) -> Tensor:
        mean_nbk = torch.softmax(self._z_nbk, 2)
        second_nbkk = torch.diag_embed(mean_nbk) - mean_nbk.unsqueeze(3) * mean_nbk.unsqueeze(2)
        return second_nbkk * self._share_nb.unsqueeze(2).unsqueeze(3)

    def hessian(self) -> Tensor:
        """Blocks i, j of classes: x' diag(share mean_i (1{i = j} - mean_j)) x."""
        p, k, n = self._problem.p, self._problem.k, self._problem.n
        hessian_bqq = self._z_nm.new_zeros(self._n_members, k * p, k * p, dtype=torch.float64)
        mean_nbk = torch.softmax(self._z_nbk, 2)
        n_rows = max(1, CHUNK_BYTES // (k * p * mean_nbk.element_size()))
        for start in range(0, n, n_rows):
            part, x_rp = slice(start, start + n_rows), self._products.block(start, start + n_rows)
            for b in range(self._n_members):
                share_r1 = self._share_nb[part, min(b, self._share_nb.shape[1] - 1)].unsqueeze(1)
                _add_softmax_products(hessian_bqq[b], x_rp, mean_nbk[part, b], share_r1)
        lower_bqq = hessian_bqq.tril()
        return lower_bqq + lower_bqq.tril(-1).transpose(1, 2)

    def curvature_weights(self) -> Tensor:
        return torch.softmax(self._z_nbk, 2)

    def mean_curvature(self, weights: Any) -> Tensor:
        spread_nbk = weights * (1 - weights) * self._share_nb.unsqueeze(2)
        total_bk: Tensor = spread_nbk.sum(0, dtype=torch.float64)
        return total_bk

    def intercept_curvature(self) -> Tensor:
        mean_nbk = torch.softmax(self._z_nbk, 2)
        weighted_nbk = mean_nbk * self._share_nb.unsqueeze(2)
        outer_bkk = torch.einsum("nbi,nbj->bij", weighted_nbk, mean_nbk)
        return torch.diag_embed(weighted_nbk.sum(0)).double() - outer_bkk.double()

    def _curve(self, weights: Tensor) -> None:
        """share mean (u - sum_j mean_j u_j), with u = x times the direction."""
        centre_nb1 = (weights * self._z_nbk).sum(2, keepdim=True)
        self._z_nbk.sub_(centre_nb1).mul_(weights)
        self._weigh()


def _add_softmax_products(hessian_qq: Tensor, x_rp: Tensor, mean_rk: Tensor, share_r1: Tensor) -> None:
    """Add the lower triangle of blocks of one member's rows."""
    n_rows, p, k = len(x_rp), x_rp.shape[1], mean_rk.shape[1]
    scaled_rq = (mean_rk.unsqueeze(2) * x_rp.unsqueeze(1)).view(n_rows, k * p)
    for i in range(k):
        block = slice(i * p, (i + 1) * p)
        weighted_rp = scaled_rq[:, block] * share_r1
        hessian_qq[block, : (i + 1) * p] -= weighted_rp.T @ scaled_rq[:, : (i + 1) * p]
        hessian_qq[block, block] += weighted_rp.T @ x_rp


class PoissonLoss(OneOutputLoss):
    def __init__(self, problem: Problem, n_members: int) -> None:
        super().__init__(problem, n_members)
        self._saturated_n1 = torch.xlogy(problem.y_nk, problem.y_nk) - problem.y_nk

    def _losses(self) -> Tensor:
        """With the logarithms of the targets taken once."""
        return self._z_nm.exp() - self._z_nm * self._problem.y_nk + self._saturated_n1


_LOSSES: dict[Family, type[Loss]] = {
    Family.BINOMIAL: OneOutputLoss,
    Family.MULTINOMIAL: MultinomialLoss,
    Family.GAUSSIAN: OneOutputLoss,
    Family.POISSON: PoissonLoss,
}


class ChunkedLoss:
    """The loss of a large dense problem: that of ranges of its rows, one after another, added up in float64."""

    def __init__(self, problem: Problem, chunks: list[Problem], n_members: int) -> None:
        self._problem = problem
        self._chunks = [_LOSSES[problem.family](chunk, n_members) for chunk in chunks]

    def _reading(self) -> Iterator[Loss]:
        """The chunks, for what reads their features."""
        return letting_go(self._chunks, self._problem.let_go)

    def _passes(self, work: Callable[[Loss], Result], want: Want, *, follow_drift: bool = False) -> Iterator[Result]:
        """Of each chunk; several at once where all that is wanted is compiled, as torch has threads of its own."""
        if all(chunk.is_compiled(want, follow_drift=follow_drift) for chunk in self._chunks):
            return each_in_turn(work, self._chunks, self._problem.let_go)
        return map(work, self._reading())

    def predict(self, theta_bkp: Tensor) -> None:
        for chunk in self._reading():
            chunk.predict(theta_bkp)

    def value(self) -> Tensor:
        return _total(chunk.value() for chunk in self._chunks)

    def right(self) -> Tensor:
        return _total(chunk.right() for chunk in self._chunks)

    def gradient(self) -> Tensor:
        """In float64."""
        return _total(chunk.gradient() for chunk in self._reading())

    def derivatives(self, theta_bkp: Tensor, want: Want = Want.GRADIENT, *, follow_drift: bool = False) -> Derivatives:
        total: Derivatives | None = None
        weights = []

        def told(chunk: Loss) -> Derivatives:
            return chunk.derivatives(theta_bkp, want, follow_drift=follow_drift)

        for part in self._passes(told, want, follow_drift=follow_drift):
            weights.append(part.weights)
            total = part if total is None else _add(total, part)
        assert total is not None  # noqa: S101  there are rows
        return total._replace(weights=weights)

    def curvature(self) -> Tensor:
        return torch.cat([chunk.curvature() for chunk in self._chunks])

    def hessian(self) -> Tensor:
        return _total(chunk.hessian() for chunk in self._reading())

    def intercept_curvature(self) -> Tensor:
        return _total(chunk.intercept_curvature() for chunk in self._chunks)

    def mean_curvature(self, weights: Any) -> Tensor:
        return _total(chunk.mean_curvature(own) for chunk, own in zip(self._chunks, weights, strict=True))

    def curvature_weights(self) -> list[Tensor]:
        return [chunk.curvature_weights() for chunk in self._chunks]

    def curvature_product(self, weights: Any, direction_bkp: Tensor) -> Tensor:
        own = dict(zip(self._chunks, weights, strict=True))
        return _total(self._passes(lambda chunk: chunk.curvature_product(own[chunk], direction_bkp), Want.PRODUCTS))


def _add(total: Derivatives, part: Derivatives) -> Derivatives:
    """In place, but for the largest drift."""
    total.value_b.add_(part.value_b)
    total.gradient_bkp.add_(part.gradient_bkp)
    if total.gradient_at_zero_bkp is not None and part.gradient_at_zero_bkp is not None:
        total.gradient_at_zero_bkp.add_(part.gradient_at_zero_bkp)
    if total.hessian_bqq is not None and part.hessian_bqq is not None:
        total.hessian_bqq.add_(part.hessian_bqq)
    if total.right_b is not None and part.right_b is not None:
        total.right_b.add_(part.right_b)
    if total.reach_b is not None and part.reach_b is not None:
        torch.maximum(total.reach_b, part.reach_b, out=total.reach_b)
    if total.length_b is not None and part.length_b is not None:
        torch.maximum(total.length_b, part.length_b, out=total.length_b)
    if total.drift_b is None or part.drift_b is None:
        return total
    return total._replace(drift_b=torch.maximum(total.drift_b, part.drift_b))


def _total(parts: Iterable[Tensor]) -> Tensor:
    """The sum in float64."""
    parts = iter(parts)
    total = next(parts).to(torch.float64, copy=True)
    for part in parts:
        total += part
    return total


def make_loss(problem: Problem, n_members: int) -> Loss | ChunkedLoss:
    chunks = problem.chunks()
    if len(chunks) == 1:
        return _LOSSES[problem.family](problem, n_members)
    return ChunkedLoss(problem, chunks, n_members)
