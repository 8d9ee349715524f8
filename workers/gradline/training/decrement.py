"""The Newton bound of the gap where the objective is not smooth or its parameters are within a box.

For any subgradient s of the penalty and of the bounds at theta, and every v that stays within them, F(theta + v) is at
least F + (g + s)'v + |v|_H^2 h(reach |v|_H): the smooth part by its self-concordance (see `bounds`), the rest by what a
subgradient is. The smallest value over all v, those outside the bounds included, is no higher, and it is the bound of
`bounds` for a decrement sqrt((g + s)' H^-1 (g + s)). Multipliers of the right sign at bounds that hold are parts of s,
so that the smallest subgradient, which is 0 at the minimum, serves. Rockafellar 1970, theorems 23.8 and 27.4.

A direction without curvature tells nothing about F but where it moves no row at all, as that of collinear columns: no
row's loss pulls along it, and what a bound or a penalty pulls is large over the ridge that the factor has there.

Shapes: b members, r rows of a chunk, p columns, q = k * p parameters, z directions.
"""

import torch
from torch import Tensor

from gradline.training.derivatives import Want
from gradline.training.factor import factorise
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.reach import CHUNK_ENTRIES, Reach

FLAT = 1e-12
"""Eigenvalues of the Hessian on a unit diagonal up to here are rounding."""
UNMOVED = 1e-6
"""Of the terms that make up a row's move, the share that may be left of it."""


def decrement_bound(objective: Objective, theta_bkp: Tensor) -> Tensor:
    """bound_b in float64; inf where it says nothing. A pass and a Hessian."""
    found = objective.derivatives(theta_bkp, Want.HESSIAN)
    assert found.hessian_bqq is not None  # noqa: S101  asked for
    hessian_bqq = objective.without_gauge(found.hessian_bqq)
    factor = factorise(hessian_bqq)
    factor = factor._replace(reach_b=found.reach_b, length_b=found.length_b)
    least_bq = objective.least_subgradient(theta_bkp.double(), found.gradient_bkp).flatten(1)
    decrement_b = (least_bq * factor.solve(least_bq)).sum(1).clamp(min=0.0).sqrt()
    bound_b = Reach(objective.problem).bound(factor, decrement_b, torch.ones_like(decrement_b))
    are_sound = [
        not is_singular or _is_collinear(objective.problem, hessian_qq)
        for is_singular, hessian_qq in zip(factor.is_singular_b.tolist(), hessian_bqq, strict=True)
    ]
    return torch.where(torch.tensor(are_sound, device=bound_b.device), bound_b, torch.inf)


def _is_collinear(problem: Problem, hessian_qq: Tensor) -> bool:
    """Whether no row moves in directions without curvature but by rounding; of one output."""
    if problem.k > 1:
        return False
    scale_p = hessian_qq.diagonal().rsqrt().nan_to_num(1.0, 1.0)
    value_p, vector_pp = torch.linalg.eigh(hessian_qq * scale_p * scale_p.unsqueeze(1))
    direction_pz = scale_p.unsqueeze(1) * vector_pp[:, value_p <= FLAT]
    n_rows = max(1, CHUNK_ENTRIES // problem.p)
    for start in range(0, problem.n, n_rows):
        x_rp = problem.products.block(start, start + n_rows).double()
        if bool(((x_rp @ direction_pz).abs() > UNMOVED * (x_rp.abs() @ direction_pz.abs())).any()):
            return False
    return True
