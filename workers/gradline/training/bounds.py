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

Shapes: b members.
"""

from typing import NamedTuple

import torch
from torch import Tensor

NEWTON = "newton_decrement"
DUALITY = "duality_gap"
_SERIES_BELOW = 1e-3


class Gap(NamedTuple):
    """How far F is from its minimum at most; inf where nothing is known."""

    method: str
    value_b: Tensor
    bound_b: Tensor
    relative_b: Tensor
    """At least (F - F*) / F*."""


def gap_of(method: str, value_b: Tensor, bound_b: Tensor, floor_b: Tensor) -> Gap:
    """F* is at least F - bound; `floor_b` is what counts as 0."""
    least_b = torch.maximum(value_b - bound_b, floor_b)
    return Gap(method, value_b, bound_b, torch.where(bound_b < value_b, bound_b / least_b, torch.inf))


def newton_bound(decrement_b: Tensor, reach_b: Tensor) -> Tensor:
    """The first bound; inf where it says nothing."""
    a_b = reach_b * decrement_b
    one_less_b = (1 - a_b).clamp(min=0.0)
    exact_b = (a_b + torch.xlogy(one_less_b, one_less_b)) / reach_b.square()
    series_b = decrement_b.square() / 2 * (1 + a_b / 3 + a_b.square() / 3)  # the exact one cancels where a is small
    return torch.where(a_b < _SERIES_BELOW, series_b, exact_b).masked_fill(~(a_b < 1), torch.inf)
