"""A fit of a sample of the rows: what can be learnt from it need not be learnt from all of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.derivatives import Want
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.newton import Look

SEED = 20
MAX_STEPS = 30
SHARE_OF_ERROR = 0.1
"""The sample's minimum is off by about q / 2m in the objective, q parameters and m rows: to find it to this share of
that is enough, as a relative gap."""
MOST_FORETOLD = 0.5
"""Of a step's length, that of the next one."""


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


def take_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample:
    index_r = sample_rows(objective.problem, n_rows)
    share_b = objective.problem.share_nb[index_r].sum(0, dtype=torch.float64).expand(len(theta_bkp))
    return Sample(LazyNewton(objective.on_rows(index_r), theta_bkp.clone()), share_b)


def fit_sample(objective: Objective, theta_bkp: Tensor, n_rows: int) -> Sample | None:
    """The minimum of a sample; None where it has none, or is hard to find."""
    sample = take_sample(objective, theta_bkp, n_rows)
    return sample if _minimise(sample.newton) else None


def _minimise(newton: LazyNewton) -> bool:
    tolerance = SHARE_OF_ERROR * newton.theta_bkp[0].numel() / newton.objective.problem.n
    for _ in range(MAX_STEPS):
        if newton.is_within(tolerance):
            return True
        newton.step()
        if newton.ending is not None:
            return False
    return False


def foretell(sample: Sample, theta_bkp: Tensor, look: Look, curved_at_bkp: Tensor) -> Tensor:
    """The step that follows a look's step v with the same factor, [b, q], by the gradient to be expected there:

        g(theta + v) ~ g_s(theta + v) - g_s(theta) - H_s(c) v,    as g(theta) + H(c) v = 0,

    s for the sample, c where the factor is from. 0 for members in which it is no small part of v, where the sample
    foretells little.
    """
    objective, step_bkp = sample.newton.objective, look.step_bq.view_as(theta_bkp)
    curved = objective.derivatives(curved_at_bkp, Want.PRODUCTS)
    straight_bkp = objective.hessian_product(curved.weights, step_bkp).clone()
    here = curved if torch.equal(theta_bkp, curved_at_bkp) else objective.derivatives(theta_bkp)
    there_bkp = objective.derivatives(theta_bkp + step_bkp).gradient_bkp
    gradient_bq = (there_bkp - here.gradient_bkp - straight_bkp).flatten(1)
    next_bq = look.factor.solve(gradient_bq).neg_()
    is_small_b = -(gradient_bq * next_bq).sum(1) <= MOST_FORETOLD**2 * look.square_b
    return torch.where(is_small_b.unsqueeze(1), next_bq, 0.0)
