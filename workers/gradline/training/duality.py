"""The Fenchel duality gap, for any of the penalties: a bound of F(theta) - F* that needs no Hessian.

    F* >= D(alpha) = -sum share_n loss*(a_n) + sum share_n a_n offset_n - penalty*(u),    u = sum share_n a_n x_n

for any a whose sum over the rows, weighted by the shares, is 0 for each output that has an intercept. The residuals
(mean - target) at theta serve, once the intercepts are at their own minimum; without l2 they are shrunk until no entry
of u is beyond l1. The conjugates are

    penalty*(u) = sum (|u| - l1)_+^2 / (2 l2), or 0 within l1 and infinite beyond where l2 is 0
    loss*(a)    of each row: see `rowwise`

Within a box the penalty counts as infinite outside, and is no longer the same for -w: in the place of penalty*(u) is

    penalty*(-u) = sum  max over lower <= w <= upper of  -u w - l1 |w| - l2 w^2 / 2

whose maximum is at the bound nearest to that without any, soft(-u, l1) / l2; finite wherever w is bounded on both
sides. The residuals are shrunk for the sake of the others only; to nothing, without an l1 penalty, which tells nothing.

Rockafellar 1970, section 31; for the lasso's dual point El Ghaoui, Viallon and Rabbani 2012.
Shapes: b members, n rows, k outputs, d features.
"""

import torch
from torch import Tensor

from gradline.training.factor import factorise
from gradline.training.family import Family
from gradline.training.model import linear_predictor
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.rowwise import conjugates, intercept_curvature, means

MAX_INTERCEPT_STEPS = 30
LONGEST_MOVE = 2.0


def fenchel_bound(objective: Objective, theta_bkp: Tensor, value_b: Tensor) -> Tensor:
    """bound_b in float64, given F at theta; inf without any penalty, unless within a box. Two passes."""
    problem = objective.problem
    share_nb1 = problem.share_nb.double().unsqueeze(2)
    theta_bkp, mean_nbk = _with_settled_intercepts(problem, theta_bkp.double(), share_nb1)
    y_n1k = problem.y_nk.double().unsqueeze(1)
    residual_nbk = mean_nbk - y_n1k
    u_bkd = (objective.derivatives(theta_bkp).gradient_bkp - objective.l2_bq.view_as(theta_bkp) * theta_bkp)[
        :, :, : problem.d
    ]
    l1_b1d, l2_b1d = objective.l1_b1d.double(), objective.l2_b1d.double()
    is_bounded_b = objective.l2_b > 0
    room_bkd = l1_b1d / u_bkd.abs()
    if objective.box is not None:
        room_bkd = room_bkd.masked_fill(_farthest(objective, u_bkd).isfinite(), 1.0)
    shrink_b = torch.where(is_bounded_b, 1.0, room_bkd.amin((1, 2)).clamp(max=1.0))
    shrunk_nbk = residual_nbk * shrink_b.view(1, -1, 1)
    dual_b = -(share_nb1 * conjugates(problem.family, shrunk_nbk, y_n1k)).sum((0, 2))
    if problem.offset_n1 is not None:
        dual_b += (share_nb1 * shrunk_nbk * problem.offset_n1.double().unsqueeze(2)).sum((0, 2))
    if objective.box is not None:
        conjugate_b = _conjugate_in_box(objective, u_bkd * shrink_b.view(-1, 1, 1))
        return (value_b - (dual_b - conjugate_b)).clamp(min=0.0).masked_fill(shrink_b == 0, torch.inf)
    excess_bkd = (u_bkd.abs() - l1_b1d).clamp(min=0.0).square()
    dual_b -= torch.where(is_bounded_b, (excess_bkd / (2 * l2_b1d)).sum((1, 2)), 0.0)
    return (value_b - dual_b).clamp(min=0.0).masked_fill(~is_bounded_b & (objective.l1_b == 0), torch.inf)


def _farthest(objective: Objective, u_bkd: Tensor) -> Tensor:
    """Where -u w - l1 |w| - l2 w^2 / 2 is largest within the box; infinite where it has no end."""
    assert objective.box is not None  # noqa: S101  the caller looked
    pull_bkd = -u_bkd.sign() * (u_bkd.abs() - objective.l1_b1d.double()).clamp(min=0.0)
    w_bkd = torch.where(pull_bkd == 0, 0.0, pull_bkd / objective.l2_b1d.double())
    return objective.box.clamp_(w_bkd)


def _conjugate_in_box(objective: Objective, u_bkd: Tensor) -> Tensor:
    """penalty*(-u) of residuals that were shrunk: what is infinite still is so by rounding."""
    assert objective.box is not None  # noqa: S101  the caller looked
    w_bkd = _farthest(objective, u_bkd)
    w_bkd = torch.where(w_bkd.isfinite(), w_bkd, objective.box.clamp_(torch.zeros_like(w_bkd)))
    l1_b1d, l2_b1d = objective.l1_b1d.double(), objective.l2_b1d.double()
    return (-u_bkd * w_bkd - l1_b1d * w_bkd.abs() - l2_b1d / 2 * w_bkd.square()).sum((1, 2))


def _with_settled_intercepts(problem: Problem, theta_bkp: Tensor, share_nb1: Tensor) -> tuple[Tensor, Tensor]:
    """Theta with intercepts at their minimum for the coefficients as they are, and the means there."""
    z_nbk = linear_predictor(problem, theta_bkp).double().view(problem.n, *theta_bkp.shape[:2])
    mean_nbk = means(problem.family, z_nbk)
    if not problem.has_intercept:
        return theta_bkp, mean_nbk
    theta_bkp, y_n1k = theta_bkp.clone(), problem.y_nk.double().unsqueeze(1)
    for _ in range(MAX_INTERCEPT_STEPS):
        gradient_bk = (share_nb1 * (mean_nbk - y_n1k)).sum(0)
        if bool((gradient_bk.abs() <= torch.finfo(torch.float64).eps).all()):
            break
        mean_bnk, share_bn1 = mean_nbk.transpose(0, 1), share_nb1.transpose(0, 1)
        move_bk = -factorise(intercept_curvature(problem.family, mean_bnk, share_bn1)).solve(gradient_bk)
        if problem.family != Family.GAUSSIAN:
            move_bk = move_bk.clamp(-LONGEST_MOVE, LONGEST_MOVE)
        theta_bkp[:, :, -1] += move_bk
        z_nbk = z_nbk + move_bk
        mean_nbk = means(problem.family, z_nbk)
    return theta_bkp, mean_nbk
