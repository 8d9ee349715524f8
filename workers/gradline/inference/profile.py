"""Profile-likelihood intervals and likelihood-ratio tests of single parameters, all of them at once as members.

The ends of an interval for a' theta are its extremes where V(theta) <= V(minimum) + chi2 / 2. They are found by
Newton's method on  V(theta) = V*, dV parallel to a  (Venzon and Moolgavkar 1988): each step goes to the extreme of
a' theta on the level set of the quadratic model. Where these steps do not end, as where the path of the other
parameters is bent, the end is bracketed by fits that hold a' theta.

Shapes: b members, q free parameters, m functionals.
"""

from math import isfinite, nan
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.inference.likelihood import Evaluation, Evaluator
from gradline.inference.newton import minimise, solve
from gradline.inference.wald import chi_square_tail

_MAX_STEPS = 50
_MAX_HALVINGS = 10
_MAX_DOUBLINGS = 30
"""Of the distance that is looked for an end in, from a standard error on."""
_MAX_FITS = 100
"""Between two that have the end between them."""
_MAX_MATRIX_NUMBERS = 1 << 25
"""Of the information matrices of the members that are fitted at once: 256 MiB."""


class Profile(NamedTuple):
    """NaN where there is none: the likelihood does not fall to the level in that direction."""

    low_m: Tensor
    high_m: Tensor


class RatioTest(NamedTuple):
    """Twice the fall of the log-likelihood when the parameter is held at 0; chi-squared with one degree of freedom."""

    statistic_m: Tensor
    p_value_m: Tensor


def profile_intervals(
    evaluator: Evaluator, theta_q: Tensor, value: float, functional_mq: Tensor, confidence: float
) -> Profile:
    """`value`: V at theta, its minimum."""
    rise = float(torch.special.ndtri(torch.tensor((1 + confidence) / 2, dtype=torch.float64))) ** 2 / 2
    ends = []
    for sign in (-1.0, 1.0):
        parts = [_extreme(evaluator, theta_q, value, rise, sign * a_bq) for a_bq in _in_parts(functional_mq)]
        end_m = _joined(parts, theta_q)
        for m in end_m.isnan().nonzero().flatten().tolist():
            end_m[m] = _bracketed(evaluator, theta_q, value + rise, sign * functional_mq[m : m + 1])
        ends.append(sign * end_m)
    return Profile(*ends)


def ratio_tests(evaluator: Evaluator, theta_q: Tensor, value: float, functional_mq: Tensor) -> RatioTest:
    """Each functional held at 0, the others fitted again."""
    parts = []
    for a_bq in _in_parts(functional_mq):
        here = evaluator.evaluate(theta_q.unsqueeze(0))
        along_bq = solve(here.information_bqq, a_bq.T.unsqueeze(0))[0].T
        share_b = (a_bq @ theta_q) / (a_bq * along_bq).sum(1)
        least = minimise(
            evaluator, theta_q - share_b.unsqueeze(1) * along_bq, normal_bq=a_bq, tolerance=1e-10, max_steps=100
        )
        parts.append(torch.where(least.is_converged_b, 2 * (least.evaluation.value_b - value), torch.nan))
    statistic_m = _joined(parts, theta_q).clamp(min=0.0)
    return RatioTest(statistic_m, chi_square_tail(statistic_m, 1.0))


def _in_parts(functional_mq: Tensor) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = functional_mq.split(max(1, _MAX_MATRIX_NUMBERS // functional_mq.shape[1] ** 2))
    return parts if len(functional_mq) else ()


def _joined(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.cat([like.new_empty(0), *parts])


def _extreme(evaluator: Evaluator, theta_q: Tensor, value: float, rise: float, normal_bq: Tensor) -> Tensor:
    """The largest normal' theta of each member where V <= value + rise."""
    level = value + rise
    theta_bq = theta_q.unsqueeze(0).repeat(len(normal_bq), 1)
    here = evaluator.evaluate(theta_bq)
    is_there_b = torch.zeros(len(normal_bq), dtype=torch.bool, device=normal_bq.device)
    for _ in range(_MAX_STEPS):
        step_bq, aside_b = _towards_level(here, normal_bq, level)
        is_there_b = ((here.value_b - level).abs() <= 1e-9 * (1 + rise)) & (aside_b <= 1e-9)
        if bool(is_there_b.all()):
            break
        step_bq[is_there_b] = 0.0
        theta_bq, here = _bounded_step(evaluator, theta_bq, here, step_bq, level, rise)
    return torch.where(is_there_b, (normal_bq * theta_bq).sum(1), torch.nan)


def _bracketed(evaluator: Evaluator, theta_q: Tensor, level: float, normal_1q: Tensor) -> float:
    """The same of one member, by false position with the Illinois rule (Dowell and Jarratt 1971)."""

    def held(theta_1q: Tensor, by: float) -> tuple[Tensor, float]:
        along_1q = solve(evaluator.evaluate(theta_1q).information_bqq, normal_1q.unsqueeze(2))[:, :, 0]
        start_1q = theta_1q + by / (normal_1q * along_1q).sum() * along_1q
        least = minimise(evaluator, start_1q, normal_bq=normal_1q, tolerance=1e-12, max_steps=200)
        return least.theta_bq, float(least.evaluation.value_b) - level

    theta_1q = theta_q.unsqueeze(0)
    here = evaluator.evaluate(theta_1q)
    below = float(here.value_b) - level
    by = float((normal_1q * solve(here.information_bqq, normal_1q.unsqueeze(2))[:, :, 0]).sum()) ** 0.5
    for _ in range(_MAX_DOUBLINGS):
        beyond_1q, above = held(theta_1q, by)
        if not above < 0:
            break
        theta_1q, below, by = beyond_1q, above, 2 * by
    low, high, was_below = below, above, None
    for _ in range(_MAX_FITS):
        if not isfinite(above) or above < 0:
            return nan
        share = low / (low - high)
        between_1q, between = held(theta_1q, share * by)
        if abs(between) <= 1e-9 * (1 + abs(level)):
            return float((normal_1q * between_1q).sum())
        is_below = between < 0
        if is_below:
            theta_1q, by, low, high = between_1q, (1 - share) * by, between, high / (1 + (was_below is True))
        else:
            by, low, high = share * by, low / (1 + (was_below is False)), between
        was_below = is_below
    return nan


def _towards_level(here: Evaluation, normal_bq: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """The step, and the squared decrement among the parameters with the same normal' theta."""
    solved_bqc = solve(here.information_bqq, torch.stack((here.gradient_bq, normal_bq), 2))
    down_bq, along_bq = solved_bqc[:, :, 0], solved_bqc[:, :, 1]
    spread_b = (normal_bq * along_bq).sum(1)
    fall_b = (here.gradient_bq * down_bq).sum(1)
    reach_b = ((2 * (level - here.value_b) + fall_b).clamp(min=0.0) / spread_b).sqrt()
    aside_b = fall_b - (normal_bq * down_bq).sum(1).square() / spread_b
    return reach_b.unsqueeze(1) * along_bq - down_bq, aside_b


def _bounded_step(
    evaluator: Evaluator, theta_bq: Tensor, here: Evaluation, step_bq: Tensor, level: float, rise: float
) -> tuple[Tensor, Evaluation]:
    """Halve what leaps over the level by more than its height."""
    bound_b = torch.maximum(here.value_b, torch.full_like(here.value_b, level)) + rise
    there = evaluator.evaluate(theta_bq + step_bq)
    for _ in range(_MAX_HALVINGS):
        is_beyond_b1 = ~(there.value_b <= bound_b).unsqueeze(1)
        if not bool(is_beyond_b1.any()):
            break
        step_bq = torch.where(is_beyond_b1, step_bq / 2, step_bq)
        there = evaluator.evaluate(theta_bq + step_bq)
    return theta_bq + step_bq, there
