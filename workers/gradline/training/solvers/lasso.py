"""The minimum of a penalised quadratic: the step of proximal Newton.

    v = argmin  v'Hv / 2 + r'v + sum_j l1_j |v_j|,    within bounds on each v_j where there are any

By guesses of the active set: where v_j - (Hv + r)_j is beyond the penalty, v_j solves the linear equations with its
sign; elsewhere it is 0, or at the bound that it would be beyond. A guess that repeats itself is the minimum
(primal-dual active sets, Hintermüller, Ito and Kunisch 2003, which are a semismooth Newton method). That need not end:
collinear columns make it cycle. Then a few accelerated proximal gradient steps (Beck and Teboulle 2009) come near, and
a search over signs (Lee, Battle, Raina and Ng 2006) goes on to the minimum itself, from face to face of the orthants,
each lower than the one before.

A face is told by a sign for each parameter: -1 and 1 for penalised ones that move on that side of 0, 0 for those that
rest at 0 and for the unpenalised, which move, LOW and HIGH for all that rest at a bound.

H is scaled to a unit diagonal first. Shapes: b members, u of them, q parameters, a of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.factor import factorise

MAX_GUESSES = 15
N_GRADIENT_STEPS = 50
GRADIENT_STEPS_PER_PARAMETER = 4
"""The larger the faces, the dearer a move between them beside a gradient step."""
MAX_MOVES = 100
MAX_MOVES_PER_PARAMETER = 2
LOW, HIGH = -2.0, 2.0
ROUNDING = 16 * torch.finfo(torch.float64).eps


class Lasso(NamedTuple):
    hessian_bqq: Tensor
    r_bq: Tensor
    l1_bq: Tensor
    box_bq: tuple[Tensor, Tensor] | None = None
    """Lower and upper bounds; None: there are none."""

    def of(self, index_u: Tensor) -> "Lasso":
        """Some of the members."""
        if len(index_u) == len(self.r_bq):
            return self
        box_uq = None if self.box_bq is None else (self.box_bq[0][index_u], self.box_bq[1][index_u])
        return Lasso(self.hessian_bqq[index_u], self.r_bq[index_u], self.l1_bq[index_u], box_uq)

    def shrink(self, seen_bq: Tensor, step_b1: float | Tensor = 1.0) -> Tensor:
        """The proximal operator of the penalty within the bounds (see `Objective.shrink`)."""
        shrunk_bq = seen_bq.sign() * (seen_bq.abs() - self.l1_bq * step_b1).clamp_(min=0.0)
        return shrunk_bq if self.box_bq is None else shrunk_bq.clamp_(*self.box_bq)

    def held(self, sign_bq: Tensor, v_bq: Tensor) -> Tensor:
        """The signs, and those of the bounds that v is at or beyond."""
        if self.box_bq is None:
            return sign_bq
        lower_bq, upper_bq = self.box_bq
        return torch.where(v_bq <= lower_bq, LOW, torch.where(v_bq >= upper_bq, HIGH, sign_bq))

    def dual(self, v_bq: Tensor) -> Tensor:
        """-(Hv + r): within the penalty where v is 0, and equal to it with v's sign elsewhere, at the minimum."""
        return -((self.hessian_bqq @ v_bq.unsqueeze(2)).squeeze(2) + self.r_bq)


def minimise_lasso(problem: Lasso, start_bq: Tensor) -> Tensor:
    diagonal_bq = problem.hessian_bqq.diagonal(dim1=1, dim2=2)
    scale_bq = torch.where(diagonal_bq > 0, diagonal_bq, 1.0).rsqrt()
    scaled = Lasso(
        problem.hessian_bqq * scale_bq.unsqueeze(1) * scale_bq.unsqueeze(2),
        problem.r_bq * scale_bq,
        problem.l1_bq * scale_bq,
        None if problem.box_bq is None else (problem.box_bq[0] / scale_bq, problem.box_bq[1] / scale_bq),
    )
    v_bq = start_bq / scale_bq
    index_u = torch.arange(len(v_bq), device=v_bq.device)
    index_u = index_u[~_guess_active_sets(scaled, v_bq, index_u)]
    if len(index_u):
        part = scaled.of(index_u)
        v_bq[index_u] = _walk(part, _descend(part, v_bq[index_u]))
    return v_bq * scale_bq


def _guess_active_sets(lasso: Lasso, v_bq: Tensor, index_u: Tensor) -> Tensor:
    """Of the u members told, whose guesses come to rest: their v is put in its place, the others' stays."""
    is_done_u = torch.zeros_like(index_u, dtype=torch.bool)
    part = lasso.of(index_u)
    sign_uq, at_u = _signs(part, v_bq[index_u]), torch.arange(len(index_u), device=index_u.device)
    for _ in range(MAX_GUESSES):
        tried_uq = _solve(part, sign_uq)
        next_uq = _signs(part, tried_uq)
        is_at_rest_u = (next_uq == sign_uq).all(1)
        v_bq[index_u[at_u[is_at_rest_u]]] = tried_uq[is_at_rest_u]
        is_done_u[at_u[is_at_rest_u]] = True
        left_u = (~is_at_rest_u).nonzero()[:, 0]
        if not len(left_u):
            break
        part, sign_uq, at_u = part.of(left_u), next_uq[left_u], at_u[left_u]
    return is_done_u


def _signs(lasso: Lasso, v_bq: Tensor) -> Tensor:
    """Of the penalised parameters that should not be 0 and of those that should be at a bound, seen from v."""
    seen_bq = v_bq + lasso.dual(v_bq)
    sign_bq = seen_bq.sign() * (seen_bq.abs() > lasso.l1_bq) * (lasso.l1_bq > 0)
    return sign_bq if lasso.box_bq is None else lasso.held(sign_bq, lasso.shrink(seen_bq))


def _solve(lasso: Lasso, sign_bq: Tensor) -> Tensor:
    """Hv + r + l1 sign = 0 on the active set, v = 0 or at its bound elsewhere; only columns active in some member are
    looked at."""
    if lasso.box_bq is not None:
        return _solve_beside_bounds(lasso, sign_bq)
    is_active_bq = ((sign_bq != 0) & (sign_bq.abs() < HIGH)) | ((lasso.l1_bq == 0) & (sign_bq == 0))
    index_a = is_active_bq.any(0).nonzero()[:, 0]
    active_ba = is_active_bq[:, index_a].to(lasso.r_bq.dtype)
    masked_baa = lasso.hessian_bqq[:, index_a][:, :, index_a] * active_ba.unsqueeze(1) * active_ba.unsqueeze(2)
    masked_baa.diagonal(dim1=1, dim2=2).add_(1 - active_ba)
    wanted_ba = -(lasso.r_bq + lasso.l1_bq * sign_bq)[:, index_a] * active_ba
    solved_bq = torch.zeros_like(lasso.r_bq)
    solved_bq[:, index_a] = factorise(masked_baa).solve(wanted_ba) * active_ba
    return solved_bq


def _solve_beside_bounds(lasso: Lasso, sign_bq: Tensor) -> Tensor:
    """The same with what rests at a bound as a part of r."""
    assert lasso.box_bq is not None  # noqa: S101  the caller looked
    lower_bq, upper_bq = lasso.box_bq
    rest_bq = torch.where(sign_bq == LOW, lower_bq, torch.where(sign_bq == HIGH, upper_bq, 0.0))
    return rest_bq + _solve(lasso._replace(r_bq=-lasso.dual(rest_bq), box_bq=None), sign_bq)


def _descend(lasso: Lasso, v_bq: Tensor) -> Tensor:
    """Accelerated proximal gradient steps, with momentum that starts anew where it points uphill."""
    largest_b1 = torch.linalg.matrix_norm(lasso.hessian_bqq, ord=torch.inf).unsqueeze(1)  # at least its eigenvalues
    ahead_bq, momentum_b1 = v_bq, torch.ones_like(largest_b1)
    for _ in range(N_GRADIENT_STEPS + GRADIENT_STEPS_PER_PARAMETER * v_bq.shape[1]):
        stepped_bq = ahead_bq + lasso.dual(ahead_bq) / largest_b1
        next_bq = lasso.shrink(stepped_bq, 1 / largest_b1)
        moved_bq = next_bq - v_bq
        is_uphill_b1 = ((ahead_bq - next_bq) * moved_bq).sum(1, keepdim=True) > 0
        next_momentum_b1 = torch.where(is_uphill_b1, 1.0, (1 + (1 + 4 * momentum_b1.square()).sqrt()) / 2)
        push_b1 = torch.where(is_uphill_b1, 0.0, (momentum_b1 - 1) / next_momentum_b1)
        v_bq, ahead_bq, momentum_b1 = next_bq, next_bq + push_b1 * moved_bq, next_momentum_b1
    return v_bq


def _walk(lasso: Lasso, v_bq: Tensor) -> Tensor:
    """To the minimum, by moves that each lower the lasso: no face is left twice, so that their number is finite."""
    is_at_rest_b = torch.zeros(len(v_bq), dtype=torch.bool, device=v_bq.device)
    for _ in range(MAX_MOVES + MAX_MOVES_PER_PARAMETER * v_bq.shape[1]):
        dual_bq = lasso.dual(v_bq)
        resting_bq = _penalised_signs(lasso, v_bq)
        sign_bq = torch.where(is_at_rest_b.unsqueeze(1), _entered(lasso, v_bq, dual_bq, resting_bq), resting_bq)
        is_done_b = is_at_rest_b & (sign_bq == resting_bq).all(1)
        if bool(is_done_b.all()):
            break
        move_bq = _solve(lasso._replace(r_bq=-dual_bq, box_bq=None), sign_bq)  # to the minimum over the face
        move_bq = move_bq.masked_fill_(is_done_b.unsqueeze(1), 0.0)
        v_bq = _lowest(lasso, v_bq, move_bq, dual_bq, dual_bq - lasso.l1_bq * sign_bq)
        is_at_rest_b = is_done_b | (_penalised_signs(lasso, v_bq) == sign_bq).all(1)
    return v_bq


def _penalised_signs(lasso: Lasso, v_bq: Tensor) -> Tensor:
    return lasso.held(v_bq.sign() * (lasso.l1_bq > 0), v_bq)


def _entered(lasso: Lasso, v_bq: Tensor, dual_bq: Tensor, sign_bq: Tensor) -> Tensor:
    """The signs, with that of the parameter at rest whose dual is furthest beyond the penalty changed to move it."""
    rounding_b1 = ROUNDING * (v_bq.abs().sum(1, keepdim=True) + lasso.r_bq.abs().amax(1, keepdim=True))
    excess_bq = (dual_bq.abs() - lasso.l1_bq - rounding_b1) * ((sign_bq == 0) & (lasso.l1_bq > 0))
    new_bq = dual_bq.sign()
    if lasso.box_bq is not None:
        new_bq = _inwards(lasso, v_bq, sign_bq, new_bq)
        inward_bq = dual_bq * -sign_bq.sign() + lasso.l1_bq * new_bq * sign_bq.sign()
        is_held_bq = (sign_bq.abs() == HIGH) & (lasso.box_bq[0] < lasso.box_bq[1])
        excess_bq = torch.where(is_held_bq, inward_bq - rounding_b1, excess_bq)
    largest_b1, at_b1 = excess_bq.max(1, keepdim=True)
    return sign_bq.scatter(1, at_b1, torch.where(largest_b1 > 0, new_bq, sign_bq).gather(1, at_b1))


def _inwards(lasso: Lasso, v_bq: Tensor, sign_bq: Tensor, new_bq: Tensor) -> Tensor:
    """The signs that parameters at a bound have on their way inside; elsewhere the new ones told."""
    from_low_bq, from_high_bq = torch.where(v_bq >= 0, 1.0, -1.0), torch.where(v_bq > 0, 1.0, -1.0)
    inside_bq = torch.where(sign_bq == LOW, from_low_bq, from_high_bq) * (lasso.l1_bq > 0)
    return torch.where(sign_bq.abs() == HIGH, inside_bq, new_bq)


def _lowest(lasso: Lasso, v_bq: Tensor, move_bq: Tensor, dual_bq: Tensor, bent_bq: Tensor) -> Tensor:
    """The lowest of the end of a move and the points on the way where a penalised parameter is 0 (the c columns). It
    ends at the first bound on the way.

    `bent_bq` is the Hessian times the move, as the equations have it: rounding makes of the product what it likes
    where columns are collinear.
    """
    l1_bq, hit_bq = lasso.l1_bq, _hits(lasso, v_bq, move_bq)
    crossing_bq = torch.where((l1_bq > 0) & (move_bq != 0) & (v_bq != 0), -v_bq / move_bq, 1.0)
    crossing_bq = torch.where((crossing_bq > 0) & (crossing_bq < 1), crossing_bq, 1.0)
    at_bc = torch.cat((torch.ones_like(crossing_bq[:, :1]), crossing_bq), 1)
    at_bc = at_bc if hit_bq is None else at_bc.minimum(hit_bq.amin(1, keepdim=True))
    slope_b1 = -(dual_bq * move_bq).sum(1, keepdim=True)
    curvature_b1 = (bent_bq * move_bq).sum(1, keepdim=True)
    along_bcq = v_bq.unsqueeze(1) + at_bc.unsqueeze(2) * move_bq.unsqueeze(1)
    penalty_bc = ((along_bcq.abs() - v_bq.abs().unsqueeze(1)) * l1_bq.unsqueeze(1)).sum(2)
    best_b1 = (at_bc * slope_b1 + at_bc.square() * curvature_b1 / 2 + penalty_bc).argmin(1, keepdim=True)
    length_b1 = at_bc.gather(1, best_b1)
    v_bq = (v_bq + length_b1 * move_bq).masked_fill_((crossing_bq == length_b1) & (length_b1 < 1), 0.0)
    if lasso.box_bq is None or hit_bq is None:
        return v_bq
    lower_bq, upper_bq = lasso.box_bq
    return torch.where(hit_bq <= length_b1, torch.where(move_bq > 0, upper_bq, lower_bq), v_bq)


def _hits(lasso: Lasso, v_bq: Tensor, move_bq: Tensor) -> Tensor | None:
    """How much of a move each parameter takes to its bound; None without bounds."""
    if lasso.box_bq is None:
        return None
    lower_bq, upper_bq = lasso.box_bq
    hit_bq = (torch.where(move_bq > 0, upper_bq, lower_bq) - v_bq) / move_bq
    return torch.where(move_bq == 0, torch.inf, hit_bq.clamp(min=0.0))
