"""The minimum of a penalised quadratic: the step of proximal Newton.

    v = argmin  v'Hv / 2 + r'v + sum_j l1_j |v_j|

By guesses of the active set: where v_j - (Hv + r)_j is beyond the penalty, v_j solves the linear equations with its
sign; elsewhere it is 0. A guess that repeats itself is the minimum (primal-dual active sets, Hintermüller, Ito and
Kunisch 2003, which are a semismooth Newton method). That need not end, so accelerated proximal gradient steps (Beck and
Teboulle 2009) take over in between: they always come closer, and their active set is the right one in the end.

H is scaled to a unit diagonal first. Shapes: b members, q parameters.
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
    for _ in range(MAX_ROUNDS):
        v_bq, is_done_b = _guess_active_sets(scaled, v_bq)
        if bool(is_done_b.all()):
            break
        v_bq = torch.where(is_done_b.unsqueeze(1), v_bq, _descend(scaled, v_bq, n_steps))
        n_steps *= 2
    return v_bq * scale_bq


def _guess_active_sets(lasso: Lasso, v_bq: Tensor) -> tuple[Tensor, Tensor]:
    """Better v of the members whose guesses came to rest, and which those are; the others' stay."""
    sign_bq = _signs(lasso, v_bq)
    found_bq, is_done_b = v_bq, torch.zeros_like(v_bq[:, 0], dtype=torch.bool)
    is_free_bq = lasso.l1_bq == 0
    for _ in range(MAX_GUESSES):
        is_active_bq = (sign_bq != 0) | is_free_bq
        tried_bq = _solve(lasso, is_active_bq, sign_bq)
        next_bq = _signs(lasso, tried_bq)
        is_at_rest_b = (next_bq == sign_bq).all(1)
        found_bq = torch.where((is_at_rest_b & ~is_done_b).unsqueeze(1), tried_bq, found_bq)
        is_done_b = is_done_b | is_at_rest_b
        if bool(is_done_b.all()):
            break
        sign_bq = next_bq
    return found_bq, is_done_b


def _signs(lasso: Lasso, v_bq: Tensor) -> Tensor:
    """Of the penalised parameters that should not be 0, seen from v; 0 for all others."""
    seen_bq = v_bq + lasso.dual(v_bq)
    return seen_bq.sign() * (seen_bq.abs() > lasso.l1_bq) * (lasso.l1_bq > 0)


def _solve(lasso: Lasso, is_active_bq: Tensor, sign_bq: Tensor) -> Tensor:
    """Hv + r + l1 sign = 0 on the active set, v = 0 elsewhere."""
    active_bq = is_active_bq.to(lasso.r_bq.dtype)
    masked_bqq = lasso.hessian_bqq * active_bq.unsqueeze(1) * active_bq.unsqueeze(2)
    masked_bqq.diagonal(dim1=1, dim2=2).add_(1 - active_bq)
    return factorise(masked_bqq).solve(-(lasso.r_bq + lasso.l1_bq * sign_bq) * active_bq) * active_bq


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
