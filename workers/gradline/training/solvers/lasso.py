"""The minimum of a penalised quadratic: the step of proximal Newton.

    v = argmin  v'Hv / 2 + r'v + sum_j l1_j |v_j|

By guesses of the active set: where v_j - (Hv + r)_j is beyond the penalty, v_j solves the linear equations with its
sign; elsewhere it is 0. A guess that repeats itself is the minimum (primal-dual active sets, Hintermüller, Ito and
Kunisch 2003, which are a semismooth Newton method). That need not end, so accelerated proximal gradient steps (Beck and
Teboulle 2009) take over in between: they always come closer, and their active set is the right one in the end.

H is scaled to a unit diagonal first. Shapes: b members, u of them, q parameters, a of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.factor import factorise

MAX_GUESSES = 15
MAX_ROUNDS = 6
FIRST_GRADIENT_STEPS = 50


class Lasso(NamedTuple):
    hessian_bqq: Tensor
    r_bq: Tensor
    l1_bq: Tensor

    def of(self, index_u: Tensor) -> "Lasso":
        """Some of the members."""
        if len(index_u) == len(self.r_bq):
            return self
        return Lasso(*(part[index_u] for part in self))

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
    )
    v_bq, n_steps = start_bq / scale_bq, FIRST_GRADIENT_STEPS
    index_u = torch.arange(len(v_bq), device=v_bq.device)
    for _ in range(MAX_ROUNDS):
        index_u = index_u[~_guess_active_sets(scaled, v_bq, index_u)]
        if not len(index_u):
            break
        v_bq[index_u] = _descend(scaled.of(index_u), v_bq[index_u], n_steps)
        n_steps *= 2
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
    """Of the penalised parameters that should not be 0, seen from v; 0 for all others."""
    seen_bq = v_bq + lasso.dual(v_bq)
    return seen_bq.sign() * (seen_bq.abs() > lasso.l1_bq) * (lasso.l1_bq > 0)


def _solve(lasso: Lasso, sign_bq: Tensor) -> Tensor:
    """Hv + r + l1 sign = 0 on the active set, v = 0 elsewhere; only columns active in some member are looked at."""
    is_active_bq = (sign_bq != 0) | (lasso.l1_bq == 0)
    index_a = is_active_bq.any(0).nonzero()[:, 0]
    active_ba = is_active_bq[:, index_a].to(lasso.r_bq.dtype)
    masked_baa = lasso.hessian_bqq[:, index_a][:, :, index_a] * active_ba.unsqueeze(1) * active_ba.unsqueeze(2)
    masked_baa.diagonal(dim1=1, dim2=2).add_(1 - active_ba)
    wanted_ba = -(lasso.r_bq + lasso.l1_bq * sign_bq)[:, index_a] * active_ba
    solved_bq = torch.zeros_like(lasso.r_bq)
    solved_bq[:, index_a] = factorise(masked_baa).solve(wanted_ba) * active_ba
    return solved_bq


def _descend(lasso: Lasso, v_bq: Tensor, n_steps: int) -> Tensor:
    """Accelerated proximal gradient steps, with momentum that starts anew where it points uphill."""
    largest_b1 = torch.linalg.matrix_norm(lasso.hessian_bqq, ord=torch.inf).unsqueeze(1)  # at least its eigenvalues
    ahead_bq, momentum_b1 = v_bq, torch.ones_like(largest_b1)
    for _ in range(n_steps):
        stepped_bq = ahead_bq + lasso.dual(ahead_bq) / largest_b1
        next_bq = stepped_bq.sign() * (stepped_bq.abs() - lasso.l1_bq / largest_b1).clamp_(min=0.0)
        moved_bq = next_bq - v_bq
        is_uphill_b1 = ((ahead_bq - next_bq) * moved_bq).sum(1, keepdim=True) > 0
        next_momentum_b1 = torch.where(is_uphill_b1, 1.0, (1 + (1 + 4 * momentum_b1.square()).sqrt()) / 2)
        push_b1 = torch.where(is_uphill_b1, 0.0, (momentum_b1 - 1) / next_momentum_b1)
        v_bq, ahead_bq, momentum_b1 = next_bq, next_bq + push_b1 * moved_bq, next_momentum_b1
    return v_bq
