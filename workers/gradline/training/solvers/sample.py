"""A fit of a growing sample of the rows: what can be learnt from it need not be learnt from all of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers.lazy_newton import LazyNewton

SEED = 20
GROWTH = 16
"""The sample is fitted after a part of it this much smaller,"""
LEAST_PER_PARAMETER = 20
"""if that has this many rows a parameter."""
MAX_STEPS = 30
SHARE_OF_ERROR = 0.1
"""The sample's minimum is off by about q / 2m in the objective, q parameters and m rows: to find it to this share of
that is enough, as a relative gap."""


def sample_rows(problem: Problem, n_rows: int) -> Tensor:
    """Indices in order: one at random of each of `n_rows` equal ranges, so that sorted rows are covered evenly."""
    generator = torch.Generator().manual_seed(SEED)
    place_r = torch.rand(n_rows, generator=generator, dtype=torch.float64).add_(torch.arange(n_rows))
    return place_r.mul_(problem.n / n_rows).long().clamp_(max=problem.n - 1).to(problem.y_nk.device)


class Sample(NamedTuple):
    """Newton's method at the minimum of a sample of the rows."""

    newton: LazyNewton
    share_b: Tensor
    """Of the whole weight."""
    first_value_b: Tensor
    """F where the fit started, as a part of the rows knows it."""


def take_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample:
    return _sample_of(objective, theta_bkp, sample_rows(objective.problem, n_rows))


def _sample_of(objective: Objective, theta_bkp: Tensor, index_r: Tensor) -> Sample:
    share_b = objective.problem.share_nb[index_r].sum(0, dtype=torch.float64).expand(len(theta_bkp))
    newton = LazyNewton(objective.on_rows(index_r), theta_bkp.clone())
    return Sample(newton, share_b, torch.full_like(share_b, torch.inf))


def fit_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample | None:
    """The minimum of a sample; None where it has none, or is hard to find."""
    sample = take_sample(objective, theta_bkp, n_rows)
    first = sample
    if n_rows >= GROWTH * LEAST_PER_PARAMETER * theta_bkp[0].numel():
        every_r = torch.arange(0, n_rows, GROWTH, device=theta_bkp.device)
        first = _sample_of(sample.newton.objective, theta_bkp, every_r)
    first_value_b = first.newton.first_value()
    if first is not sample and _minimise(first.newton):
        sample.newton.theta_bkp.copy_(first.newton.theta_bkp)
    return sample._replace(first_value_b=first_value_b) if _minimise(sample.newton) else None


def _minimise(newton: LazyNewton) -> bool:
    tolerance = SHARE_OF_ERROR * newton.theta_bkp[0].numel() / newton.objective.problem.n
    for _ in range(MAX_STEPS):
        if newton.is_within(tolerance):
            return True
        newton.step()
        if newton.ending is not None:
            return False
    return False
