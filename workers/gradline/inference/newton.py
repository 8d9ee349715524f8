"""Newton's method for many members at once, each to the minimum of its own, or to the minimum on a hyperplane.

Shapes: b members, q free parameters.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Evaluation, Evaluator

_TOLERANCE = 1e-15
"""Of the squared Newton decrement, in units of the log-likelihood: a step of 3e-8 standard errors, still taken."""
_MAX_STEPS = 30
_MAX_HALVINGS = 12


class Minimum(NamedTuple):
    theta_bq: Tensor
    evaluation: Evaluation
    """At the parameters before the last step, which was smaller than rounding matters."""
    step_bq: Tensor
    """The last step taken."""
    is_converged_b: Tensor
    n_steps: int


def minimise(
    evaluator: Evaluator,
    theta_bq: Tensor,
    *,
    normal_bq: Tensor | None = None,
    unit: float = 1.0,
    tolerance: float = _TOLERANCE,
    max_steps: int = _MAX_STEPS,
) -> Minimum:
    """From theta to the minimum; with `normal_bq`, among the parameters with the same normal' theta.

    `unit`: the size of a value that counts as one, where values are not log-likelihoods (the variance, for gaussian).
    """
    here = evaluator.evaluate(theta_bq)
    step_bq, decrement_b = newton_step(here, normal_bq)
    n_steps = 0
    while n_steps < max_steps and not bool((decrement_b <= tolerance * unit).all()):
        n_steps += 1
        theta_bq, here = _damped_step(evaluator, theta_bq, here, step_bq)
        step_bq, decrement_b = newton_step(here, normal_bq)
    is_converged_b = (decrement_b <= tolerance * unit) & torch.isfinite(here.value_b)
    last_bq = torch.where(is_converged_b.unsqueeze(1), step_bq, 0.0)
    return Minimum(theta_bq + last_bq, here, step_bq, is_converged_b, n_steps + 1)


def newton_step(here: Evaluation, normal_bq: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The step and the squared decrement: twice the gain that the quadratic model promises."""
    right_bqc = here.gradient_bq.unsqueeze(2)
    if normal_bq is not None:
        right_bqc = torch.cat((right_bqc, normal_bq.unsqueeze(2)), 2)
    solved_bqc = solve(here.information_bqq, right_bqc)
    step_bq = -solved_bqc[:, :, 0]
    if normal_bq is not None:
        along_bq = solved_bqc[:, :, 1]
        share_b = (normal_bq * step_bq).sum(1) / (normal_bq * along_bq).sum(1)
        step_bq = step_bq - share_b.unsqueeze(1) * along_bq
    return step_bq, -(here.gradient_bq * step_bq).sum(1)


def solve(matrix_bqq: Tensor, right_bqc: Tensor) -> Tensor:
    """By Cholesky on the unit diagonal; a matrix that is singular there gets the least ridge that makes it regular."""
    scale_bq = matrix_bqq.diagonal(dim1=1, dim2=2).clamp(min=0.0).sqrt()
    scale_bq = torch.where(scale_bq > 0, scale_bq, 1.0)
    unit_bqq = matrix_bqq / scale_bq.unsqueeze(1) / scale_bq.unsqueeze(2)
    factor_bqq, fault_b = torch.linalg.cholesky_ex(unit_bqq)
    for ridge in (1e-14, 1e-12, 1e-10, 1e-8, 1e-4):
        is_singular_b = fault_b > 0
        if not bool(is_singular_b.any()):
            break
        unit_bqq = unit_bqq + torch.diag_embed(torch.where(is_singular_b, ridge, 0.0).unsqueeze(1).expand_as(scale_bq))
        factor_bqq, fault_b = torch.linalg.cholesky_ex(unit_bqq)
    scaled_bqc = right_bqc / scale_bq.unsqueeze(2)
    return torch.cholesky_solve(scaled_bqc, factor_bqq) / scale_bq.unsqueeze(2)


def _damped_step(
    evaluator: Evaluator, theta_bq: Tensor, here: Evaluation, step_bq: Tensor
) -> tuple[Tensor, Evaluation]:
    """The whole step, or half of it, or half of that, until no member is worse off."""
    share_b1 = torch.ones_like(here.value_b).unsqueeze(1)
    rounding_b = 1e-12 * here.value_b.abs()
    there = evaluator.evaluate(theta_bq + step_bq)
    for _ in range(_MAX_HALVINGS):
        is_worse_b1 = ~(there.value_b <= here.value_b + rounding_b).unsqueeze(1)
        if not bool(is_worse_b1.any()):
            break
        share_b1 = torch.where(is_worse_b1, share_b1 / 2, share_b1)
        there = evaluator.evaluate(theta_bq + share_b1 * step_bq)
    return theta_bq + share_b1 * step_bq, there
