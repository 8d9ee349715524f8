"""The objective: mean loss plus penalty, for b members that share the rows of one problem.

    F(theta) = L(theta) + l1 * |s w|_1 + l2 / 2 * |s w|_2^2,     theta = (w, intercept); the intercept is not penalised

s is 1, or for each member the scale of every feature: the penalty is then on coefficients of features over s, so that
members that standardise the rows differently share them. The smooth part is L + l2 / 2 * |s w|_2^2. With a box (see
`box`) F is that within its bounds and infinite elsewhere.
Shapes: b members, k outputs, d features, p = d (+ 1 for the intercept).
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradline.training.box import Box
from gradline.training.derivatives import Derivatives, Want
from gradline.training.factor import fix_gauge
from gradline.training.family import Family
from gradline.training.loss import make_loss
from gradline.training.problem import Problem

ROWS_OF_HESSIAN = 4096


class Fitness(NamedTuple):
    """How well parameters fit, for each member; float64."""

    loss_b: Tensor
    """Mean of half the unit deviance; for classes that is the log loss."""
    accuracy_b: Tensor | None
    """None without classes."""
    penalty_b: Tensor


class Objective:
    """F, its gradient and its proximal operator. Each member may have penalties of its own."""

    def __init__(
        self,
        problem: Problem,
        l1: float | Tensor = 0.0,
        l2: float | Tensor = 0.0,
        *,
        n_members: int = 1,
        scale_bd: Tensor | None = None,
        box: Box | None = None,
    ) -> None:
        self.problem = problem
        self.box = None if box is None else Box(*(bound_d.double().to(problem.y_nk.device) for bound_d in box))
        """None: nothing bounds the coefficients."""
        self.rounding = torch.finfo(problem.y_nk.dtype).eps ** 0.75
        """Relative size of differences between values that mean nothing: 2e-12 in float64, 6e-6 in float32."""
        self.n_members, self._l1, self._l2 = n_members, l1, l2
        self._scale_bd = scale_bd
        self.has_l1, self.has_l2 = _is_positive(l1), _is_positive(l2)
        self._loss = make_loss(problem, n_members)

    @property
    def has_dual(self) -> bool:
        """Whether Fenchel duality bounds the gap of any parameters near the minimum (see `duality`)."""
        return self.has_l1 or self.has_l2 or (self.box is not None and self.box.is_closed)

    @property
    def is_smooth(self) -> bool:
        """Within no bounds, so that a gradient of 0 is a minimum."""
        return not self.has_l1 and self.box is None

    @cached_property
    def l1_b1d(self) -> Tensor:
        """On each coefficient, or one for all of a member."""
        return self._per_member(self._l1, 1)

    @cached_property
    def l2_b1d(self) -> Tensor:
        """The same of squares."""
        return self._per_member(self._l2, 2)

    @cached_property
    def l1_b(self) -> Tensor:
        """The smallest of each member."""
        return self.l1_b1d.amin((1, 2))

    @cached_property
    def l2_b(self) -> Tensor:
        """The same of squares."""
        return self.l2_b1d.amin((1, 2))

    def _per_member(self, penalty: float | Tensor, power: int) -> Tensor:
        like = self.problem.y_nk
        penalty_b = torch.as_tensor(penalty, dtype=like.dtype, device=like.device).expand(self.n_members)
        penalty_b11 = penalty_b.reshape(-1, 1, 1)
        if self._scale_bd is None:
            return penalty_b11
        return penalty_b11 * self._scale_bd.to(penalty_b).pow(power).unsqueeze(1)

    def on_rows(self, index_r: Tensor) -> "Objective":
        """The same penalties and bounds over some of the rows."""
        return self.over(self.problem.rows(index_r))

    def over(self, problem: Problem) -> "Objective":
        """The same penalties and bounds for other rows of the same columns."""
        return self._over(problem, self.box)

    def in_float64(self) -> "Objective":
        """The same, computed in float64."""
        is_double = self.problem.y_nk.dtype == torch.float64
        return self if is_double else self.over(self.problem.to(torch.float64))

    def without_bounds(self) -> "Objective":
        """The same, wherever its minimum lies."""
        return self if self.box is None else self._over(self.problem, None)

    def _over(self, problem: Problem, box: Box | None) -> "Objective":
        return Objective(problem, self._l1, self._l2, n_members=self.n_members, scale_bd=self._scale_bd, box=box)

    # --- the smooth part

    def gradient(self, theta_bkp: Tensor, batch: Problem | None = None) -> Tensor:
        """Over all rows or those of a batch; the tensor may be overwritten by the next call."""
        loss = self._loss if batch is None else make_loss(batch, self.n_members)
        loss.predict(theta_bkp)
        return self._with_l2(loss.gradient(), theta_bkp)

    def smooth_value(self, theta_bkp: Tensor) -> Tensor:
        """value_b in float64."""
        self._loss.predict(theta_bkp)
        return self._loss.value() + self._l2_term(theta_bkp)

    def smooth_value_and_gradient(self, theta_bkp: Tensor) -> tuple[Tensor, Tensor]:
        """Both from one pass."""
        value_b = self.smooth_value(theta_bkp)
        return value_b, self._with_l2(self._loss.gradient(), theta_bkp)

    def hessian(self, theta_bkp: Tensor) -> Tensor:
        """Of the smooth part, [b, q, q] with q = k * p, in float64."""
        self._loss.predict(theta_bkp)
        hessian_bqq = self._loss.hessian()
        hessian_bqq.diagonal(dim1=1, dim2=2).add_(self.l2_bq)
        return hessian_bqq

    def derivatives(self, theta_bkp: Tensor, want: Want = Want.GRADIENT, *, follow_drift: bool = False) -> Derivatives:
        """Of the smooth part, in float64, from one pass over the rows."""
        of_loss = self._loss.derivatives(theta_bkp, want, follow_drift=follow_drift)
        if not self.has_l2:
            return of_loss
        if of_loss.hessian_bqq is not None:
            of_loss.hessian_bqq.diagonal(dim1=1, dim2=2).add_(self.l2_bq)
        theta_bq = theta_bkp.flatten(1)
        pull_bq = self.l2_bq * theta_bq
        of_loss.value_b.add_((pull_bq * theta_bq).sum(1), alpha=0.5)
        of_loss.gradient_bkp.flatten(1).add_(pull_bq)
        return of_loss

    def rows_of_hessian(self, theta_bkp: Tensor) -> Iterator[Tensor]:
        """Blocks [r, q] of A with A' A the Hessian, in float64; for one member with one output."""
        problem = self.problem
        self._loss.predict(theta_bkp)
        root_n1 = self._loss.curvature()[:, 0, 0].double().sqrt_()
        yield self.l2_bq[0].sqrt().diag()
        for start in range(0, problem.n, ROWS_OF_HESSIAN):
            stop = start + ROWS_OF_HESSIAN
            yield problem.products.block(start, stop).double() * root_n1[start:stop]

    def hessian_product(self, weights: Any, direction_bkp: Tensor) -> Tensor:
        """The Hessian that `derivatives` gave the weights of, times a direction; in the direction's dtype."""
        product_bkp = self._loss.curvature_product(weights, direction_bkp).to(direction_bkp.dtype)
        return self._with_l2(product_bkp, direction_bkp)

    def mean_curvature(self, weights: Any) -> Tensor:
        """Mean over the rows of d2 loss / dz2 for each output, [b, k] in float64, from what `derivatives` gave."""
        return self._loss.mean_curvature(weights)

    def intercept_curvature(self, theta_bkp: Tensor) -> Tensor | None:
        """The intercepts' part of the Hessian, [b, k, k] in float64; None without intercepts."""
        if not self.problem.has_intercept:
            return None
        self._loss.predict(theta_bkp)
        return self._loss.intercept_curvature()

    @cached_property
    def l2_bq(self) -> Tensor:
        """The penalty's part of the Hessian's diagonal, in float64."""
        l2_bkp = self.l2_b.new_zeros(self.n_members, self.problem.k, self.problem.p, dtype=torch.float64)
        self._weights(l2_bkp).add_(self.l2_b1d)
        return l2_bkp.flatten(1)

    def l1_diagonal(self) -> Tensor:
        """How strongly the absolute value of each parameter is penalised, [b, q] in float64."""
        l1_bkp = self.l1_b.new_zeros(self.n_members, self.problem.k, self.problem.p, dtype=torch.float64)
        self._weights(l1_bkp).add_(self.l1_b1d)
        return l1_bkp.flatten(1)

    def without_gauge(self, hessian_bqq: Tensor) -> Tensor:
        """In place: takes multinomial's freedom to add the same to every class, where no penalty has taken it.

        An l1 penalty takes it without any curvature, and more would hold back steps along it.
        """
        if self.problem.k == 1:
            return hessian_bqq
        freedom_b = ((self.l2_b == 0) & (self.l1_b == 0)).double()
        freedom_bp = freedom_b.unsqueeze(1).repeat(1, self.problem.p)
        freedom_bp[:, self.problem.d :] = 1.0
        return fix_gauge(hessian_bqq, freedom_bp)

    def _with_l2(self, gradient_bkp: Tensor, theta_bkp: Tensor) -> Tensor:
        if self.has_l2:
            self._weights(gradient_bkp).addcmul_(self._weights(theta_bkp), self.l2_b1d)
        return gradient_bkp

    # --- the penalty

    def penalty(self, theta_bkp: Tensor) -> Tensor:
        """l1 * |s w|_1 + l2 / 2 * |s w|_2^2 of each member, in float64."""
        return self._l2_term(theta_bkp) + self.l1_term(theta_bkp)

    def l1_term(self, theta_bkp: Tensor) -> Tensor:
        """l1 * |s w|_1 of each member, in float64."""
        return (self._weights(theta_bkp).abs() * self.l1_b1d).sum((1, 2), dtype=torch.float64)

    def shrink(self, theta_bkp: Tensor, step_size: float | Tensor) -> None:
        """In place: the proximal operator of step_size * l1 * |s w|_1, soft thresholding, and within a box the nearest
        to that: of a convex function of each coefficient by itself the minimum on an interval is the end nearest to
        where it would be without one, also where 0 is outside."""
        w_bkd = self._weights(theta_bkp)
        w_bkd.copy_(w_bkd.sign() * (w_bkd.abs() - self.l1_b1d * step_size).clamp_(min=0.0))
        if self.box is not None:
            self.box.clamp_(w_bkd)

    def keep_within(self, theta_bkp: Tensor) -> None:
        """In place: the nearest parameters within the box; what differs from a bound by rounding is put there."""
        if self.box is not None:
            self.box.snap_(self._weights(theta_bkp))

    def box_bq(self) -> tuple[Tensor, Tensor] | None:
        """Lower and upper bound of each parameter in float64, intercepts included; None without a box."""
        if self.box is None:
            return None
        lower_bkp = self.l1_b.new_full((self.n_members, self.problem.k, self.problem.p), -torch.inf).double()
        upper_bkp = -lower_bkp
        self._weights(lower_bkp).copy_(self.box.lower_d)
        self._weights(upper_bkp).copy_(self.box.upper_d)
        return lower_bkp.flatten(1), upper_bkp.flatten(1)

    def unbounded_part(self, theta_bkp: Tensor) -> Tensor:
        """A copy, as a direction in which the bounds let parameters go on for ever."""
        direction_bkp = theta_bkp.clone()
        if self.box is not None:
            w_bkd, (falls_d, rises_d) = self._weights(direction_bkp), self.box.open_2d()
            w_bkd.masked_fill_((w_bkd < 0) & ~falls_d | (w_bkd > 0) & ~rises_d, 0.0)
        return direction_bkp

    def _l2_term(self, theta_bkp: Tensor) -> Tensor:
        return (self._weights(theta_bkp).square() * (self.l2_b1d / 2)).sum((1, 2), dtype=torch.float64)

    def _weights(self, tensor_bkp: Tensor) -> Tensor:
        """A view without the intercepts."""
        return tensor_bkp[:, :, : self.problem.d]

    # --- judging parameters

    def fitness(self, theta_bkp: Tensor) -> Fitness:
        """Loss, accuracy and penalty over all rows."""
        self._loss.predict(theta_bkp)
        right_b = self._loss.right() if self.problem.family.is_classification else None
        return Fitness(self._loss.value(), self._accuracy(right_b), self.penalty(theta_bkp))

    def fitness_of(self, theta_bkp: Tensor, value_b: Tensor, right_b: Tensor | None) -> Fitness | None:
        """The same from the value of the smooth part and the rows that are right; None where these are not known."""
        if right_b is None and self.problem.family.is_classification:
            return None
        return Fitness(value_b - self._l2_term(theta_bkp), self._accuracy(right_b), self.penalty(theta_bkp))

    def _accuracy(self, right_b: Tensor | None) -> Tensor | None:
        """The share of the rows that are right; with weights they are counted in shares already."""
        return right_b if right_b is None or self.problem.weight_nb is not None else right_b / self.problem.n

    def fitness_at_zero(self) -> Fitness:
        """Of parameters of zero, where many fits start; without an offset the targets alone tell it."""
        problem, family = self.problem, self.problem.family
        theta_bkp = self.l2_b.new_zeros(self.n_members, problem.k, problem.p, dtype=torch.float64)
        if problem.offset_n1 is not None or self.n_members > 1:
            return self.fitness(theta_bkp)
        if family == Family.GAUSSIAN:
            loss_b = problem.mean_of(problem.y_nk.square())[:1] / 2
        elif family == Family.POISSON:
            loss_b = 1 + problem.target_term.view(1)
        else:
            loss_b = torch.full_like(self.l2_b, math.log(max(problem.k, 2)), dtype=torch.float64)
        # of classes that are equally likely, two give the second one as predicted and more of them the first
        accuracy_b = problem.mean_of(problem.y_nk)[:1] if family.is_classification else None
        return Fitness(loss_b, accuracy_b, torch.zeros_like(loss_b))

    def stationarity(self, theta_bkp: Tensor) -> Tensor:
        """For each member the largest absolute entry of the smallest subgradient of F: 0 at a minimum."""
        return self.least_subgradient(theta_bkp, self.derivatives(theta_bkp).gradient_bkp).abs().amax((1, 2))

    def value_and_stationarities(self, theta_bkp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F and stationarity, and the stationarity of parameters of zero as if nothing bounded them, from one pass."""
        told = self.derivatives(theta_bkp, Want.GRADIENT_AT_ZERO)
        assert told.gradient_at_zero_bkp is not None  # noqa: S101  asked for
        return (
            told.value_b + self.l1_term(theta_bkp),
            self.least_subgradient(theta_bkp, told.gradient_bkp).abs().amax((1, 2)),
            self._beside_l1(torch.zeros_like(theta_bkp), told.gradient_at_zero_bkp).abs().amax((1, 2)),
        )

    def least_subgradient(self, theta_bkp: Tensor, gradient_bkp: Tensor) -> Tensor:
        """The smallest subgradient of F, in the place of the smooth part's gradient.

        Within a box a coefficient at a bound counts only if F falls on its way inside: of its derivatives to both
        sides, the one to the left where that is above 0, the one to the right where that is below, else 0.
        """
        if self.box is None:
            return self._beside_l1(theta_bkp, gradient_bkp)
        w_bkd, g_bkd = self._weights(theta_bkp), self._weights(gradient_bkp)
        is_lowest_bkd, is_highest_bkd = self.box.at(w_bkd)
        right_bkd = g_bkd + torch.where(w_bkd >= 0, self.l1_b1d, -self.l1_b1d)
        left_bkd = g_bkd + torch.where(w_bkd > 0, self.l1_b1d, -self.l1_b1d)
        falls_bkd = left_bkd.clamp(min=0.0).masked_fill(is_lowest_bkd, 0.0)
        g_bkd.copy_(falls_bkd + right_bkd.clamp(max=0.0).masked_fill(is_highest_bkd, 0.0))
        return gradient_bkp

    def _beside_l1(self, theta_bkp: Tensor, gradient_bkp: Tensor) -> Tensor:
        if self.has_l1:
            w_bkd, g_bkd = self._weights(theta_bkp), self._weights(gradient_bkp)
            at_zero_bkd = (g_bkd.abs() - self.l1_b1d).clamp_(min=0.0)
            elsewhere_bkd = g_bkd + w_bkd.sign() * self.l1_b1d
            g_bkd.copy_(torch.where(w_bkd == 0, at_zero_bkd, elsewhere_bkd))
        return gradient_bkp


def _is_positive(penalty: float | Tensor) -> bool:
    """For any member."""
    return bool((penalty > 0).any()) if isinstance(penalty, Tensor) else penalty > 0
