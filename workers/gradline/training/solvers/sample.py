"""A fit of a growing sample of the rows: what can be learnt from it need not be learnt from all of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers.lazy_newton import LazyNewton

SEED = 20
GROWTH = 4
"""The sample is fitted after a part of it this much smaller."""
MAX_STEPS = 30
SHARE_OF_ERROR = 0.1
"""The sample's minimum is off by about q / 2m in the objective, q parameters and m rows: to find it to this share of
that is enough, as a relative gap."""


def sample_rows(problem: Problem, n_rows: int) -> Tensor:
    """Indices in order: one at random of each of `n_rows` equal ranges, so that sorted rows are covered evenly."""
    generator = torch.Generator().manual_seed(SEED)
    start_r = torch.arange(n_rows + 1) * problem.n // n_rows
    jitter_r = torch.rand(n_rows, generator=generator, dtype=torch.float64) * (start_r[1:] - start_r[:-1])
    return (start_r[:-1] + jitter_r.long()).to(problem.y_nk.device)


class Sample(NamedTuple):
    """Newton's method at the minimum of a sample of the rows."""

    newton: LazyNewton
    share_b: Tensor
    """Of the whole weight."""
    first_value_b: Tensor
    """F where the fit started, as a part of the rows knows it."""


def take_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample:
    index_r = sample_rows(objective.problem, n_rows)
    share_b = objective.problem.share_nb[index_r].sum(0, dtype=torch.float64).expand(len(theta_bkp))
    newton = LazyNewton(objective.on_rows(index_r), theta_bkp.clone())
    return Sample(newton, share_b, torch.full_like(share_b, torch.inf))


def fit_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample | None:
    """The minimum of a sample; None where it has none, or is hard to find."""
    sample = take_sample(objective, theta_bkp, n_rows)
    part = take_sample(sample.newton.objective, theta_bkp, n_rows // GROWTH)
    first_value_b = part.newton.first_value()
    if _minimise(part.newton):
        sample.newton.theta_bkp.copy_(part.newton.theta_bkp)
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
