"""A fit of a sample of the rows: what can be learnt from it need not be learnt from all of them."""

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from gradline.training.derivatives import Want
from gradline.training.fused import fused_pass_of
from gradline.training.objective import Objective
from gradline.training.problem import Problem
from gradline.training.solvers.backtracking import SUFFICIENT_DECREASE
from gradline.training.solvers.lazy_newton import LazyNewton
from gradline.training.solvers.newton import Look

SEED = 20
MAX_STEPS = 30
MAX_COMPILED_PASSES = 15
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


class Minimum(NamedTuple):
    """Of a sample."""

    theta_bkp: Tensor
    first_value_b: Tensor
    """F of the sample where its fit started."""


class Sample:
    """Some of the rows."""

    def __init__(self, objective: Objective, n_rows: int) -> None:
        self._of_all = objective
        self._index_r = sample_rows(objective.problem, n_rows)
        self._problem = objective.problem.rows(self._index_r)
        self._fused = fused_pass_of(self._problem, objective.n_members)
        self.tolerance = SHARE_OF_ERROR * self._problem.p * self._problem.k / n_rows
        """To which a relative gap of its fit is enough."""

    @cached_property
    def objective(self) -> Objective:
        """The same over these rows."""
        return self._of_all.over(self._problem)

    @cached_property
    def share_b(self) -> Tensor:
        """Of the whole weight."""
        problem = self._of_all.problem
        return problem.share_nb[self._index_r].sum(0, dtype=torch.float64).expand(self._of_all.n_members)

    def minimum(self, theta_bkp: Tensor) -> Minimum | None:
        """From theta; None where there is none, or it is hard to find. By one compiled function where there is one."""
        if self._fused is not None:
            found_bkp = theta_bkp.clone()
            first_value = self._fused.minimise(
                found_bkp,
                self._of_all.l2_bq,
                tolerance=self.tolerance,
                sufficient_decrease=SUFFICIENT_DECREASE,
                max_passes=MAX_COMPILED_PASSES,
            )
            if first_value is not None:
                return Minimum(found_bkp, found_bkp.new_tensor([first_value]))
        newton = self.fit(theta_bkp)
        return None if newton is None else Minimum(newton.theta_bkp, newton.first_value())

    def fit(self, theta_bkp: Tensor) -> LazyNewton | None:
        """Newton's method at the minimum; None as above."""
        newton = LazyNewton(self.objective, theta_bkp.clone())
        for _ in range(MAX_STEPS):
            if newton.is_within(self.tolerance):
                return newton
            newton.step()
            if newton.ending is not None:
                return None
        return None

    def foretell(self, theta_bkp: Tensor, look: Look, curved_at_bkp: Tensor) -> Tensor:
        """The step that follows a look's step v with the same factor, [b, q], by the gradient to be expected there:

            g(theta + v) ~ g_s(theta + v) - g_s(theta) - H_s(c) v,    as g(theta) + H(c) v = 0,

        s for the sample, c where the factor is from. 0 for members in which it is no small part of v, where the sample
        foretells little.
        """
        gradient_bq = self._linearisation_error(theta_bkp, look.step_bq.view_as(theta_bkp), curved_at_bkp).flatten(1)
        next_bq = look.factor.solve(gradient_bq).neg_()
        is_small_b = -(gradient_bq * next_bq).sum(1) <= MOST_FORETOLD**2 * look.square_b
        return torch.where(is_small_b.unsqueeze(1), next_bq, 0.0)

    def _linearisation_error(self, theta_bkp: Tensor, step_bkp: Tensor, curved_at_bkp: Tensor) -> Tensor:
        """The penalty, whose gradient is linear, has none."""
        if self._fused is not None:
            error_bkp = self._fused.linearisation_error(theta_bkp, step_bkp, curved_at_bkp)
            if error_bkp is not None:
                return error_bkp
        curved = self.objective.derivatives(curved_at_bkp, Want.PRODUCTS)
        straight_bkp = self.objective.hessian_product(curved.weights, step_bkp).clone()
        here = curved if torch.equal(theta_bkp, curved_at_bkp) else self.objective.derivatives(theta_bkp)
        there_bkp = self.objective.derivatives(theta_bkp + step_bkp).gradient_bkp
        return there_bkp - here.gradient_bkp - straight_bkp
