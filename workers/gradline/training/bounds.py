"""Bounds on the objective gap F(theta) - F*, from what is known at theta.

The Newton decrement. The losses of all families are generalised self-concordant of order 2 (Bach 2010; Sun and
Tran-Dinh 2019): along any line the curvature of a row's loss changes by at most a factor exp(|change of z|), where for
multinomial the change is its range over the classes. With

    decrement = sqrt(g' H^-1 g)    and    reach, so that no row's z changes by more than reach |v|_H,

F(theta + v) >= F + g'v + |v|_H^2 h(reach |v|_H), h(u) = (exp(-u) + u - 1) / u^2. Its smallest value over v gives

    gap <= (a + (1 - a) log(1 - a)) / reach^2,    a = reach * decrement < 1,

which is decrement^2 / 2 to first order, and exactly that for gaussian, where reach is 0. Where a >= 1 it says nothing;
where it says something, there is a minimum.

The duality gap. With an l2 penalty on all features, the Fenchel dual at the residuals of theta gives |g|^2 / (2 l2),
once the intercept is at its own minimum.

An estimate: half the squared decrement as conjugate gradients have it, where neither can be had. It bounds nothing.

Shapes: b members.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.factor import factorise, fix_gauge

NEWTON = "newton_decrement"
DUALITY = "duality_gap"
ESTIMATE = "newton_decrement_estimate"
_SERIES_BELOW = 1e-3
_LARGEST = 0.95
"""Of a: on the way to infinity it stays at 1, and rounding must not take it for less."""


class Gap(NamedTuple):
    """How far F is from its minimum at most; inf where nothing is known."""

    method: str
    value_b: Tensor
    bound_b: Tensor
    relative_b: Tensor
    """At least (F - F*) / F*."""


def gap_of(method: str, value_b: Tensor, bound_b: Tensor, floor_b: Tensor) -> Gap:
    """F* is at least F - bound, and at least 0, so that F = 0 is the minimum; `floor_b` is what counts as 0."""
    least_b = torch.maximum(value_b - bound_b, floor_b)
    relative_b = torch.where(bound_b < value_b, bound_b / least_b, torch.inf)
    return Gap(method, value_b, bound_b, relative_b.masked_fill(value_b <= floor_b, 0.0))


def newton_bound(decrement_b: Tensor, reach_b: Tensor) -> Tensor:
    """The first bound; inf where it says nothing."""
    members = zip(decrement_b.tolist(), reach_b.tolist(), strict=True)
    return decrement_b.new_tensor([_newton_bound(decrement, reach) for decrement, reach in members])


def _newton_bound(decrement: float, reach: float) -> float:
    a = reach * decrement
    if not a < _LARGEST:
        return math.inf
    if a < _SERIES_BELOW:  # the exact one cancels
        return decrement**2 / 2 * (1 + a / 3 + a**2 / 3)
    return (a + (1 - a) * math.log1p(-a)) / reach**2


def duality_bound(gradient_bkp: Tensor, l2_b: Tensor, intercept_bkk: Tensor | None, radius: float) -> Tensor:
    """The second bound; inf without l2, and where the intercept is too far from its minimum to tell.

    `intercept_bkk` is the intercept's part of the Hessian (None: there is no intercept), `radius` at least every row's
    |x_n|. With the intercept's own decrement and reach, moving it to its minimum gains at most newton_bound, and
    changes the rest of the gradient by at most radius * |g_c| (one output), or, a row's curvature being at most 1/2,
    radius * sqrt(1/2) * the length of the move in the norm of the Hessian on its way.
    """
    if intercept_bkk is None:
        return _over_l2(gradient_bkp.flatten(1).norm(dim=1), l2_b)
    k = gradient_bkp.shape[1]
    g_bk, factor = gradient_bkp[:, :, -1], factorise(fix_gauge(intercept_bkk, torch.ones_like(l2_b).unsqueeze(1)))
    decrement_b = (g_bk * factor.solve(g_bk)).sum(1).clamp(min=0.0).sqrt()
    root_bkk = factor.inverse_root()
    reach_b = root_bkk[:, 0, 0] if k == 1 else 2 * (root_bkk - root_bkk.mean(2, keepdim=True)).norm(dim=1).amax(1)
    a_b = reach_b * decrement_b
    moved_b = g_bk[:, 0].abs() if k == 1 else math.sqrt(0.5) * -torch.log1p(-a_b) / reach_b / (1 - a_b).sqrt()
    size_b = gradient_bkp[:, :, :-1].flatten(1).norm(dim=1) + radius * moved_b
    return (newton_bound(decrement_b, reach_b) + _over_l2(size_b, l2_b)).nan_to_num(nan=torch.inf, posinf=torch.inf)


def _over_l2(size_b: Tensor, l2_b: Tensor) -> Tensor:
    return torch.where(l2_b > 0, size_b.square() / (2 * l2_b), torch.inf)
