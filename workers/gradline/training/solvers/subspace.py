"""The minimum of F within a few directions and the intercepts, without a look at the features.

    F(theta + sum_s beta_s d_s + intercepts),    the rows' linear predictors being z + sum_s beta_s x d_s + intercepts

so that with x d_s at hand Newton's method in beta costs a few operations a row. The intercepts end at their own minimum
to rounding: residuals then add up to 0 and are a dual point as they are (see `duality`).

Shapes: b members, n rows, k outputs, m = n * k, s directions, t = s (+ k with intercepts), q = k * p parameters.
"""

import torch
from torch import Tensor

from gradline.training import rowwise
from gradline.training.factor import factorise
from gradline.training.objective import Objective
from gradline.training.rows import Rows
from gradline.training.solvers.backtracking import backtrack

MAX_STEPS = 20
ENOUGH = 1e-2
"""Newton's method ends after a step whose squared decrement was this share of the first one: the second or third."""
LIKE_A_QUADRATIC = 0.01
"""Or after one that lowered F by what its quadratic told, but for this share of the squared decrement."""
EPS = torch.finfo(torch.float64).eps
ROUNDING = EPS**0.75
ROUNDED = 4 * EPS
"""Of the terms of a sum may be left where it should be 0."""


class Subspace:
    """Of F around theta, whose linear predictors are z."""

    def __init__(
        self, objective: Objective, rows: Rows, theta_bkp: Tensor, z_bnk: Tensor, d_bsq: Tensor, z_bsnk: Tensor
    ) -> None:
        self._rows = rows
        self._theta_bkp, self._z_bnk = theta_bkp, z_bnk
        self._d_bsq, self._z_bsm = d_bsq, z_bsnk.flatten(2)
        self._shape_bsnk = z_bsnk.shape
        theta_bq, pulled_bsq = theta_bkp.flatten(1), d_bsq * objective.l2_bq.unsqueeze(1)
        self._penalty_b = (objective.l2_bq * theta_bq.square()).sum(1) / 2
        self._pull_bs = (pulled_bsq @ theta_bq.unsqueeze(2)).squeeze(2)
        self._gram_bss = pulled_bsq @ d_bsq.transpose(1, 2)
        self.value_b = rows.loss(z_bnk) + self._penalty_b

    def minimise(self) -> tuple[Tensor, Tensor]:
        """theta_bkp and z_bnk at the minimum; `value_b` is F there, but for the last move of the intercepts."""
        s, k = self._d_bsq.shape[1], self._theta_bkp.shape[1]
        beta_b1t = self._theta_bkp.new_zeros(len(self._theta_bkp), 1, s + k * self._rows.has_intercept)
        z_bnk, first_b = self._z_bnk, None

        def evaluate() -> Tensor:
            nonlocal z_bnk
            z_bnk = self._predictor(beta_b1t[:, 0])
            self.value_b = self._value(z_bnk, beta_b1t[:, 0, :s])
            return self.value_b

        for _ in range(MAX_STEPS):
            before_b = self.value_b
            gradient_bt, hessian_btt = self._derivatives(z_bnk, beta_b1t[:, 0, :s])
            step_bt = factorise(hessian_btt).solve(gradient_bt).neg_()
            square_b = (gradient_bt * step_bt).sum(1).neg_().clamp_(min=0.0)
            first_b = square_b if first_b is None else first_b
            backtrack(beta_b1t, step_bt, self.value_b, square_b, ROUNDING, evaluate, evaluate)
            is_as_told_b = (before_b - self.value_b - square_b / 2).abs() <= LIKE_A_QUADRATIC * square_b
            if bool((is_as_told_b | (square_b <= torch.maximum(ENOUGH * first_b, EPS * self.value_b))).all()):
                break
        return self._settled(beta_b1t[:, 0], z_bnk)

    def _predictor(self, beta_bt: Tensor) -> Tensor:
        s = self._d_bsq.shape[1]
        move_b1m = beta_bt[:, None, :s] @ self._z_bsm
        z_bnk = move_b1m.view_as(self._z_bnk) + self._z_bnk
        return z_bnk.add_(beta_bt[:, None, s:]) if self._rows.has_intercept else z_bnk

    def _value(self, z_bnk: Tensor, beta_bs: Tensor) -> Tensor:
        slope_bs = self._pull_bs + self._bent(beta_bs) / 2
        return self._rows.loss(z_bnk) + self._penalty_b + (slope_bs * beta_bs).sum(1)

    def _bent(self, beta_bs: Tensor) -> Tensor:
        return (self._gram_bss @ beta_bs.unsqueeze(2)).squeeze(2)

    def _derivatives(self, z_bnk: Tensor, beta_bs: Tensor) -> tuple[Tensor, Tensor]:
        rows, family = self._rows, self._rows.family
        mean_bnk = rowwise.means(family, z_bnk)
        pull_bnk = (mean_bnk - rows.y_1nk) * rows.share_bn1
        of_rows_bs = (self._z_bsm @ pull_bnk.flatten(1).unsqueeze(2)).squeeze(2)
        gradient_bs = of_rows_bs + self._pull_bs + self._bent(beta_bs)
        curved_bsnk = rowwise.curved(family, mean_bnk.unsqueeze(1), self._z_bsm.view(self._shape_bsnk))
        curved_bsnk *= rows.share_bn1.unsqueeze(1)
        hessian_bss = curved_bsnk.flatten(2) @ self._z_bsm.transpose(1, 2) + self._gram_bss
        if not rows.has_intercept:
            return gradient_bs, hessian_bss
        edge_bsk = curved_bsnk.sum(2)
        corner_bkk = rowwise.intercept_curvature(family, mean_bnk, rows.share_bn1)
        top_bst = torch.cat((hessian_bss, edge_bsk), 2)
        hessian_btt = torch.cat((top_bst, torch.cat((edge_bsk.transpose(1, 2), corner_bkk), 2)), 1)
        return torch.cat((gradient_bs, pull_bnk.sum(1)), 1), hessian_btt

    def _settled(self, beta_bt: Tensor, z_bnk: Tensor) -> tuple[Tensor, Tensor]:
        """Theta and z, the intercepts moved to their minimum."""
        rows, s = self._rows, self._d_bsq.shape[1]
        move_bkp = (beta_bt[:, None, :s] @ self._d_bsq).view_as(self._theta_bkp)
        theta_bkp = self._theta_bkp + move_bkp
        if not rows.has_intercept:
            return theta_bkp, z_bnk
        theta_bkp[:, :, -1] += beta_bt[:, s:]
        for _ in range(MAX_STEPS):
            mean_bnk = rowwise.means(rows.family, z_bnk)
            gradient_bk = ((mean_bnk - rows.y_1nk) * rows.share_bn1).sum(1)
            if is_rounding(gradient_bk, rows, mean_bnk):
                break
            corner_bkk = rowwise.intercept_curvature(rows.family, mean_bnk, rows.share_bn1)
            move_bk = factorise(corner_bkk).solve(gradient_bk)
            theta_bkp[:, :, -1] -= move_bk
            z_bnk = z_bnk - move_bk.unsqueeze(1)
        return theta_bkp, z_bnk


def is_rounding(sum_bk: Tensor, rows: Rows, mean_bnk: Tensor) -> bool:
    """Whether a sum of residuals is no more than the rounding of what they are made of."""
    terms_bk = ((mean_bnk.abs() + rows.y_1nk.abs()) * rows.share_bn1).sum(1)
    return bool((sum_bk.abs() <= ROUNDED * terms_bk).all())
